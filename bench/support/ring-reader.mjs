// The other thread of bench/support/two-threads.mjs: reads so many records in the way that is named, then tells.
import { parentPort, workerData } from 'node:worker_threads';
import { variants } from './ring-variants.mjs';

// turn[0]: records to read, 0: wait; turn[1]: 1 once they were read.
const { name, rings, turn, state } = workerData;

function done() {
  Atomics.store(turn, 0, 0);
  Atomics.store(turn, 1, 1);
}

if (variants[name].messages) {
  let taken = 0;
  const read = variants[name].reader(rings, state);
  parentPort.on('message', (message) => {
    taken += read(message);
    if (taken < Atomics.load(turn, 0)) return;
    taken = 0;
    done();
  });
  parentPort.postMessage('ready');
} else {
  const read = variants[name].reader(rings, state);
  parentPort.postMessage('ready');
  for (;;) {
    Atomics.wait(turn, 0, 0);
    const records = Atomics.load(turn, 0);
    for (let taken = 0; taken < records; ) taken += read(256);
    done();
  }
}
