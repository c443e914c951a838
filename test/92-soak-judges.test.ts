import { describe, expect, test } from 'vitest';
import type { Finding, FindingId, Verdict } from '#ackgate/soak/findings.js';
import {
  judgeFootprint,
  judgeLoadPlateau,
  judgePerRequest,
  judgePerRequestOf,
} from '#ackgate/soak/judges/footprint.js';
import { judgeLoss } from '#ackgate/soak/judges/loss.js';
import { judgeCompleted, judgeOrphans, judgeReady } from '#ackgate/soak/judges/outcome.js';
import { judgePeak } from '#ackgate/soak/judges/peak.js';
import type { Ended, FootprintRecord } from '#ackgate/soak/run-record.js';
import { type LossCounts, noLosses } from '#ackgate/soak/samples.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';

// What a single reading, or a few, are worth: the limits themselves, and what can't be.

const MiB = 1024 * 1024;

const verdict = (findings: readonly Finding[], id: FindingId): Verdict =>
  findings.find((finding) => finding.id === id)!.verdict;

const figure = ({ measured }: Finding, name: string) =>
  measured.find((found) => found.name === name)?.value ?? null;

const footprint = (reading: Partial<FootprintRecord>) =>
  judgeFootprint(
    {
      idleRssBytes: 100 * MiB,
      halfRssBytes: 110 * MiB,
      finalRssBytes: 112 * MiB,
      requests: 50_000,
      answered: 50_000,
      ...reading,
    },
    defaultThresholds,
  );

describe('footprint', () => {
  test('passes where all is well', () => {
    expect(footprint({}).map(({ id, verdict }) => [id, verdict])).toEqual([
      ['footprint-idle', 'pass'],
      ['footprint-growth', 'pass'],
      ['footprint-plateau', 'pass'],
      ['footprint-answered', 'pass'],
      ['footprint-per-request', 'pass'],
    ]);
  });

  test.each<[number | null, Verdict]>([
    [256 * MiB, 'pass'],
    [256 * MiB + 1, 'fail'],
    [1, 'pass'],
    [0, 'fail'],
    [-1, 'fail'],
    [Number.NaN, 'fail'],
    [Number.POSITIVE_INFINITY, 'fail'],
    [null, 'inconclusive'],
  ])('idle at %s bytes: %s', (idleRssBytes, expected) => {
    expect(verdict(footprint({ idleRssBytes }), 'footprint-idle')).toBe(expected);
  });

  test('a limit that is missed by one byte does not read like one that is met', () => {
    const [idle] = footprint({ idleRssBytes: 256 * MiB + 1 });
    expect(idle!.detail).toBe('RSS is 256.0 MiB (268,435,457 bytes) before any request; at most 256.0 MiB');
  });

  test.each<[number | null, number | null, Verdict]>([
    [200 * MiB, 300 * MiB, 'pass'],
    [200 * MiB, 300 * MiB + 1, 'fail'],
    [20 * MiB, 84 * MiB, 'pass'],
    [20 * MiB, 84 * MiB + 1, 'fail'],
    [100 * MiB, 164 * MiB, 'pass'],
    [100 * MiB, 165 * MiB, 'fail'],
    [100 * MiB, 50 * MiB, 'pass'],
    [0, 10 * MiB, 'fail'],
    [100 * MiB, 0, 'fail'],
    [0, 0, 'fail'],
    [-100 * MiB, 10 * MiB, 'fail'],
    [100 * MiB, Number.NaN, 'fail'],
    [Number.POSITIVE_INFINITY, 100 * MiB, 'fail'],
    [null, 100 * MiB, 'inconclusive'],
    [100 * MiB, null, 'inconclusive'],
    [null, 0, 'fail'],
  ])('growth from %s to %s bytes: %s', (idleRssBytes, finalRssBytes, expected) => {
    expect(verdict(footprint({ idleRssBytes, finalRssBytes }), 'footprint-growth')).toBe(expected);
  });

  test('a step under load is growth, too, although no line shows it', () => {
    const reading = { idleRssBytes: 60, halfRssBytes: 70, finalRssBytes: 80, requests: 10, answered: 10 };
    const [idleRssBytes, halfRssBytes, finalRssBytes] = [60 * MiB, 70 * MiB, 80 * MiB];
    const stepping = (stepBytes: number) => {
      const points = Array.from({ length: 240 }, (_, i) => ({
        atMs: i * 60_000,
        value: 140 * MiB + (i < 60 ? 0 : stepBytes),
      }));
      const record = { ...reading, idleRssBytes, halfRssBytes, finalRssBytes };
      return judgeFootprint(record, defaultThresholds, { lives: [], series: [{ segment: 0, points }] })[1]!;
    };
    expect(stepping(0).verdict).toBe('pass');
    expect(stepping(70 * MiB).verdict).toBe('pass');
    expect(stepping(70 * MiB + 1).verdict).toBe('fail');
    expect(stepping(90 * MiB).detail).toContain('over the load');
  });

  test('growth is that of the first requests, and no matter of what fills up later', () => {
    const reading = { idleRssBytes: 100 * MiB, halfRssBytes: 110 * MiB, requests: 10, answered: 10 };
    const growth = (ofFirst: number, ofRun: number | null) => {
      const record = { ...reading, finalRssBytes: ofFirst };
      const life = { segment: 0, startRssBytes: 100 * MiB, endRssBytes: ofRun, requests: 10 };
      const run = { lives: [life], series: [] };
      return judgeFootprint(record, defaultThresholds, run)[1]!;
    };
    expect(growth(165 * MiB, 110 * MiB).verdict).toBe('fail');
    const passed = growth(110 * MiB, 180 * MiB);
    expect(passed.verdict).toBe('pass');
    expect(figure(passed, 'growthBytes')).toBe(10 * MiB);
  });

  test.each<[number | null, number | null, number | null, Verdict]>([
    [100, 140, 150, 'pass'],
    [100, 140, 150.001, 'fail'],
    [100, 104, 108, 'pass'],
    [100, 104, 108.001, 'fail'],
    [100, 100, 104, 'pass'],
    [100, 90, 94, 'pass'],
    [100, 90, 94.001, 'fail'],
    [100, 140, 100, 'pass'],
    [0, 140, 150, 'fail'],
    [100, 0, 4, 'fail'],
    [100, Number.NaN, 150, 'fail'],
    [100, null, 150, 'inconclusive'],
    [100, 140, null, 'inconclusive'],
    [null, 140, 150, 'inconclusive'],
  ])('plateau from %s over %s to %s MiB: %s', (idle, half, final, expected) => {
    const bytes = (value: number | null) => (value === null ? null : value * MiB);
    const reading = { idleRssBytes: bytes(idle), halfRssBytes: bytes(half), finalRssBytes: bytes(final) };
    expect(verdict(footprint(reading), 'footprint-plateau')).toBe(expected);
  });

  test('plateau is judged over the load as well, once it has eight windows', () => {
    const series = (windows: number, slope: number) =>
      Array.from({ length: windows * 10 }, (_, n) => ({ atMs: n * 1000, value: (100 + slope * n) * MiB }));
    expect(judgeLoadPlateau(series(7, 1), defaultThresholds)).toBeNull();
    expect(judgeLoadPlateau(series(8, 1), defaultThresholds)!.verdict).toBe('fail');
    expect(judgeLoadPlateau(series(8, 0), defaultThresholds)!.verdict).toBe('pass');
    const broken = series(8, 0).map((point, n) => (n === 40 ? { ...point, value: Number.NaN } : point));
    expect(judgeLoadPlateau(broken, defaultThresholds)!.verdict).toBe('inconclusive');
    const record = {
      idleRssBytes: 100 * MiB,
      halfRssBytes: 110 * MiB,
      finalRssBytes: 111 * MiB,
      requests: 1,
      answered: 1,
    };
    const run = { lives: [], series: [{ segment: 0, points: series(12, 1) }] };
    expect(verdict(judgeFootprint(record, defaultThresholds, run), 'footprint-plateau')).toBe('fail');
  });

  test.each<[number, number, Verdict]>([
    [50_000, 50_000, 'pass'],
    [50_000, 49_999, 'fail'],
    [50_000, 50_001, 'fail'],
    [50_000, 0, 'fail'],
    [0, 0, 'inconclusive'],
    [Number.NaN, 50_000, 'inconclusive'],
    [50_000, Number.NaN, 'inconclusive'],
    [50_000, -1, 'inconclusive'],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 'inconclusive'],
  ])('of %s requests %s answered: %s', (requests, answered, expected) => {
    expect(verdict(footprint({ requests, answered }), 'footprint-answered')).toBe(expected);
  });

  test.each<[number, number | null, Verdict]>([
    [1_000_000, 64_000_000, 'pass'],
    [1_000_000, 64_000_001, 'fail'],
    [999_999, 1_000_000_000, 'pass'],
    [1_000_000, -5, 'pass'],
    [0, 10, 'inconclusive'],
    [Number.NaN, 10, 'inconclusive'],
    [-1, 10, 'inconclusive'],
    [1_000_000, null, 'inconclusive'],
    [10, Number.NaN, 'fail'],
  ])('with %s requests a growth of %s bytes: %s', (requests, growth, expected) => {
    const idle = 50 * MiB;
    const final = growth === null ? null : idle + growth;
    expect(judgePerRequest(idle, final, requests, defaultThresholds).verdict).toBe(expected);
  });

  test('bytes per request are reported, though not judged, below a million requests', () => {
    const few = judgePerRequest(MiB, 2 * MiB, 1024, defaultThresholds);
    expect(few.measured.bytesPerRequest).toBe(1024);
    expect(few.detail).toContain('reported only');
    expect(judgePerRequest(MiB, 2 * MiB, 1e6, defaultThresholds).detail).not.toContain('reported only');
  });

  describe('bytes per request in several lives of the server', () => {
    const life = (segment: number, growthBytes: number | null, requests: number) => {
      const endRssBytes = growthBytes === null ? null : 50 * MiB + growthBytes;
      return { segment, startRssBytes: 50 * MiB, endRssBytes, requests };
    };
    test.each<[string, ReturnType<typeof life>[], Verdict, RegExp]>([
      [
        'the worse one counts',
        [life(0, 70e6, 1e6), life(1, 0, 2e6)],
        'fail',
        /^Life 1 of the server \(of 2\)/,
      ],
      ['wherever it is', [life(0, 0, 1e6), life(1, 200e6, 2e6)], 'fail', /^Life 2 of the server/],
      ['they are not added up', [life(0, 60e6, 1e6), life(1, 60e6, 1e6)], 'pass', /at most 64$/],
      ['a short one does not count', [life(0, 70e6, 1000), life(1, 0, 1e6)], 'pass', /^Life 2/],
      ['none has served enough', [life(0, 70e6, 5e5), life(1, 0, 5e5)], 'pass', /reported only/],
      ['one could not be read', [life(0, null, 1e6), life(1, 0, 1e6)], 'inconclusive', /could not be read/],
      ['one was not counted', [life(0, 0, Number.NaN), life(1, 0, 1e6)], 'inconclusive', /NaN/],
      ['there is none', [], 'inconclusive', /no reading/],
    ])('%s', (_, lives, expected, detail) => {
      const judgement = judgePerRequestOf(lives, defaultThresholds);
      expect(judgement.verdict).toBe(expected);
      expect(judgement.detail).toMatch(detail);
    });
  });

  test('nothing passes where there was no footprint', () => {
    for (const finding of judgeFootprint(null, defaultThresholds))
      expect(finding.verdict).toBe('inconclusive');
  });
});

describe('transient peak', () => {
  test.each<[number | null, number | null, number, Verdict]>([
    [50 * MiB, 66 * MiB, 10, 'pass'],
    [50 * MiB, 66 * MiB + 1, 10, 'fail'],
    [50 * MiB, 40 * MiB, 10, 'pass'],
    [50 * MiB, 66 * MiB, 9, 'inconclusive'],
    [50 * MiB, 66 * MiB, Number.NaN, 'inconclusive'],
    [50 * MiB, 66 * MiB, Number.POSITIVE_INFINITY, 'inconclusive'],
    [0, 10 * MiB, 10, 'inconclusive'],
    [50 * MiB, 0, 10, 'inconclusive'],
    [null, 50 * MiB, 10, 'inconclusive'],
    [50 * MiB, null, 10, 'inconclusive'],
    [Number.NaN, 50 * MiB, 10, 'inconclusive'],
    [50 * MiB, -50 * MiB, 10, 'inconclusive'],
    [Number.POSITIVE_INFINITY, 50 * MiB, 10, 'inconclusive'],
  ])('from %s to %s bytes in %s readings: %s', (idleRssBytes, peakRssBytes, readings, expected) => {
    expect(judgePeak({ idleRssBytes, peakRssBytes, readings }, defaultThresholds).verdict).toBe(expected);
  });

  test('is inconclusive without a burst', () => {
    expect(judgePeak(null, defaultThresholds).verdict).toBe('inconclusive');
  });
});

const clean: LossCounts = { ...noLosses, due: 10_000, expected: 10_000, connectionsMade: 50 };
const lossIds = [
  'loss-missing',
  'loss-duplicated',
  'loss-order',
  'loss-content',
  'loss-connections',
  'loss-success',
] as const;
const losses = (counts: Partial<LossCounts>) => judgeLoss({ ...clean, ...counts }, defaultThresholds);
const notPassed = (findings: readonly Finding[]) =>
  Object.fromEntries(
    findings.filter(({ verdict }) => verdict !== 'pass').map(({ id, verdict }) => [id, verdict]),
  );

describe('loss', () => {
  test('passes where every request was answered', () => {
    expect(losses({}).map(({ id, verdict }) => [id, verdict])).toEqual(lossIds.map((id) => [id, 'pass']));
  });

  test.each<[string, Partial<LossCounts>, Partial<Record<FindingId, Verdict>>]>([
    ['one answer missing', { missing: 1 }, { 'loss-missing': 'fail' }],
    ['one answer twice', { duplicated: 1 }, { 'loss-duplicated': 'fail' }],
    ['one out of order', { disordered: 1 }, { 'loss-order': 'fail' }],
    ['one corrupted', { corrupted: 1 }, { 'loss-content': 'fail' }],
    ['one connection lost', { connectionsLost: 1 }, { 'loss-connections': 'fail' }],
    ['one lost with its connection', { expected: 9999, lost: 1 }, { 'loss-missing': 'fail' }],
    ['one never answered', { expected: 9999, timedOut: 1 }, { 'loss-missing': 'fail' }],
    ['one answered late', { expected: 9999, timedOut: 1, late: 1 }, {}],
    ['one of two answered late', { expected: 9998, timedOut: 2, late: 1 }, { 'loss-missing': 'fail' }],
    ['one never sent', { expected: 9999, unsent: 1 }, {}],
    ['99.9 % as expected', { expected: 9990, unexpected: 10 }, {}],
    ['less than that', { expected: 9989, unexpected: 11 }, { 'loss-success': 'fail' }],
    ['too many not sent', { expected: 9989, unsent: 11 }, { 'loss-success': 'fail' }],
    ['too many late', { expected: 9989, timedOut: 11, late: 11 }, { 'loss-success': 'fail' }],
    ['abandoned ones do not count', { expected: 6000, abandoned: 4000 }, {}],
    ['one still outstanding', { expected: 9999 }, { 'loss-missing': 'inconclusive' }],
  ])('%s', (_, counts, expected) => {
    expect(notPassed(losses(counts))).toEqual(expected);
  });

  const allInconclusive: Record<string, Verdict> = Object.fromEntries(
    lossIds.map((id) => [id, 'inconclusive']),
  );

  test.each<[string, Partial<LossCounts>, Record<string, Verdict>]>([
    ['nothing was due', { due: 0, expected: 0 }, allInconclusive],
    ['all were abandoned', { expected: 0, abandoned: 10_000 }, allInconclusive],
    ['most were abandoned', { expected: 100, abandoned: 9900 }, allInconclusive],
    ['there are more answers than requests', { expected: 10_001 }, allInconclusive],
    ['there are more late ones than timed out', { expected: 9999, timedOut: 1, late: 2 }, allInconclusive],
    [
      'nothing was answered',
      { expected: 0, timedOut: 10_000 },
      { ...allInconclusive, 'loss-missing': 'fail', 'loss-success': 'fail' },
    ],
    ['no connection was made', { connectionsMade: 0 }, { 'loss-connections': 'inconclusive' }],
  ])('shows nothing good when %s', (_, counts, expected) => {
    expect(notPassed(losses(counts))).toEqual(expected);
  });

  test('says how many, and gives an example', () => {
    const [finding] = losses({
      expected: 9998,
      lost: 2,
      examples: ['client 1: duplicated: request 9', 'client 3: connection lost: reset'],
    });
    expect(finding!.detail).toBe(
      'There are 2 requests lost with their connections in 10,000 requests; none are allowed, such as: client 3: connection lost: reset',
    );
  });
});

describe('outcome', () => {
  const ready = (ms: number | null, ended: Ended = { why: 'time' }) =>
    judgeReady(ms, ended, 30, defaultThresholds).verdict;

  test.each<[number | null, Verdict]>([
    [30_000, 'pass'],
    [30_001, 'fail'],
    [120, 'pass'],
    [0, 'inconclusive'],
    [-1, 'inconclusive'],
    [Number.NaN, 'inconclusive'],
    [Number.POSITIVE_INFINITY, 'inconclusive'],
    [null, 'inconclusive'],
  ])('ready after %s ms: %s', (ms, expected) => {
    expect(ready(ms)).toBe(expected);
  });

  test('a server that died, or never answered, was not ready', () => {
    expect(ready(null, { why: 'not-ready', detail: 'refused' })).toBe('fail');
    expect(ready(null, { why: 'died', detail: 'code 1' })).toBe('fail');
    expect(ready(null, { why: 'stopped', detail: 'SIGINT' })).toBe('inconclusive');
  });

  test.each<[Ended, Verdict]>([
    [{ why: 'time' }, 'pass'],
    [{ why: 'stopped', detail: 'SIGINT' }, 'inconclusive'],
    [{ why: 'died', detail: 'code 1, its last output' }, 'fail'],
    [{ why: 'anomaly', detail: 'nothing is answered' }, 'fail'],
    [{ why: 'not-ready', detail: 'refused' }, 'fail'],
    [{ why: 'unheard-of' } as unknown as Ended, 'inconclusive'],
  ])('ended by $why', (ended, expected) => {
    const { verdict, detail } = judgeCompleted(ended, defaultThresholds);
    expect(verdict).toBe(expected);
    if ('detail' in ended) expect(detail).toContain(ended.detail);
  });

  test.each<[Record<string, number> | null, Verdict]>([
    [{ connections: 0, slots: 0 }, 'pass'],
    [{ connections: 0, slots: 1 }, 'fail'],
    [{ connections: Number.NaN, slots: 1 }, 'fail'],
    [{ connections: Number.NaN, slots: 0 }, 'inconclusive'],
    [{ connections: -1 }, 'inconclusive'],
    [{ connections: 0.5 }, 'inconclusive'],
    [{}, 'inconclusive'],
    [null, 'inconclusive'],
  ])('left at the end: %o', (orphans, expected) => {
    expect(judgeOrphans(orphans, defaultThresholds).verdict).toBe(expected);
  });
});
