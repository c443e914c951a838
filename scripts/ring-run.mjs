// Moves records between two threads through the output ring, with checksums over every payload and header field.
// Half of them go through a ring whose 32-bit counters pass 2^31, half through one whose counters pass 2^32.
//
//   node scripts/ring-run.mjs [--records 100000000] [--json]
//
// Exit code 1 when a record was lost or changed.
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { createRing } from '../dist/ring/index.js';
import { startAt } from '../test/fixtures/ring-stream.mjs';

const { values } = parseArgs({
  options: { records: { type: 'string', default: '100000000' }, json: { type: 'boolean', default: false } },
});
const records = Number(values.records);
if (!Number.isSafeInteger(records) || records < 2) {
  console.error(`--records must be an integer of at least 2, got ${values.records}`);
  process.exit(2);
}

const capacity = 4096;
const program = new URL('../test/fixtures/ring-stream.mjs', import.meta.url);

function runEnd(workerData) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(program, { workerData });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the ${workerData.end} end ended with code ${code}`)));
  });
}

/** Moves `count` records through a ring that starts so far before a power of two that its counters pass it. */
async function move(count, name, boundary) {
  const handle = createRing({ capacity, maxPayload: 448 });
  startAt(handle, boundary - Math.floor(count / 2));
  const started = performance.now();
  const work = { handle, records: count, seed: 0x1234567 };
  // The reader ends early at the first fault, and the writer would wait for it: whoever is first tells.
  const reading = runEnd({ ...work, end: 'read' });
  const writing = runEnd({ ...work, end: 'write' });
  const read = await reading;
  const seconds = (performance.now() - started) / 1000;
  const written = read.fault === null ? await writing : null;
  const fault = read.fault ?? (written.total === read.total ? null : 'the totals differ');
  return { counters: name, records: read.records, bytes: read.bytes, seconds, fault };
}

const runs = [
  await move(Math.ceil(records / 2), 'past 2^31', 2 ** 31),
  await move(Math.floor(records / 2), 'past 2^32', 2 ** 32),
];
const moved = runs.reduce((sum, run) => sum + run.records, 0);
const seconds = runs.reduce((sum, run) => sum + run.seconds, 0);
const ok = moved === records && runs.every((run) => run.fault === null);
if (values.json) {
  console.log(
    JSON.stringify({ ok, records: moved, capacity, seconds, recordsPerSecond: moved / seconds, runs }),
  );
} else {
  for (const run of runs) {
    const rate = (run.records / run.seconds / 1e6).toFixed(2);
    const volume = (run.bytes / 2 ** 30).toFixed(2);
    console.log(
      `counters ${run.counters}: ${run.records} records, ${volume} GiB, ${run.seconds.toFixed(1)} s, ` +
        `${rate} million/s, ring gone round ${Math.floor(run.records / capacity)} times: ${run.fault ?? 'all right'}`,
    );
  }
  console.log(`${moved} of ${records} records arrived: ${ok ? 'nothing lost, nothing changed' : 'FAILED'}`);
}
// A writer that waits for a reader which is gone would keep the process.
process.exit(ok ? 0 : 1);
