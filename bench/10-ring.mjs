// What a record costs from one end of the output ring to the other, on one thread and between two, beside a naive
// ring of bytes and a plain array; and how many garbage collections that takes.
//
//   node bench/10-ring.mjs [--json] [--smoke]

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { countCollections } from './support/collections.mjs';
import { connectionId, expectedSum, firstSeq, ringVariants } from './support/ring-variants.mjs';
import { interleaved, machine } from './support/rounds.mjs';
import { createRings, openTwoThreads } from './support/two-threads.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const records = smoke ? 50_000 : 4_000_000;
const rounds = smoke ? 2 : 7;
const batch = 64;
const capacity = 4096;
const payload = new Uint8Array(48).fill(3);

/** Writes and reads in turn, on this thread. */
function oneThread({ writer, reader }) {
  const rings = createRings({ capacity, payloadBytes: payload.length });
  const state = { sum: new Float64Array(1) };
  const write = writer(rings, payload);
  const read = reader(rings, state);
  return () => {
    state.sum[0] = 0;
    const start = process.hrtime.bigint();
    for (let i = 0; i < records; ) {
      const end = Math.min(records, i + batch);
      for (; i < end; i++) if (!write(i)) throw new Error('full');
      for (let left = batch; left > 0; ) {
        const taken = read(left);
        if (taken === 0) break;
        left -= taken;
      }
    }
    const ns = Number(process.hrtime.bigint() - start) / records;
    if (state.sum[0] !== expectedSum(records, payload)) throw new Error('records were lost or changed');
    return ns;
  };
}

/** An object and a copy of its payload per record, in a plain array: what one thread would do without a ring. */
function plainArray() {
  let queue = [];
  return oneThread({
    writer: () => (i) => queue.push({ connectionId, wireSeq: firstSeq + i, payload: payload.slice() }) > 0,
    reader: (_, state) => () => {
      for (const record of queue) state.sum[0] += record.wireSeq - firstSeq + record.payload[0];
      const taken = queue.length;
      queue = [];
      return taken;
    },
  });
}

/** Collections while `run` runs once more, after it was warmed up. */
function collectionsOf(run) {
  for (let warm = 0; warm < 3; warm++) run();
  return countCollections(run);
}

const single = Object.fromEntries(
  Object.entries(ringVariants).map(([name, variant]) => [name, () => oneThread(variant)]),
);
single['plain array'] = plainArray;

// Each in a process of its own, with a young generation of a megabyte: an object per record would show as dozens.
const counted = process.argv.indexOf('--collections');
if (counted >= 0) {
  process.stdout.write(String(await collectionsOf(single[process.argv[counted + 1]]())));
  process.exit(0);
}
const gc = {};
for (const name of Object.keys(single)) {
  const self = fileURLToPath(import.meta.url);
  const args = ['--max-semi-space-size=1', self, '--collections', name, ...(smoke ? ['--smoke'] : [])];
  gc[name] = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

const oneThreadNs = interleaved(
  Object.fromEntries(Object.entries(single).map(([name, make]) => [name, make()])),
  rounds,
);

const pairs = {};
for (const name of Object.keys(ringVariants)) pairs[name] = await openTwoThreads(name, { capacity, payload });
const twoThreadsNs = interleaved(
  Object.fromEntries(Object.entries(pairs).map(([name, { run }]) => [name, () => run(records)])),
  rounds,
);
for (const { end } of Object.values(pairs)) await end();

const rows = Object.keys(single).map((name) => ({
  name,
  oneThreadNs: oneThreadNs[name],
  twoThreadsNs: twoThreadsNs[name] ?? null,
  collections: gc[name],
}));
if (json) {
  console.log(
    JSON.stringify({
      machine: machine(),
      records,
      rounds,
      payloadBytes: payload.length,
      batch,
      capacity,
      rows,
    }),
  );
} else {
  const { node, kernel, cpu, cpus } = machine();
  console.log(
    `ring: ${records} records of ${payload.length} bytes per round, ${rounds} rounds in turn, batches of ${batch}`,
  );
  console.log(`Node ${node}, Linux ${kernel}, ${cpu}, ${cpus} CPUs\n`);
  console.log('ns per record: median (quartiles)  one thread             two threads            collections');
  const cell = (ns) =>
    (ns === null ? '–' : `${ns.median.toFixed(1)} (${ns.low.toFixed(1)} – ${ns.high.toFixed(1)})`).padEnd(23);
  for (const row of rows) {
    console.log(`${row.name.padEnd(35)}${cell(row.oneThreadNs)}${cell(row.twoThreadsNs)}${row.collections}`);
  }
}
