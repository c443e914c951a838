import { workerData } from 'node:worker_threads';
import { monotonicNow } from '../../shared/clock.js';
import { ProbeWord, probeHeaderBytes } from './wake-probe.js';

const memory = workerData as SharedArrayBuffer;
const words = new Int32Array(memory);
const values = new Float64Array(memory, probeHeaderBytes);
/** A thread that waits can be ended, but not before it has looked up. */
const lookUpMs = 100;

for (;;) {
  if (Atomics.wait(words, ProbeWord.rung, 0, lookUpMs) === 'timed-out') continue;
  const nowNs = monotonicNow();
  const at = 1 + 2 * words[ProbeWord.count];
  values[at] = values[0];
  values[at + 1] = nowNs - values[0];
  Atomics.store(words, ProbeWord.count, words[ProbeWord.count] + 1);
  Atomics.store(words, ProbeWord.rung, 0);
}
