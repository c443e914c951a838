// What the parts cost by themselves: the ring between two threads beside `postMessage` and ringbuf.js, policy
// evaluation, the whole stage with a sender that takes everything at once, a heartbeat tick; and how often memory is
// collected while records go through.
//
//   node bench/20-micro.mjs [--json] [--smoke] [CASE ...]

import { fileURLToPath } from 'node:url';
import { cases } from './support/micro-cases.mjs';
import { peerRounds } from './support/peer-rounds.mjs';
import { machine, spread } from './support/rounds.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const rounds = smoke ? 2 : 9;
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const unknown = wanted.find((name) => !(name in cases));
if (unknown !== undefined) throw new Error(`no case ${unknown}; there are ${Object.keys(cases).join(', ')}`);
const names = Object.keys(cases).filter((name) => wanted.length === 0 || wanted.includes(name));

const program = fileURLToPath(new URL('./support/micro-case.mjs', import.meta.url));
const inUnit = { ns: (ns) => ns, us: (ns) => ns / 1000, 'per second': (ns) => 1e9 / ns, count: (n) => n };

async function measure() {
  const programs = names.map((name) => [name, [program, name, ...(smoke ? ['--smoke'] : [])]]);
  const samples = await peerRounds(Object.fromEntries(programs), rounds);
  return Object.fromEntries(names.map((name) => [name, samples[name].map(inUnit[cases[name].unit])]));
}

/** Round by round: what slows the machine down for a while slows both. */
function ratio(samples, over, under) {
  if (samples[over] === undefined || samples[under] === undefined) return null;
  return spread(samples[over].map((figure, round) => figure / samples[under][round]));
}

function report(results, ratios) {
  const { node, kernel, cpu, cpus } = machine();
  console.log(`${rounds} rounds in turn: median (quartiles)`);
  console.log(`Node ${node}, Linux ${kernel}, ${cpu}, ${cpus} CPUs\n`);
  const show = (figure, unit) =>
    unit === 'per second' ? `${(figure / 1e6).toFixed(2)} M` : figure.toFixed(unit === 'count' ? 0 : 1);
  for (const { name, unit, median, low, high, goal } of results) {
    const figures = `${show(median, unit)} (${show(low, unit)} – ${show(high, unit)}) ${unit}`;
    console.log(`${name.padEnd(34)}${figures.padEnd(42)}${goal === null ? '' : `goal ${goal}`}`);
  }
  for (const [name, value] of Object.entries(ratios)) {
    if (value !== null) {
      const { median, low, high } = value;
      console.log(`${name.padEnd(34)}${median.toFixed(1)} (${low.toFixed(1)} – ${high.toFixed(1)})`);
    }
  }
}

const samples = await measure();
const results = names.map((name) => {
  const { unit, goal = null } = cases[name];
  return { name, unit, ...spread(samples[name]), goal };
});
const ratios = {
  ringOverPostMessage: ratio(samples, 'ring-two-threads', 'post-message-two-threads'),
  ringOverPostMessageBatches: ratio(samples, 'ring-two-threads', 'post-message-batches-two-threads'),
  ringOverRingbuf: ratio(samples, 'ring-two-threads', 'ringbuf-js-two-threads'),
};
if (json) {
  const medians = Object.fromEntries(
    Object.entries(ratios).map(([name, value]) => [name, value?.median ?? null]),
  );
  console.log(
    JSON.stringify({
      bench: 'micro',
      machine: machine(),
      smoke,
      rounds,
      cases: results,
      ratios: medians,
      ratioSpreads: ratios,
    }),
  );
} else {
  report(results, ratios);
}
