// What sending a response costs, from the output ring to the kernel: the CPU of the sending thread by its own clock, and
// responses per second. The whole stage on both backends, beside two C programs over liburing (bench/reference/) and
// what one writes with `net.Socket` today. All of them send the same frames to the same clients: C programs that read
// everything, in a process of their own. They take turns, round after round, and each ratio is taken within a round,
// so that what else the machine does falls on both of its sides.
//
//   node bench/50-egress.mjs [--json] [--quick | --smoke]
//
// `--quick` measures only the case that the ratios are quoted from.

import { fileURLToPath } from 'node:url';
import { buildReference, reference, uringFault } from './support/reference.mjs';
import { machine, spread } from './support/rounds.mjs';
import { cpuNs, measureInTurn, perSecond } from './support/senders.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const quick = process.argv.includes('--quick');
/** How long one variant is at it in one round, in milliseconds. */
const roundMs = smoke ? 10 : 120;
const rounds = smoke ? 2 : quick ? 15 : 9;
const warmUps = smoke ? 1 : 3;

const headline = { connections: 256, frames: 4, bytes: 64, order: 'grouped' };
const cases = smoke || quick ? [headline] : allCases();

function allCases() {
  const all = [];
  for (const connections of [1, 16, 256, 1024, 4096]) {
    for (const bytes of [64, 256, 1024]) {
      for (const frames of [1, 4, 16]) all.push({ connections, frames, bytes, order: 'grouped' });
    }
  }
  // The frames of a connection are not in a row: the stage must not send each on its own.
  for (const frames of [4, 16]) all.push({ ...headline, frames, order: 'interleaved' });
  return all;
}

const path = (name) => fileURLToPath(new URL(`senders/${name}.mjs`, import.meta.url));

function programs({ connections, frames, bytes }) {
  const count = String(connections);
  const stage = (backend) => [path('stage'), count, backend, String(bytes), String(connections * frames)];
  return {
    limit: [reference('limit'), count],
    classic: [reference('classic'), count],
    uring: stage('uring'),
    posix: stage('posix'),
    socket: [path('socket'), count, 'frame'],
    corked: [path('socket'), count, 'corked'],
  };
}

/** Only `posix` and `net.Socket` are there without io_uring. */
const measure = async (shape) => {
  const all = Object.entries(programs(shape)).filter(
    ([name, argv]) => argv[0] !== null && (name !== 'uring' || noUring === null),
  );
  const there = Object.fromEntries(all.map(([name, argv]) => [name, { argv }]));
  return summary(shape, await measureInTurn(there, shape, { rounds, roundMs, warmUps }));
};

function summary(shape, samples) {
  const ratio = (over, under, value) =>
    samples[over] && samples[under]
      ? spread(samples[over].map((result, round) => value(result) / value(samples[under][round])))
      : null;
  const variants = Object.fromEntries(
    Object.entries(samples).map(([name, results]) => [
      name,
      {
        cpuNs: spread(results.map(cpuNs)),
        perSecond: spread(results.map(perSecond)),
        ...('sends' in results[0] && {
          sendsPerResponse: spread(results.map((result) => result.sends / result.responses)).median,
        }),
      },
    ]),
  );
  return {
    ...shape,
    variants,
    ratios: {
      stageOverLimit: ratio('uring', 'limit', cpuNs),
      posixOverLimit: ratio('posix', 'limit', cpuNs),
      classicOverStage: ratio('classic', 'uring', cpuNs),
      netSocketOverStage: ratio('socket', 'uring', cpuNs),
      corkedOverStage: ratio('corked', 'uring', cpuNs),
      throughputStageOverLimit: ratio('uring', 'limit', perSecond),
    },
  };
}

function print({ connections, frames, bytes, order, variants, ratios }) {
  console.log(`\n${connections} connections, ${frames} frames each, ${bytes} B, ${order}`);
  for (const [name, { cpuNs, perSecond }] of Object.entries(variants)) {
    const quartiles = `(${cpuNs.low.toFixed(0)}–${cpuNs.high.toFixed(0)})`;
    console.log(
      `  ${name.padEnd(8)}${cpuNs.median.toFixed(0).padStart(7)} ns of CPU per response ${quartiles.padEnd(15)}` +
        `${Math.round(perSecond.median).toLocaleString('en').padStart(11)} a second`,
    );
  }
  const words = Object.entries(ratios)
    .filter(([, value]) => value !== null)
    .map(
      ([name, { median, low, high }]) =>
        `${name} ${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`,
    );
  console.log(`  ${words.join(', ')}`);
}

buildReference();
const noUring = uringFault();
if (noUring !== null) console.error(`without io_uring: ${noUring}`);
const results = [];
if (!json) console.log(`${rounds} rounds, median (quartiles); ${JSON.stringify(machine())}`);
for (const shape of cases) {
  const result = await measure(shape);
  results.push(result);
  if (!json) print(result);
}
if (json) {
  const quoted = results.find((result) =>
    Object.keys(headline).every((key) => result[key] === headline[key]),
  );
  const median = (name) => quoted.ratios[name]?.median ?? null;
  console.log(
    JSON.stringify({
      bench: 'egress',
      machine: machine(),
      smoke,
      quick,
      rounds,
      cases: results,
      ratios: {
        stageOverLimit: median('stageOverLimit'),
        classicOverStage: median('classicOverStage'),
        netSocketOverStage: median('netSocketOverStage'),
        corkedOverStage: median('corkedOverStage'),
      },
    }),
  );
}
