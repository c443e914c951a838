import { highWord, joinWords, lowWord } from '../shared/wide.js';

/*
 * The memory that the engine's thread and the writer share, in 32-bit words; nothing is posted on the hot path.
 *
 *     0  published    bytes ever appended, wrapping     engine
 *    32  consumed     bytes ever written, wrapping      writer
 *    64  persisted    high, low, high again             writer, see `writePersisted`
 *    67  paused       number of the pause that the writer has last stopped for    writer
 *    68  superseded   low, high: epoch of the primary that took over, 0: none did    writer
 *    96  parked       1: the writer sleeps on this word, or is about to; 0 again by whoever wakes it
 *   128  waiting      1: the engine's thread wants a message when `persisted` has moved
 *   160  closing      1: write what is there, then end    engine
 *   161  pausing      number of the pause that is wanted, 0: none; a stopped writer sleeps on it    engine
 *   162  driving      1: the stage to drive has been posted; 0 again by the writer, who takes it
 *   192  failed       bytes of text that follow, 0 while all is well    writer
 *   193  …            why it failed, in UTF-8
 *  1024  records      a ring of bytes: records as format.ts draws them, but for their checksum
 *
 * Words of different writers are 128 bytes apart.
 */
export const Word = {
  published: 0,
  consumed: 32,
  persisted: 64,
  paused: 67,
  superseded: 68,
  parked: 96,
  waiting: 128,
  closing: 160,
  pausing: 161,
  driving: 162,
  failed: 192,
} as const;

const failureTextAt = 193 * 4;
const recordsAt = 1024 * 4;
const failureTextMax = recordsAt - failureTextAt;

export function createMemory(bufferBytes: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(recordsAt + bufferBytes);
  // Its pages are taken now: else the first round through the ring would pay for them in `append`, and would look like a leak.
  new Uint8Array(memory).fill(0);
  return memory;
}

export function controlWords(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, recordsAt / 4);
}

export function recordRing(memory: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(memory, recordsAt);
}

/**
 * The position only grows, and its high word hardly ever: written on both sides of the low word, it tells a reader
 * whether the low word in between belongs to it.
 */
export function writePersisted(words: Int32Array, sequence: number): void {
  const high = highWord(sequence);
  Atomics.store(words, Word.persisted + 2, high);
  Atomics.store(words, Word.persisted + 1, lowWord(sequence));
  Atomics.store(words, Word.persisted, high);
}

/** @param known a position read earlier: still right, if old, while the high word is changing */
export function readPersisted(words: Int32Array, known: number): number {
  const high = Atomics.load(words, Word.persisted);
  const low = Atomics.load(words, Word.persisted + 1);
  return Atomics.load(words, Word.persisted + 2) === high ? joinWords(low, high) : known;
}

/** Says who took over. Before `writeFailure`, so that whoever sees the failure knows what kind it is. */
export function writeSupersededBy(words: Int32Array, epoch: number): void {
  Atomics.store(words, Word.superseded, lowWord(epoch));
  Atomics.store(words, Word.superseded + 1, highWord(epoch));
}

/** The epoch of the primary that took over, 0: none did. To be read once the journal has failed. */
export function readSupersededBy(words: Int32Array): number {
  return joinWords(Atomics.load(words, Word.superseded), Atomics.load(words, Word.superseded + 1));
}

/** Says why the journal has failed. The first reason stays. */
export function writeFailure(memory: SharedArrayBuffer, reason: string): void {
  const words = controlWords(memory);
  if (Atomics.load(words, Word.failed) !== 0) return;
  const bytes = Buffer.from(reason || 'unknown').subarray(0, failureTextMax);
  new Uint8Array(memory, failureTextAt).set(bytes);
  Atomics.store(words, Word.failed, bytes.length);
}

/** Why the journal has failed, or null. */
export function readFailure(memory: SharedArrayBuffer): string | null {
  const length = Atomics.load(controlWords(memory), Word.failed);
  return length === 0 ? null : Buffer.from(new Uint8Array(memory, failureTextAt, length).slice()).toString();
}
