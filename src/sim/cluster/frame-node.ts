import type { CursorFrame } from '../../gate/cursor-frame.js';
import type { Distribution } from '../distributions.js';
import type { FaultBox } from '../faults.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';
import { SimulatedReplica } from './replica.js';

export interface FrameNodeParts {
  name: string;
  zone: string | null;
  timeline: Timeline;
  random: Random;
  faults: FaultBox;
  /** One way each. */
  network: Distribution;
  sync: Distribution;
  ackDelayNs: number;
  /** Longest silence that the primary bears. */
  staleAfterNs: number;
  /** In this life of its own, the node has truly come so far. */
  onReached: (epoch: number, inMemory: number, persisted: number) => void;
  /** A frame has come to the primary. */
  onFrame: (frame: CursorFrame) => void;
}

/** Frames that say nothing new come so often within the time that a silence may last. */
const beatsPerSilence = 5;
/** So many of the last frames of earlier lives may come up once more. */
const earlierMax = 4;
/** How far behind an earlier frame one may say to be, and how far past all that will ever be a foreign tail ends. */
const backwardMax = 20;
const tailBeyond = 1_000_000;

/**
 * A replica that tells its cursors by frames, over a channel that loses, delays and doubles them. Its life ends when it
 * loses its memory; each life has a higher epoch than the one before, and a clock of its own.
 */
export class FrameNode {
  readonly replica: SimulatedReplica;
  readonly #parts: FrameNodeParts;
  /** Its process runs. */
  #alive = false;
  #epoch: number;
  #clockMs = 0;
  #lastAt = 0;
  #frozen = false;
  /** What it was about to say when it froze. */
  #held: CursorFrame | null = null;
  /** Tells a life, and what was arranged in it, from later ones. */
  #life = 0;
  #arrivalNs = 0;
  #last: CursorFrame | null = null;
  readonly #earlier: CursorFrame[] = [];

  constructor(parts: FrameNodeParts) {
    this.#parts = parts;
    const { timeline, random, network, sync, ackDelayNs } = parts;
    this.#epoch = random.pick([0, 0, 1, 7, 2 ** 32 - 1, 2 ** 40]);
    this.replica = new SimulatedReplica({
      timeline,
      random: random.fork(),
      toReplica: network,
      toPrimary: network,
      sync,
      ackDelayNs,
      tell: () => this.#tell(),
    });
  }

  /** A life begins, with this on disk. `tells`: and it says so. */
  begin(persisted: number, tells = true): void {
    const { random, timeline } = this.#parts;
    if (this.#last !== null) this.#keep(this.#last);
    this.#last = null;
    this.#held = null;
    this.#frozen = false;
    this.#epoch += random.chance(0.8) ? 1 : random.between(2, 1000);
    this.#clockMs = random.below(1_800_000_000) * 1000;
    this.#lastAt = 0;
    this.#alive = true;
    this.replica.restart(persisted);
    this.replica.connect();
    const life = ++this.#life;
    const beat = () => {
      if (life !== this.#life || !this.#alive) return;
      this.#tell();
      timeline.after(Math.floor(this.#parts.staleAfterNs / beatsPerSilence), beat);
    };
    if (tells) beat();
    this.#raiseTheDead();
  }

  /** Its process is gone, and its memory with it; what is on disk, and on its way, stays. */
  die(): void {
    this.#alive = false;
    this.replica.disconnect();
  }

  /** Nothing gets to it, or from it, for now. */
  cut(): void {
    this.replica.disconnect();
  }

  mend(): void {
    if (!this.#alive || this.replica.connected) return;
    this.replica.connect();
    this.#tell();
  }

  /** It says nothing from now on, but goes on. */
  freeze(): void {
    this.#held = this.#parts.random.chance(0.5) ? this.#frame() : null;
    this.#frozen = true;
  }

  /** What it would say now. */
  say(): CursorFrame | null {
    return this.replica.connected ? this.#frame() : null;
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    if (!this.replica.connected) return;
    if (this.#held !== null) this.#send(this.#held);
    this.#tell();
  }

  /** It says that it has what was never issued: in its memory, on its disk, or both. */
  tellForeignTail(appended: number): void {
    const { random } = this.#parts;
    const tail = appended + tailBeyond + random.between(1, 1000);
    const where = random.pick([{ inMemory: tail }, { persisted: tail }, { inMemory: tail, persisted: tail }]);
    this.#send({ ...this.#frame(), ...where });
  }

  #tell(): void {
    if (this.#frozen || !this.replica.connected) return;
    const frame = this.#frame();
    this.#last = frame;
    this.#send(this.#parts.faults.strikes('frame-backward', 0.3) ? this.#lessThan(frame) : frame);
  }

  #frame(): CursorFrame {
    const { name, zone, timeline, random, onReached } = this.#parts;
    const { inMemory: truly, persisted } = this.replica;
    onReached(this.#epoch, truly, persisted);
    // What it has on its disk need not be said twice.
    const inMemory = truly === persisted && random.chance(0.1) ? random.below(persisted + 1) : truly;
    // Two frames are never made at the same moment, whatever the clock shows.
    this.#lastAt = Math.max(this.#clockMs + timeline.nowNs / 1e6, this.#lastAt + 0.001);
    const frame = { node: name, epoch: this.#epoch, inMemory, persisted, at: this.#lastAt };
    return zone === null ? frame : { ...frame, zone };
  }

  #lessThan(frame: CursorFrame): CursorFrame {
    const { random } = this.#parts;
    const less = (cursor: number) => Math.max(0, cursor - random.below(backwardMax));
    return { ...frame, inMemory: less(frame.inMemory), persisted: less(frame.persisted) };
  }

  #send(frame: CursorFrame): void {
    const { faults, network, random, timeline } = this.#parts;
    if (faults.strikes('frame-lost')) return;
    const ns = Math.round(network.sampleNs(random));
    if (faults.strikes('frame-late', 0.3)) this.#bring(frame, timeline.nowNs + ns + this.#longNs());
    else {
      this.#arrivalNs = Math.max(this.#arrivalNs, timeline.nowNs + ns);
      this.#bring(frame, this.#arrivalNs);
    }
    if (faults.strikes('frame-doubled', 0.3)) this.#bring(frame, timeline.nowNs + ns + this.#longNs());
  }

  #bring(frame: CursorFrame, atNs: number): void {
    const { timeline, onFrame } = this.#parts;
    timeline.at(atNs, () => onFrame(frame));
  }

  /** What some network has kept. */
  #longNs(): number {
    return this.#parts.random.magnitude(1_000, 3 * this.#parts.staleAfterNs);
  }

  #keep(frame: CursorFrame): void {
    this.#earlier.push(frame);
    if (this.#earlier.length > earlierMax) this.#earlier.shift();
  }

  /** Frames of earlier lives come after all. */
  #raiseTheDead(): void {
    const { faults, timeline, random, staleAfterNs } = this.#parts;
    for (const frame of this.#earlier) {
      // Mostly while the present life still has less.
      const ns = random.magnitude(1e5, staleAfterNs);
      if (faults.strikes('frame-stale', 30)) this.#bring(frame, timeline.nowNs + ns);
    }
  }
}
