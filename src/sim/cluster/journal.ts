import type { Distribution } from '../distributions.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';

export interface SimulatedJournalParts {
  timeline: Timeline;
  random: Random;
  /** How long one `fdatasync` takes. */
  sync: Distribution;
  /** From an append to an idle journal's writer beginning with it (default: no time). */
  handover?: Distribution;
  /** Everything up to `seq` is on disk. */
  onPersisted: (seq: number) => void;
}

/** A journal with group commit: one sync at a time, and each covers what was appended before it began. */
export class SimulatedJournal {
  /** Highest sequence that was appended, and that is on disk. */
  appended: number;
  persisted: number;
  readonly #parts: SimulatedJournalParts;
  #syncing = false;
  #failNext = false;
  #stallNs = 0;
  /** What was under way when the machine went down comes to nothing. */
  #life = 0;

  constructor(parts: SimulatedJournalParts, persisted = 0) {
    this.#parts = parts;
    this.appended = persisted;
    this.persisted = persisted;
  }

  append(seq: number): void {
    this.appended = seq;
    if (!this.#syncing) this.#begin();
  }

  /** The next sync, or the one under way, takes this much longer. */
  stall(ns: number): void {
    this.#stallNs += ns;
  }

  /** The next sync that ends has failed: nothing of it counts, and it is done again. */
  failNext(): void {
    this.#failNext = true;
  }

  /** Cuts everything behind `seq`, and forgets what was not on disk. */
  restart(seq: number): void {
    this.#life++;
    this.#syncing = false;
    this.#failNext = false;
    this.#stallNs = 0;
    this.appended = seq;
    this.persisted = seq;
  }

  /** Hands over to the writer, who takes what is there when it comes. */
  #begin(): void {
    const { timeline, random, handover } = this.#parts;
    if (handover === undefined) {
      this.#sync();
      return;
    }
    const life = this.#life;
    this.#syncing = true;
    timeline.after(Math.round(handover.sampleNs(random)), () => {
      if (life === this.#life) this.#sync();
    });
  }

  #sync(): void {
    const { timeline, random, sync } = this.#parts;
    const life = this.#life;
    const upTo = this.appended;
    const end = () => {
      if (life !== this.#life) return;
      if (this.#stallNs > 0) {
        const rest = this.#stallNs;
        this.#stallNs = 0;
        timeline.after(rest, end);
        return;
      }
      this.#syncing = false;
      if (this.#failNext) this.#failNext = false;
      else {
        this.persisted = upTo;
        this.#parts.onPersisted(upTo);
      }
      if (this.persisted < this.appended && !this.#syncing) this.#sync();
    };
    this.#syncing = true;
    timeline.after(Math.round(sync.sampleNs(random)), end);
  }
}
