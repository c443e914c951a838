import { cursorsOffset, nodeLines } from '../shared/memory.js';
import { highWord, joinWords, lowWord } from '../shared/wide.js';
import type { IngestResult } from './cursor-frame.js';
import { At, lineWords, lockLineSoon, tryLockLine, unlockLine } from './cursor-lines.js';

/** A reader gives up after this many interrupted readings. */
const readTriesMax = 64;

/** What a frame says of its node; `inMemory` is never below `persisted`. */
export interface FrameWords {
  readonly epoch: number;
  readonly inMemory: number;
  readonly persisted: number;
  readonly at: number;
}

/** What the primary says to it. */
export interface FrameReceipt {
  /** When it came, by the clock of this process. */
  readonly nowNs: number;
  /** Highest sequence that the primary has issued. */
  readonly issued: number;
  /** Throws when there is no room for one more node in the view. */
  checkRoom(): void;
}

/** What `read` found in a line. Reused: valid until the next `read`. */
export interface FrameSnapshot {
  active: boolean;
  /** Connected by a frame. */
  fed: boolean;
  /** A frame has told `epoch`. */
  known: boolean;
  inMemory: number;
  persisted: number;
  epoch: number;
  /** 0: no frame was ever taken. */
  heardNs: number;
}

/** `at` while no frame of the epoch was taken: earlier than that of any frame. */
const never = -1;

/** The cursor lines as frames move them. Who feeds a node and the stage share its line by the lock. */
export class FrameLines {
  /** Whether the last `take` has changed anything that the gate looks at. */
  moved = false;
  readonly #words: Int32Array;
  readonly #float = new Float64Array(1);
  readonly #floatWords = new Int32Array(this.#float.buffer);
  readonly #snapshot: FrameSnapshot = {
    active: false,
    fed: false,
    known: false,
    inMemory: 0,
    persisted: 0,
    epoch: 0,
    heardNs: 0,
  };

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, cursorsOffset, nodeLines * lineWords);
  }

  /** True for a node that is in the view because of its frames. */
  isFed(line: number): boolean {
    const base = line * lineWords;
    return (
      Atomics.load(this.#words, base + At.fed) === 1 && Atomics.load(this.#words, base + At.active) === 1
    );
  }

  isActive(line: number): boolean {
    return Atomics.load(this.#words, line * lineWords + At.active) === 1;
  }

  tenancy(line: number): number {
    return Atomics.load(this.#words, line * lineWords + At.tenancy);
  }

  /** A consistent reading of one line, or null when the writers never let one happen. */
  read(line: number): FrameSnapshot | null {
    const words = this.#words;
    const base = line * lineWords;
    const snapshot = this.#snapshot;
    for (let tries = 0; tries < readTriesMax; tries++) {
      const before = Atomics.load(words, base + At.lock);
      if ((before & 1) !== 0) continue;
      snapshot.active = Atomics.load(words, base + At.active) === 1;
      snapshot.fed = Atomics.load(words, base + At.fed) === 1;
      snapshot.known = Atomics.load(words, base + At.known) === 1;
      snapshot.inMemory = this.#load(base + At.inMemory);
      snapshot.persisted = this.#load(base + At.persisted);
      snapshot.epoch = this.#load(base + At.epoch);
      snapshot.heardNs = this.#load(base + At.heardNs);
      if (Atomics.load(words, base + At.lock) === before) return snapshot;
    }
    return null;
  }

  /**
   * Takes a frame, or says why not. Null: the line is another node's, or nobody's, by now.
   *
   * @throws what `checkRoom` throws, with nothing changed; ERR_ACKGATE_CURSOR_CONTENDED
   */
  take(line: number, tenancy: number, frame: FrameWords, receipt: FrameReceipt): IngestResult | null {
    const base = line * lineWords;
    this.moved = false;
    lockLineSoon(this.#words, base);
    try {
      if (this.tenancy(line) !== tenancy) return null;
      return this.#take(base, frame, receipt);
    } finally {
      unlockLine(this.#words, base);
    }
  }

  /**
   * Disconnects a node whose last frame came at `heardNs` or before. False when a frame was taken since, or is being
   * taken just now, or the line is another node's.
   */
  silence(line: number, tenancy: number, heardNs: number): boolean {
    const base = line * lineWords;
    if (!tryLockLine(this.#words, base)) return false;
    const isSame = this.tenancy(line) === tenancy && this.isFed(line);
    const silent = isSame && this.#load(base + At.heardNs) <= heardNs;
    if (silent) this.#disconnect(base);
    unlockLine(this.#words, base);
    return silent;
  }

  #take(base: number, frame: FrameWords, { nowNs, issued, checkRoom }: FrameReceipt): IngestResult {
    const words = this.#words;
    const { epoch, inMemory, persisted, at } = frame;
    const known = Atomics.load(words, base + At.known) === 1;
    const lastEpoch = this.#load(base + At.epoch);
    const isNew = !known || epoch > lastEpoch;
    if (!isNew && epoch < lastEpoch) return 'stale-epoch';
    if (!isNew && at <= this.#loadFloat(base + At.at)) return 'repeated';
    const active = Atomics.load(words, base + At.active) === 1;
    if (inMemory > issued) {
      if (!isNew) return 'ahead';
      // What it said in its last epoch is void, and what it says now can't be true.
      if (active) this.#disconnect(base);
      this.moved = active;
      this.#remember(base, epoch, never);
      return 'ahead';
    }
    if (!active) checkRoom();
    this.#remember(base, epoch, at);
    this.#store(base + At.heardNs, nowNs);
    if (!isNew && active && Atomics.load(words, base + At.fed) === 1) this.#raise(base, inMemory, persisted);
    else this.#connect(base, inMemory, persisted);
    return 'taken';
  }

  #raise(base: number, inMemory: number, persisted: number): void {
    this.#raiseOne(base + At.inMemory, inMemory);
    this.#raiseOne(base + At.persisted, persisted);
  }

  #raiseOne(word: number, value: number): void {
    if (value <= this.#load(word)) return;
    this.#store(word, value);
    this.moved = true;
  }

  /** Seeds both cursors before the flag is up, so that nothing of an earlier connection shows in an active line. */
  #connect(base: number, inMemory: number, persisted: number): void {
    this.#disconnect(base);
    this.#store(base + At.inMemory, persisted);
    this.#store(base + At.persisted, persisted);
    Atomics.store(this.#words, base + At.active, 1);
    Atomics.store(this.#words, base + At.fed, 1);
    this.#store(base + At.inMemory, inMemory);
    this.moved = true;
  }

  /** Zeroes both cursors before the flag is down, so that nobody sees a cursor that no node stands for. */
  #disconnect(base: number): void {
    this.#store(base + At.inMemory, 0);
    this.#store(base + At.persisted, 0);
    Atomics.store(this.#words, base + At.active, 0);
  }

  #remember(base: number, epoch: number, at: number): void {
    this.#store(base + At.epoch, epoch);
    this.#float[0] = at;
    Atomics.store(this.#words, base + At.at, this.#floatWords[0]);
    Atomics.store(this.#words, base + At.at + 1, this.#floatWords[1]);
    Atomics.store(this.#words, base + At.known, 1);
  }

  #store(word: number, value: number): void {
    Atomics.store(this.#words, word, lowWord(value));
    Atomics.store(this.#words, word + 1, highWord(value));
  }

  #load(word: number): number {
    return joinWords(Atomics.load(this.#words, word), Atomics.load(this.#words, word + 1));
  }

  #loadFloat(word: number): number {
    this.#floatWords[0] = Atomics.load(this.#words, word);
    this.#floatWords[1] = Atomics.load(this.#words, word + 1);
    return this.#float[0];
  }
}
