import { headline } from './benches.mjs';
import { large, middle, notMeasured, number, ratio, spread } from './format.mjs';
import { findCase } from './variants.mjs';

const atMost = (limit) => ({ text: `≤ ${number(limit)}`, holds: (value) => value <= limit });
const atLeast = (limit) => ({ text: `≥ ${number(limit)}`, holds: (value) => value >= limit });
const worded = (text, goal) => ({ ...goal, text });
const hundredths = (bound, limit, sign) => worded(`${sign} ${ratio(limit)}`, bound(limit));

const egressRatio = (name, frames) => (results) =>
  findCase(results.egress?.cases, { ...headline, frames })?.ratios?.[name];
const headlineRatio = (name) => (results) =>
  egressRatio(name, headline.frames)(results) ?? results.egress?.ratios?.[name];
const isolation = (sickness) => (results) =>
  results.isolation?.cases?.find((one) => one.variant === 'ackgate' && one.sickness === sickness)?.p99Ratio;
const roundTrip = (results) =>
  results.latency?.pingPong?.find((one) => one.idle === 'spin')?.ratio ??
  results.latency?.ratios?.pingPongP50StageOverLimit;
const ratioOf = (bench, name) => (results) =>
  results[bench]?.ratioSpreads?.[name] ?? results[bench]?.ratios?.[name];

/** What one of a unit is in the unit that a goal is about. */
const scales = {
  ns: { ns: 1, us: 1000, µs: 1000, ms: 1e6 },
  µs: { ns: 1e-3, us: 1, µs: 1, ms: 1000 },
  'per second': { 'per second': 1, '/s': 1, 'million per second': 1e6, 'M/s': 1e6 },
  count: { count: 1 },
};

/** A figure of the micro bench in `unit`; undefined when it is missing or in a unit that can't become that. */
const micro = (name, unit) => (results) => {
  const { median, low, high, unit: from } = results.micro?.cases?.find((one) => one.name === name) ?? {};
  const scale = scales[unit][from];
  if (scale === undefined) return undefined;
  return { median: median * scale, low: low * scale, high: high * scale };
};

const shape = `${headline.connections} connections × ${headline.frames} frames × ${headline.bytes} B`;
/** What the project set out to reach. `measured` takes the results by bench; undefined: not measured. */
const goals = [
  {
    what: `CPU per response, whole stage ÷ \`limit\`, ${shape}`,
    goal: hundredths(atMost, 1.1, '≤'),
    measured: headlineRatio('stageOverLimit'),
    write: ratio,
  },
  {
    what: 'the same with 1 frame per connection and round',
    goal: hundredths(atMost, 1.15, '≤'),
    measured: egressRatio('stageOverLimit', 1),
    write: ratio,
  },
  {
    what: 'the same with 16 frames per connection and round',
    goal: hundredths(atMost, 1.2, '≤'),
    measured: egressRatio('stageOverLimit', 16),
    write: ratio,
  },
  {
    what: 'responses per second, whole stage ÷ `limit`',
    goal: hundredths(atLeast, 0.95, '≥'),
    measured: headlineRatio('throughputStageOverLimit'),
    write: ratio,
  },
  {
    what: 'CPU per response, `classic` ÷ Ackgate',
    goal: hundredths(atLeast, 1, '≥'),
    measured: headlineRatio('classicOverStage'),
    write: ratio,
  },
  {
    what: 'CPU per response, `net.Socket` with a write per frame ÷ Ackgate',
    goal: hundredths(atLeast, 4, '≥'),
    measured: headlineRatio('netSocketOverStage'),
    write: ratio,
  },
  {
    what: 'CPU per response, `net.Socket` corked ÷ Ackgate',
    goal: hundredths(atLeast, 1.8, '≥'),
    measured: headlineRatio('corkedOverStage'),
    write: ratio,
  },
  {
    what: 'the stage alone (a sender that takes everything at once), 64 B, per record',
    goal: worded('≤ 120 ns', atMost(120)),
    measured: micro('stage-null-sender', 'ns'),
    write: number,
    unit: 'ns',
  },
  {
    what: 'garbage collections in 10 million records',
    goal: worded('0', atMost(0)),
    measured: micro('collections', 'count'),
    write: number,
  },
  {
    what: 'round trip p50, the stage spins, Ackgate ÷ `limit`',
    goal: hundredths(atMost, 1.25, '≤'),
    measured: roundTrip,
    write: ratio,
  },
  ...[
    ['stopped', 'that stopped reading'],
    ['trickle', 'that read a trickle'],
    ['reset', 'that reset'],
  ].map(([sickness, words]) => ({
    what: `p99 of the healthy clients with sick ones ${words} ÷ without`,
    goal: hundredths(atMost, 1.2, '≤'),
    measured: isolation(sickness),
    write: ratio,
  })),
  {
    what: 'CPU per response at 4,096 connections ÷ at 64, the same load',
    goal: hundredths(atMost, 1.3, '≤'),
    measured: ratioOf('scale', 'cpu4096Over64'),
    write: ratio,
  },
  {
    what: 'resident bytes per idle connection, beyond the socket’s own',
    goal: worded('≤ 8,192', atMost(8192)),
    measured: (results) => results.scale?.idle?.bytesPerConnectionAfterUse,
    write: number,
  },
  {
    what: 'largest gap between two answers to one of 100 clients that stay while others come and go',
    goal: worded('≤ 250 ms', atMost(250)),
    measured: (results) => results.churn?.busy?.gapMsMax,
    write: number,
    unit: 'ms',
  },
  {
    what: 'ring, 64 B records, two threads, records a second',
    goal: worded('≥ 10 M', atLeast(10e6)),
    measured: micro('ring-two-threads', 'per second'),
    write: large,
  },
  {
    what: 'the same ÷ `postMessage`',
    goal: worded('≥ 30', atLeast(30)),
    measured: ratioOf('micro', 'ringOverPostMessage'),
    write: number,
  },
  {
    what: 'policy evaluations a second, 3 nodes, 2 clauses',
    goal: worded('≥ 20 M', atLeast(20e6)),
    measured: micro('policy-evaluation', 'per second'),
    write: large,
  },
  {
    what: 'heartbeat tick, 16,384 connections, nothing due',
    goal: worded('≤ 20 µs', atMost(20)),
    measured: micro('heartbeat-tick', 'µs'),
    write: number,
    unit: 'µs',
  },
];

/** Every goal with what was measured, as text; `met` is null where nothing was. */
export function judgeGoals(results) {
  return goals.map(({ what, goal, measured, write, unit = '' }) => {
    const value = measured(results);
    const median = middle(value);
    return {
      what,
      goal: goal.text,
      measured: median === null ? notMeasured : `${spread(value, write)} ${unit}`.trimEnd(),
      met: median === null ? null : goal.holds(median),
    };
  });
}
