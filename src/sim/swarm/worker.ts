import { parentPort, workerData } from 'node:worker_threads';
import type { Fault } from '../faults.js';
import { type Block, runBlock } from './block.js';

export interface SwarmWorkerData {
  faults: readonly Fault[];
  /** One word: how many seeds of the block under way are done. */
  done: Int32Array;
}

const { faults, done } = workerData as SwarmWorkerData;

parentPort?.on('message', (block: Block) => {
  parentPort?.postMessage(runBlock(block, faults, (count) => Atomics.store(done, 0, count)));
});
parentPort?.postMessage('ready');
