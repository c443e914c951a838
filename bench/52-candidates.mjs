// What was considered on the way to the kernel, measured side by side: set-ups of io_uring, in the C program that does the
// least with each of them, and the limits at which the stage flushes inside a batch.
//
//   node bench/52-candidates.mjs [--json] [--smoke]

import { fileURLToPath } from 'node:url';
import { buildReference, reference, uringFault } from './support/reference.mjs';
import { machine, spread } from './support/rounds.mjs';
import { cpuNs, measureInTurn } from './support/senders.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const effort = smoke ? { rounds: 1, roundMs: 5, warmUps: 1 } : { rounds: 9, roundMs: 100, warmUps: 3 };

const shape = (connections, frames, bytes, order = 'grouped') => ({ connections, frames, bytes, order });

/** The first of each is what is in use; the others are compared with it. */
const setups = {
  'DEFER_TASKRUN, ring and files registered': '',
  COOP_TASKRUN: 'coop',
  'no flags': 'plain',
  'files not registered': 'files',
  'ring not registered': 'ring',
  'SQPOLL (its kernel thread not counted)': 'sqpoll',
};
const cadences = {
  'as shipped': {},
  'flushRecords 256': { flushRecords: 256 },
  'flushBytes 1,400': { flushBytes: 1400 },
  'flushRecords 256, flushBytes 1,400': { flushRecords: 256, flushBytes: 1400 },
  'flushRecords and recordsPerBatch 4,096': { flushRecords: 4096, recordsPerBatch: 4096 },
};
const stage = fileURLToPath(new URL('senders/stage.mjs', import.meta.url));

const setupPrograms = ({ connections }) =>
  Object.entries(setups).map(([name, env]) => [
    name,
    { argv: [reference('limit'), String(connections)], env: { LIMIT_SETUP: env } },
  ]);
const cadencePrograms = ({ connections, frames, bytes }) =>
  Object.entries(cadences).map(([name, options]) => {
    const numbers = [String(bytes), String(connections * frames)];
    return [name, { argv: [stage, String(connections), 'uring', ...numbers, JSON.stringify(options)] }];
  });

const comparisons = [
  { what: 'set-up of io_uring, in C', shape: shape(256, 4, 64), programs: setupPrograms },
  { what: 'cadence', shape: shape(256, 4, 64), programs: cadencePrograms },
  { what: 'cadence', shape: shape(256, 4, 64, 'interleaved'), programs: cadencePrograms },
  { what: 'cadence', shape: shape(256, 16, 64), programs: cadencePrograms },
  { what: 'cadence', shape: shape(256, 16, 256), programs: cadencePrograms },
];

async function measure({ what, shape, programs }) {
  const samples = await measureInTurn(Object.fromEntries(programs(shape)), shape, effort);
  const [inUse] = Object.values(samples);
  const rows = Object.entries(samples).map(([name, results]) => ({
    name,
    cpuNs: spread(results.map(cpuNs)),
    overInUse: spread(results.map((result, round) => cpuNs(result) / cpuNs(inUse[round]))),
  }));
  return { what, ...shape, rows };
}

function print({ what, connections, frames, bytes, order, rows }) {
  console.log(`\n${what}: ${connections} connections, ${frames} frames each, ${bytes} B, ${order}`);
  for (const { name, cpuNs, overInUse } of rows) {
    const { median, low, high } = overInUse;
    console.log(
      `  ${name.padEnd(42)}${cpuNs.median.toFixed(0).padStart(6)} ns of CPU per response, ` +
        `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)}) of the first`,
    );
  }
}

buildReference();
if (reference('limit') === null) {
  const skipped = `no io_uring: ${uringFault() ?? 'liburing is missing'}`;
  console.log(json ? JSON.stringify({ bench: 'candidates', skipped }) : `skipped: ${skipped}`);
  process.exit(0);
}
if (!json) console.log(`${effort.rounds} rounds, median (quartiles); ${JSON.stringify(machine())}`);
const results = [];
for (const comparison of comparisons) {
  results.push(await measure(comparison));
  if (!json) print(results.at(-1));
}
if (json)
  console.log(JSON.stringify({ bench: 'candidates', machine: machine(), smoke, comparisons: results }));
