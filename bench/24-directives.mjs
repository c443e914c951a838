// What it costs to ask how closely to look at a piece of traffic, by sets of 0 to 256 directives: with targets that
// don't match (what most traffic meets), with one that matches last, with sampling by a number and by a text; and the
// bytes of heap that an evaluation allocates.
//
//   node bench/24-directives.mjs [--json] [--smoke]

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DirectiveEvaluator, StaticStore } from '#ackgate/directives/index.js';
import { interleaved, machine } from './support/rounds.mjs';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const evaluationsOf = (count) => Math.ceil((smoke ? 200_000 : 20_000_000) / (count + 4));
const rounds = smoke ? 2 : 9;
const sizes = [0, 1, 16, 256];
const nowMs = Date.now();
const expiresAt = nowMs + 3_600_000;

/** What the directives of a case ask for, what is asked about, and the level that must come out with any directives. */
const cases = {
  'none matches': {
    targets: (i) => ({ tenant: `tenant-${i}`, connection: i + 1 }),
    slice: (i) => ({ tenant: 'acme', connection: 1000 + (i & 7), kind: 'order', requestId: i + 1 }),
    level: () => 'off',
  },
  'the last one matches': {
    targets: (i, count) => (i === count - 1 ? { tenant: 'acme' } : { tenant: `tenant-${i}` }),
    slice: (i) => ({ tenant: 'acme', connection: 1000 + (i & 7), kind: 'order', requestId: i + 1 }),
    level: (count) => (count === 0 ? 'off' : 'capture'),
  },
  'sampled, id a number': {
    targets: (i) => ({ samplePerMille: 0, salt: `salt-${i}` }),
    slice: (i) => ({ tenant: 'acme', connection: 7, kind: 'order', requestId: 1_000_000 + i }),
    level: () => 'off',
  },
  'sampled, id a text': {
    targets: (i) => ({ samplePerMille: 0, salt: `salt-${i}` }),
    slice: (i) => ({ tenant: 'acme', connection: 7, kind: 'order', requestId: `req-${1_000_000 + i}` }),
    level: () => 'off',
  },
};

function prepared({ targets, slice, level }, count) {
  const set = Array.from({ length: count }, (_, i) => ({
    id: `d${i}`,
    level: 'capture',
    expiresAt,
    ...targets(i, count),
  }));
  const kinds = { order: 1, cancel: 2 };
  const store = new StaticStore(set, { kinds });
  const evaluator = new DirectiveEvaluator({ kinds });
  const slices = Array.from({ length: 64 }, (_, i) => slice(i));
  const expected = level(count);
  const evaluations = evaluationsOf(count);
  return () => {
    let wrong = 0;
    for (let i = 0; i < evaluations; i++) {
      if ((i & 1023) === 0) evaluator.use(store.load());
      if (evaluator.levelOf(slices[i & 63], nowMs) !== expected) wrong++;
    }
    if (wrong > 0) throw new Error(`${wrong} evaluations gave another level than ${expected}`);
    return evaluations;
  };
}

function timed(run) {
  const start = process.hrtime.bigint();
  const evaluations = run();
  return Number(process.hrtime.bigint() - start) / evaluations;
}

/** The smallest of several: a collection in between would hide some, and so would another thread add some. */
function bytesPerEvaluation(run) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    collect();
    const before = getHeapStatistics().used_heap_size;
    const evaluations = run();
    const bytes = (getHeapStatistics().used_heap_size - before) / evaluations;
    if (bytes >= 0) least = Math.min(least, bytes);
  }
  return least;
}

const runs = [];
for (const [name, one] of Object.entries(cases)) {
  for (const count of sizes) runs.push({ name, count, run: prepared(one, count) });
}
const keyOf = ({ name, count }) => `${name}, ${count}`;
const times = interleaved(Object.fromEntries(runs.map((one) => [keyOf(one), () => timed(one.run)])), rounds);
const results = runs.map((one) => ({
  case: one.name,
  directives: one.count,
  ns: times[keyOf(one)],
  bytes: bytesPerEvaluation(one.run),
}));

if (json) {
  console.log(JSON.stringify({ bench: 'directives', machine: machine(), smoke, rounds, results }));
} else {
  const { node, kernel, cpu, cpus } = machine();
  console.log(`${rounds} rounds in turn: ns per evaluation, median (quartiles), and bytes allocated`);
  console.log(`Node ${node}, Linux ${kernel}, ${cpu}, ${cpus} CPUs\n`);
  for (const { case: name, directives, ns, bytes } of results) {
    const time = `${ns.median.toFixed(1)} (${ns.low.toFixed(1)} – ${ns.high.toFixed(1)})`;
    console.log(
      `${name.padEnd(24)}${String(directives).padStart(4)}  ${time.padEnd(28)}${bytes.toFixed(2)} B`,
    );
  }
}
