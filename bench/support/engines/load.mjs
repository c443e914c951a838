// What clients do to the engines, with and without Ackgate alike: sizes, and the times of an open loop.
import { Worker } from 'node:worker_threads';
import { journalFull } from '#ackgate/journal/index.js';
import { Random } from '#ackgate/sim/random.js';

export const orderBytes = 64;
export const answerBytes = 64;
export const connections = 16;
/** Orders under way in a closed loop, all connections together. */
export const windowOrders = 256;

/** Words that a pacer shares: how many orders it has sent. */
export const PacerWord = { sent: 0 };
const headerBytes = 64;

/**
 * Drawn times for the orders of an open loop, in memory that is shared: offsets in nanoseconds until the pacer has begun,
 * from then on when each order was really sent.
 */
export function drawOrders({ perSecond, seconds, seed }) {
  const random = new Random(seed);
  const offsets = [];
  for (let ns = random.exponential(1e9 / perSecond); ns < seconds * 1e9; ) {
    offsets.push(ns);
    ns += random.exponential(1e9 / perSecond);
  }
  const memory = new SharedArrayBuffer(headerBytes + offsets.length * 8);
  timesOf(memory).set(offsets);
  return memory;
}

export const timesOf = (memory) => new Float64Array(memory, headerBytes);
export const wordsOf = (memory) => new Int32Array(memory, 0, headerBytes / 4);

/**
 * A thread that sends each order at its time: into `fds` in turn, or else as messages. It sleeps in the kernel in
 * between, for the cores are wanted.
 */
export function startPacer(memory, fds = null) {
  return new Worker(new URL('./pacer.mjs', import.meta.url), { workerData: { memory, fds }, execArgv: [] });
}

const bed = new Int32Array(new SharedArrayBuffer(4));

/** Appends; waits, as an engine would that has nothing better to do, while the journal is a whole buffer behind. */
export function appendTo(journal, payload) {
  for (;;) {
    const sequence = journal.append(payload);
    if (sequence !== journalFull) return sequence;
    Atomics.wait(bed, 0, 0, 0.2);
  }
}
