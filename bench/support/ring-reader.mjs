// The other thread of bench/10-ring.mjs: reads so many records in the way that is named, then tells.
import { parentPort, workerData } from 'node:worker_threads';
import { variants } from './ring-variants.mjs';

const { name, rings, turn } = workerData;
const state = { sum: new Float64Array(1) };
const read = variants[name].reader(rings, state);
parentPort.postMessage('ready');
for (;;) {
  // turn[0]: records to read, 0: wait, -1: end; turn[1]: 1 once they were read.
  Atomics.wait(turn, 0, 0);
  const records = Atomics.load(turn, 0);
  if (records < 0) break;
  for (let taken = 0; taken < records; ) taken += read(256);
  Atomics.store(turn, 0, 0);
  Atomics.store(turn, 1, 1);
}
