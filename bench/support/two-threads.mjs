import { Worker } from 'node:worker_threads';
import { createRing } from '../../dist/ring/index.js';
import { createNaiveRing } from './naive-ring.mjs';
import { expectedSum, variants } from './ring-variants.mjs';
import { createRingbuf } from './ringbuf-ring.mjs';

/** Memory for each way of bringing records across; of the same number of records, where that can be said. */
export function createRings({ capacity, payloadBytes }) {
  return {
    ring: createRing({ capacity, maxPayload: 448 }),
    naive: createNaiveRing(capacity * 128),
    ringbuf: createRingbuf(capacity, payloadBytes),
    // Messages have no memory of their own; so many may be under way.
    window: capacity,
    taken: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/**
 * Writes on this thread while a Worker reads, in the way that is named. `run(records)` returns the nanoseconds per
 * record, until the reader has had the last one.
 */
export async function openTwoThreads(name, { capacity, payload }) {
  const rings = createRings({ capacity, payloadBytes: payload.length });
  const turn = new Int32Array(new SharedArrayBuffer(8));
  const state = { sum: new Float64Array(new SharedArrayBuffer(8)) };
  const worker = new Worker(new URL('./ring-reader.mjs', import.meta.url), {
    workerData: { name, rings, turn, state },
  });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const write = variants[name].writer(rings, payload, worker);
  return {
    run(records) {
      state.sum[0] = 0;
      Atomics.store(turn, 1, 0);
      Atomics.store(turn, 0, records);
      Atomics.notify(turn, 0);
      const start = process.hrtime.bigint();
      for (let i = 0; i < records; ) if (write(i)) i++;
      while (Atomics.load(turn, 1) === 0);
      const ns = Number(process.hrtime.bigint() - start) / records;
      if (state.sum[0] !== expectedSum(records, payload)) throw new Error('records were lost or changed');
      return ns;
    },
    end: () => worker.terminate(),
  };
}
