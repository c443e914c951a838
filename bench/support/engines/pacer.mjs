// A thread of an open loop: see `startPacer`.
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicNow } from '#ackgate/shared/clock.js';
import { orderBytes, PacerWord, timesOf, wordsOf } from './load.mjs';

const { memory, fds } = workerData;
const times = timesOf(memory);
const words = wordsOf(memory);
const order = Buffer.alloc(orderBytes, 0x2a);
const bed = new Int32Array(new SharedArrayBuffer(4));

const startNs = monotonicNow() + 20e6;
for (let i = 0; i < times.length; i++) {
  const dueNs = startNs + times[i];
  for (let left = dueNs - monotonicNow(); left > 0; left = dueNs - monotonicNow()) {
    Atomics.wait(bed, 0, 0, left / 1e6);
  }
  times[i] = monotonicNow();
  if (fds !== null && writeSync(fds[i % fds.length], order) !== orderBytes) throw new Error('half an order');
  Atomics.store(words, PacerWord.sent, i + 1);
  Atomics.notify(words, PacerWord.sent);
  if (fds === null) parentPort.postMessage(i);
}
