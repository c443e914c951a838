import { afterAll, describe, expect, it } from 'vitest';
import { type FindingId, findingIds, verdictOf } from '#ackgate/soak/findings.js';
import { judgeRun } from '#ackgate/soak/judge-run.js';
import { recordOf, rightServer, type ServerModel } from './support/soak-series.js';

// Defects that take hours to show, in measurements made up from a model of the server. Each must be named by its own
// findings and by no others, whatever the noise, and a server without a defect by none.

const MiB = 1024 * 1024;
/** A false alarm is the rarer thing to see. */
const seedsOf = (found: readonly FindingId[]) => (found.length === 0 ? 200 : 50);

interface Case {
  name: string;
  model: Partial<ServerModel>;
  /** Every time. */
  found: FindingId[];
  /** Follow from the defect where it has had the time. */
  also?: FindingId[];
}

const growth: FindingId[] = ['footprint-growth', 'footprint-plateau', 'footprint-per-request'];

const cases: Case[] = [
  { name: 'right, 4 h', model: {}, found: [] },
  { name: 'right, 24 h', model: { hours: 24, warmupHours: 1 }, found: [] },
  {
    name: 'right, warms up by 80 MiB (τ 20 min)',
    model: { hours: 12, warmupHours: 1, warmupMiB: 80 },
    found: [],
  },
  { name: 'leaks 15 MiB/h under a sawtooth', model: { leakedMiB: 15 }, found: ['leak-rss'], also: growth },
  {
    name: 'leaks 15 MiB/h and warms up',
    model: { leakedMiB: 15, warmupMiB: 80, warmupHours: 1, requestsPerSecond: 200 },
    found: ['leak-rss'],
    also: growth,
  },
  {
    name: 'leaks 15 MiB/h of heap',
    model: { leakedHeapMiB: 15 },
    found: ['leak-rss', 'leak-heap'],
    also: growth,
  },
  {
    name: 'leaks 7 MiB/h where 5 MiB/h count',
    model: { hours: 12, leakedMiB: 7, thresholds: { secondHalfBytesPerHourMax: 5 * MiB } },
    found: ['leak-second-half'],
    also: growth,
  },
  {
    name: 'leaks one descriptor per 1,000 requests',
    model: { hours: 12, requestsPerLeakedDescriptor: 1000 },
    found: ['leak-fds'],
  },
  {
    name: 'leaks one descriptor per 200,000 requests',
    model: { hours: 12, requestsPerLeakedDescriptor: 200_000 },
    found: ['leak-fds'],
  },
  { name: 'leaks two threads an hour', model: { hours: 12, leakedThreads: 2 }, found: ['leak-threads'] },
  { name: 'slows down by 1 % a window', model: { hours: 12, slowdownPercent: 1 }, found: ['degradation'] },
  {
    name: 'slow operations slow down by 1 % a window',
    model: { hours: 12, slowOperationSlowdownPercent: 1 },
    found: ['degradation-slow'],
  },
  { name: 'drops one answer in 10^5', model: { requestsPerDrop: 100_000 }, found: ['loss-missing'] },
];

const table: Record<string, Record<string, number>> = {};

describe('defects that take hours', () => {
  afterAll(() => {
    console.log('So many runs, and how many of them each finding failed:');
    console.table(table);
  });

  for (const { name, model, found, also = [] } of cases) {
    it(`${name}: ${found.length === 0 ? 'nothing is found' : found.join(', ')}`, { timeout: 120_000 }, () => {
      const seeds = seedsOf(found);
      const failed = new Map<FindingId, number>();
      const verdicts = new Set<string>();
      for (let seed = 1; seed <= seeds; seed += 1) {
        const findings = judgeRun(recordOf({ ...rightServer, ...model }, seed));
        expect(findings.map(({ id }) => id)).toEqual([...findingIds]);
        for (const { id, verdict } of findings) {
          if (verdict === 'fail') failed.set(id, (failed.get(id) ?? 0) + 1);
        }
        verdicts.add(verdictOf(findings));
      }
      table[name] = { runs: seeds, ...Object.fromEntries(failed) };
      for (const id of also) failed.delete(id);
      expect(Object.fromEntries(failed)).toEqual(Object.fromEntries(found.map((id) => [id, seeds])));
      expect([...verdicts]).toEqual([found.length === 0 ? 'pass' : 'fail']);
    });
  }
});
