import { afterAll, describe, expect, it } from 'vitest';
import type { SoakConfig } from '#ackgate/soak/config.js';
import type { FindingId } from '#ackgate/soak/findings.js';
import type { Ended } from '#ackgate/soak/run-record.js';
import { artifacts, briefConfig, leftBehind, type Soaked, soak, trendConfig } from './support/soak-wrong.js';

// Servers that are wrong on purpose, soaked for real: each defect must be found, and named by its own findings. Where a
// defect takes hours, its rate is raised. Defects that have nothing to do with each other share a server.

interface Case {
  name: string;
  defects: string[];
  config: SoakConfig;
  found: FindingId[];
  /** Follow from the defects as well, not every time. */
  also?: FindingId[];
  ended?: Ended['why'];
  /** In the detail of the first of `found`. */
  says?: RegExp;
}

/** Memory goes up and down too much for these, which is not wrong. */
const swings: FindingId[] = ['footprint-growth', 'footprint-plateau', 'peak-transient'];

/** These take their time, and little else. */
const longCases: Case[] = [
  {
    name: 'leaks memory under a sawtooth, answers twice, never closes its side',
    defects: ['leaks-memory=18000', 'sawtooth=40,900', 'doubles-answers=500', 'half-open'],
    config: trendConfig,
    found: ['leak-rss', 'loss-duplicated', 'orphans'],
    also: swings,
  },
  {
    name: 'leaks descriptors and threads, succeeds where it should fail, drops answers',
    defects: ['leaks-descriptors=1000', 'leaks-threads=1000', 'succeeds-wrongly', 'drops-answers=2000'],
    config: { ...trendConfig, requestsPerSecond: 1000 },
    found: ['leak-fds', 'leak-threads', 'loss-success', 'loss-missing'],
    // Each thread has megabytes of its own.
    also: ['leak-rss', 'footprint-answered', ...swings],
  },
  {
    name: 'slows down from window to window, swaps answers',
    // By far more than what a busy machine could explain.
    defects: ['slows-down=80,1500,50', 'swaps-answers=300'],
    config: {
      ...trendConfig,
      requestsPerSecond: 400,
      requestTimeoutMs: 10_000,
      footprint: { ...briefConfig.footprint, requests: 0 },
      burst: { ...briefConfig.burst, requests: 0 },
      thresholds: { ...trendConfig.thresholds, windowAnswersMin: 100 },
    },
    found: ['degradation', 'loss-order'],
    also: ['degradation-slow', 'loss-missing'],
  },
  {
    name: 'right, with a warm-up of 80 MiB after the footprint was taken',
    defects: ['warms-up=80,150,3100'],
    config: {
      ...trendConfig,
      required: [
        'ready',
        'completed',
        'footprint-idle',
        'footprint-growth',
        'footprint-answered',
        'leak-fds',
        'leak-threads',
        'loss-missing',
        'loss-duplicated',
        'loss-order',
        'loss-content',
        'loss-connections',
        'loss-success',
        'orphans',
      ],
    },
    found: [],
  },
  {
    name: 'needs 300 MiB idle, and 64 MiB more in a burst; does not end when asked to',
    defects: ['idles-large=300', 'bursts-memory=64,40', 'ignores-sigterm'],
    config: { ...briefConfig, durationSeconds: 1, burst: { requests: 10_000, concurrency: 512 } },
    found: ['footprint-idle', 'peak-transient'],
    also: ['footprint-plateau'],
  },
];

const briefCases: Case[] = [
  {
    name: 'drops one answer in 10^5',
    defects: ['drops-answers=100000'],
    config: {
      ...briefConfig,
      durationSeconds: 1,
      requestTimeoutMs: 4000,
      footprint: { requests: 101_000, concurrency: 64 },
    },
    found: ['loss-missing', 'footprint-answered'],
    also: swings,
  },
  {
    name: 'crashes in the middle of the load',
    defects: ['crashes=3200'],
    config: briefConfig,
    found: ['completed'],
    ended: 'died',
    says: /code 1\b/,
    // Answers that were on their way.
    also: ['loss-missing', 'loss-connections', 'loss-success', ...swings],
  },
  {
    name: 'dies in the settle time',
    defects: ['dies-late=50'],
    config: { ...briefConfig, settleSeconds: 0.5 },
    found: ['completed'],
    ended: 'died',
    says: /code 7\b/,
    also: swings,
  },
  {
    name: 'listens and says nothing',
    defects: ['silent'],
    config: { ...briefConfig, readySeconds: 2 },
    found: ['ready'],
    ended: 'not-ready',
    also: ['completed'],
  },
  {
    name: 'never listens',
    defects: ['deaf'],
    config: { ...briefConfig, readySeconds: 1 },
    found: ['ready'],
    ended: 'not-ready',
    also: ['completed'],
  },
  {
    name: 'refuses all connections',
    defects: ['refuses'],
    config: { ...briefConfig, readySeconds: 1 },
    found: ['ready'],
    ended: 'not-ready',
    also: ['completed'],
  },
  {
    name: 'keeps 4 KiB of each request, ends connections',
    defects: ['keeps-requests=4096', 'ends-connections=500'],
    config: {
      ...briefConfig,
      footprint: { requests: 8000, concurrency: 16 },
      thresholds: { ...briefConfig.thresholds, bytesPerRequestFromRequests: 5000 },
    },
    found: ['footprint-per-request', 'loss-connections'],
    // What was asked on a connection when it ended.
    also: ['loss-missing', 'loss-success', 'footprint-answered', 'orphans', ...swings],
  },
];

const table: Record<string, { verdict: string; ended: string; failed: string }> = {};
const details: string[] = [];

function note(name: string, { result, failed }: Soaked): void {
  const { verdict, findings, record } = result;
  table[name] = { verdict, ended: record.ended.why, failed: failed.join(', ') };
  details.push(`${name}:`);
  for (const finding of findings) {
    if (finding.verdict === 'fail') details.push(`  ${finding.id}: ${finding.detail}`);
  }
}

describe('servers that are wrong on purpose', () => {
  afterAll(() => {
    console.table(table);
    console.log(details.join('\n'));
    expect(leftBehind()).toEqual([]);
  });

  describe.each([
    { kind: 'over seconds', cases: longCases },
    { kind: 'at once', cases: briefCases },
  ])('found $kind', ({ cases }) => {
    for (const each of cases) {
      const { name, found } = each;
      it.concurrent(`${name}: ${found.length === 0 ? 'nothing is found' : found.join(', ')}`, () =>
        check(each));
    }
  });
});

async function check({ name, defects, config, found, also = [], ended = 'time', says }: Case): Promise<void> {
  const soaked = await soak(defects, config);
  note(name, soaked);
  const { result, failed, written, reported } = soaked;
  const missed = result.findings.filter(({ id, verdict }) => found.includes(id) && verdict !== 'fail');
  expect(missed).toEqual([]);
  const latency: string[] = ['degradation', 'degradation-slow'];
  const allowed: string[] = [...found, ...also, ...latency];
  expect(failed.filter((id) => !allowed.includes(id))).toEqual([]);
  expect(result.record.ended.why).toBe(ended);
  expect(result.verdict).toBe(found.length === 0 ? 'pass' : 'fail');
  expect(reported.verdict).toBe(result.verdict);
  expect(written).toEqual(artifacts);
  if (says !== undefined) expect(result.findings.find(({ id }) => id === found[0])?.detail).toMatch(says);
}
