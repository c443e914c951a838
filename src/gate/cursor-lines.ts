import { AckgateError } from '../errors.js';
import { cursorsOffset } from '../shared/memory.js';
import { highWord, joinWords, lowWord } from '../shared/wide.js';

/**
 * The cursor lines in shared memory: one per node, 128 bytes apart from each other and from everything that other
 * threads write. Words of a line:
 *
 *     0  lock        odd while the writer is inside; counts changes by twos
 *     1  active      1: the node is connected and part of the view
 *     2  inMemory    low, high
 *     4  persisted   low, high
 *     6  zone        id of the node's zone, -1: stands alone
 *     7  fed         1: connected by a frame, which the stage takes back when no more come
 *     8  heardNs     low, high: when the last frame was taken, by the clock of this process; 0: none was
 *    10  epoch       low, high: of the last frame
 *    12  at          f64: of the last frame, by its sender's clock; -1: none of this epoch was taken
 *    14  tenancy     changes whenever the line gets another node or loses its own
 *    15  known       1: a frame has told the epoch
 *
 * The words from `fed` on are of no concern to the gate; gate/frame-lines.ts works with them.
 */
export const lineWords = 32;
export const At = {
  lock: 0,
  active: 1,
  inMemory: 2,
  persisted: 4,
  zone: 6,
  fed: 7,
  heardNs: 8,
  epoch: 10,
  at: 12,
  tenancy: 14,
  known: 15,
} as const;

/** How a thread waits for another to leave a line that both may write; changing one takes microseconds. */
const lockSpinsMax = 200;
const lockWaitMs = 1;
const lockWaitsMax = 1000;

/** A reader gives up after this many interrupted readings; the node then reads 0 and the gate stays closed. */
const readTriesMax = 64;

/** What `read` found in a line. Reused: valid until the next `read`. */
export interface CursorSnapshot {
  active: boolean;
  inMemory: number;
  persisted: number;
  zone: number;
  /** Value of the lock word, which changes with every write; odd when the reading failed. */
  version: number;
}

export class CursorLines {
  readonly #words: Int32Array;
  readonly #snapshot: CursorSnapshot = { active: false, inMemory: 0, persisted: 0, zone: -1, version: 0 };

  constructor(buffer: SharedArrayBuffer, lines: number) {
    this.#words = new Int32Array(buffer, cursorsOffset, lines * lineWords);
  }

  /** The version of a line: a different one means that it has changed. */
  version(line: number): number {
    return Atomics.load(this.#words, line * lineWords + At.lock);
  }

  isActive(line: number): boolean {
    return Atomics.load(this.#words, line * lineWords + At.active) === 1;
  }

  /** A consistent reading of one line; zeros, active or not as it stands, when the writer never let one happen. */
  read(line: number): CursorSnapshot {
    const words = this.#words;
    const base = line * lineWords;
    const snapshot = this.#snapshot;
    let before = 0;
    for (let tries = 0; tries < readTriesMax; tries++) {
      before = Atomics.load(words, base + At.lock);
      if ((before & 1) !== 0) continue;
      snapshot.active = Atomics.load(words, base + At.active) === 1;
      snapshot.inMemory = joinWords(
        Atomics.load(words, base + At.inMemory),
        Atomics.load(words, base + At.inMemory + 1),
      );
      snapshot.persisted = joinWords(
        Atomics.load(words, base + At.persisted),
        Atomics.load(words, base + At.persisted + 1),
      );
      snapshot.zone = Atomics.load(words, base + At.zone);
      if (Atomics.load(words, base + At.lock) === before) {
        snapshot.version = before;
        return snapshot;
      }
    }
    snapshot.active = this.isActive(line);
    snapshot.inMemory = 0;
    snapshot.persisted = 0;
    // One word that never changes once it is given: without it the node would count as a zone of its own.
    snapshot.zone = Atomics.load(words, base + At.zone);
    snapshot.version = before | 1;
    return snapshot;
  }

  /** Moves both cursors of a connected line. */
  write(line: number, inMemory: number, persisted: number): void {
    const base = line * lineWords;
    this.#lock(base);
    this.#store(base + At.inMemory, inMemory);
    this.#store(base + At.persisted, persisted);
    this.#unlock(base);
  }

  /** Seeds both cursors, then raises the flag: an active line never shows a cursor of an earlier connection. */
  activate(line: number, persisted: number): void {
    const base = line * lineWords;
    this.#lock(base);
    this.#store(base + At.inMemory, persisted);
    this.#store(base + At.persisted, persisted);
    Atomics.store(this.#words, base + At.active, 1);
    Atomics.store(this.#words, base + At.fed, 0);
    this.#unlock(base);
  }

  deactivate(line: number): void {
    const base = line * lineWords;
    this.#lock(base);
    this.#clear(base);
    this.#unlock(base);
  }

  /** Gives the line to a node that is new, or takes it from one that is gone: nothing of the earlier one remains. */
  assign(line: number, zone: number): void {
    const base = line * lineWords;
    this.#lock(base);
    this.#clear(base);
    Atomics.store(this.#words, base + At.zone, zone);
    Atomics.store(this.#words, base + At.fed, 0);
    Atomics.store(this.#words, base + At.known, 0);
    this.#store(base + At.heardNs, 0);
    Atomics.add(this.#words, base + At.tenancy, 1);
    this.#unlock(base);
  }

  /** Zeroes both cursors, then lowers the flag: no reader sees a cursor that nobody stands for any more. */
  #clear(base: number): void {
    this.#store(base + At.inMemory, 0);
    this.#store(base + At.persisted, 0);
    Atomics.store(this.#words, base + At.active, 0);
  }

  #store(word: number, value: number): void {
    Atomics.store(this.#words, word, lowWord(value));
    Atomics.store(this.#words, word + 1, highWord(value));
  }

  #lock(base: number): void {
    if (tryLockLine(this.#words, base)) return;
    // A line that is fed by frames has two writers: who feeds it, and the stage that finds it silent.
    if (Atomics.load(this.#words, base + At.fed) === 1) {
      lockLineSoon(this.#words, base);
      return;
    }
    throw new AckgateError(
      'ERR_ACKGATE_CURSOR_CONTENDED',
      'two threads wrote one cursor at the same time; each node has one writer',
    );
  }

  #unlock(base: number): void {
    unlockLine(this.#words, base);
  }
}

/** False while another thread is inside. `base`: the line's first word. */
export function tryLockLine(words: Int32Array, base: number): boolean {
  const version = Atomics.load(words, base + At.lock);
  return (
    (version & 1) === 0 && Atomics.compareExchange(words, base + At.lock, version, version + 1) === version
  );
}

/**
 * Waits for the other thread, but not for ever.
 *
 * @throws ERR_ACKGATE_CURSOR_CONTENDED if it never leaves
 */
export function lockLineSoon(words: Int32Array, base: number): void {
  for (let spins = 0; spins < lockSpinsMax; spins++) if (tryLockLine(words, base)) return;
  for (let waits = 0; waits < lockWaitsMax; waits++) {
    // Ends by the time-out: that nobody is told keeps leaving a line as cheap as it was.
    const version = Atomics.load(words, base + At.lock);
    if ((version & 1) !== 0) Atomics.wait(words, base + At.lock, version, lockWaitMs);
    if (tryLockLine(words, base)) return;
  }
  throw new AckgateError(
    'ERR_ACKGATE_CURSOR_CONTENDED',
    "a node's cursor stays locked: a thread has ended while it was writing it",
  );
}

export function unlockLine(words: Int32Array, base: number): void {
  Atomics.add(words, base + At.lock, 1);
}
