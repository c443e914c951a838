import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FindingId, findingIds, verdictOf } from '#ackgate/soak/findings.js';
import { judgeRun } from '#ackgate/soak/judge-run.js';
import type { Ended, RunRecord } from '#ackgate/soak/run-record.js';
import type { LossCounts, Percentiles, Sample, WindowReading } from '#ackgate/soak/samples.js';
import { trendsOf } from '#ackgate/soak/trends.js';
import { MiB } from './support/soak-points.js';
import { recordOf, rightServer } from './support/soak-series.js';

// Whole runs. One in which everything passes is broken in one place at a time.

const halves = { secondHalfBytesPerHourMax: 5 * MiB };
const right: RunRecord = recordOf({ ...rightServer, sawtoothMiB: 1, thresholds: halves }, 1);

const verdicts = (record: RunRecord) =>
  Object.fromEntries(judgeRun(record).map(({ id, verdict }) => [id, verdict]));
const detailOf = (record: RunRecord, id: FindingId) => judgeRun(record).find((finding) => finding.id === id)!;

const withConfig = (config: Partial<RunRecord['config']>): RunRecord => ({
  ...right,
  config: { ...right.config, ...config },
});
const withLosses = (losses: Partial<LossCounts>): RunRecord => ({
  ...right,
  losses: { ...right.losses, ...losses },
});
const withFootprint = (footprint: Partial<NonNullable<RunRecord['footprint']>>): RunRecord => ({
  ...right,
  footprint: { ...right.footprint!, ...footprint },
});

describe('a run', () => {
  test('has every finding once, in order, and passes where all is well', () => {
    const findings = judgeRun(right);
    expect(findings.map(({ id }) => id)).toEqual([...findingIds]);
    expect(findings.filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
    expect(findings.every(({ required }) => required)).toBe(true);
    expect(verdictOf(findings)).toBe('pass');
  });

  test('has figures that survive JSON', () => {
    for (const record of [
      right,
      withFootprint({ idleRssBytes: Number.NaN }),
      withLosses({ due: Number.NaN }),
    ]) {
      const findings = judgeRun(record);
      expect(JSON.parse(JSON.stringify(findings))).toEqual(findings);
    }
  });

  test('requires what its configuration requires', () => {
    const required: FindingId[] = ['leak-rss', 'loss-missing'];
    const findings = judgeRun(withConfig({ required }));
    const ids = findings.filter((finding) => finding.required).map(({ id }) => id);
    expect(ids).toEqual(['ready', 'completed', ...required]);
  });

  test('that was stopped is no pass, whatever is required', () => {
    const stopped = withConfig({ required: [] });
    const findings = judgeRun({ ...stopped, ended: { why: 'stopped', detail: 'by hand' } });
    expect(verdictOf(findings)).toBe('inconclusive');
    expect(verdictOf(judgeRun(stopped))).toBe('pass');
  });

  test.each<[string, RunRecord, FindingId[]]>([
    [
      'no limit for the second half',
      withConfig({ thresholds: { ...right.config.thresholds, secondHalfBytesPerHourMax: null } }),
      ['leak-second-half'],
    ],
    [
      'no slow operations',
      withConfig({ mix: { ...right.config.mix, simple: 0.4, slow: 0 } }),
      ['degradation-slow'],
    ],
    [
      'no heap readings',
      { ...right, samples: right.samples.map((sample) => ({ ...sample, own: null })) },
      ['leak-heap'],
    ],
    [
      'no burst',
      { ...withConfig({ burst: { requests: 0, concurrency: 1 } }), peak: null },
      ['peak-transient'],
    ],
    [
      'no footprint',
      { ...withConfig({ footprint: { requests: 0, concurrency: 1 } }), footprint: null },
      findingIds.filter((id) => id.startsWith('footprint-')),
    ],
  ])('with %s asks for what it can not have only where its configuration does', (_, record, ids) => {
    for (const asked of [true, false]) {
      const required = findingIds.filter((id) => asked || !ids.includes(id));
      const findings = judgeRun({ ...record, config: { ...record.config, required } });
      for (const finding of findings) {
        const none = ids.includes(finding.id);
        expect([finding.id, finding.verdict]).toEqual([finding.id, none ? 'inconclusive' : 'pass']);
        expect(finding.required).toBe(asked || !none);
      }
      expect(verdictOf(findings)).toBe(asked ? 'inconclusive' : 'pass');
    }
  });

  test('that never became ready has no other findings', () => {
    const ended: Ended = { why: 'not-ready', detail: 'connection refused' };
    const findings = judgeRun({ ...right, readyAfterMs: null, ended });
    for (const { id, verdict, detail } of findings) {
      const early = id === 'ready' || id === 'completed';
      expect([id, verdict]).toEqual([id, early ? 'fail' : 'inconclusive']);
      expect(detail).toContain('The server never became ready');
    }
    expect(verdictOf(findings)).toBe('fail');
  });

  test('that was stopped is inconclusive, and the server that died fails it', () => {
    const stopped = judgeRun({ ...right, ended: { why: 'stopped', detail: 'SIGINT' } });
    expect(verdictOf(stopped)).toBe('inconclusive');
    expect(verdictOf(judgeRun({ ...right, ended: { why: 'died', detail: 'code 1' } }))).toBe('fail');
  });

  test('that ended in its footprint does not blame the server for what was not asked', () => {
    const part = withFootprint({ requests: 20_000, answered: 20_000 });
    expect(verdicts(part)['footprint-answered']).toBe('fail');
    const stopped: RunRecord = { ...part, ended: { why: 'stopped', detail: 'SIGINT' } };
    expect(verdicts(stopped)['footprint-answered']).toBe('inconclusive');
    expect(detailOf(stopped, 'footprint-answered').detail).toBe(
      'The run ended early, with 20,000 of 50,000 requests answered',
    );
  });

  test('counts all of its requests for the growth by request', () => {
    const { measured } = detailOf(right, 'footprint-per-request');
    expect(measured.find(({ name }) => name === 'requests')!.value).toBe(right.losses.due);
  });
});

describe('a run that was resumed', () => {
  /** RSS of each life by its samples, one a minute; the first ten of each are warm-up. */
  function resumed(...lives: ((n: number) => number)[]): RunRecord {
    const samples = lives.flatMap((rssMiB, segment) =>
      right.samples.slice(0, 150).map((sample, n): Sample => {
        const process = { ...sample.process, rssBytes: rssMiB(n) * MiB };
        const atMs = (segment * 150 + n + 1) * 60_000;
        return { ...sample, atMs, segment, phase: n < 10 ? 'warm-up' : 'load', process };
      }),
    );
    const finalRssBytes = samples.at(-1)!.process.rssBytes;
    return { ...withFootprint({ requests: 50_000 }), samples, finalRssBytes, segments: lives.length };
  }
  const flat = () => 70;
  const step = (n: number) => (n < 40 ? 70 : 470);
  const ids = ['footprint-growth', 'footprint-plateau', 'footprint-per-request'] as const;
  const judged = (record: RunRecord) => {
    const found = verdicts(record);
    return ids.map((id) => found[id]);
  };

  test('passes when all of its lives are right', () => {
    expect(judged(resumed(flat, flat, flat))).toEqual(['pass', 'pass', 'pass']);
  });

  test.each([
    ['first', resumed(step, flat, flat), 1],
    ['second', resumed(flat, step, flat), 2],
    ['last', resumed(flat, flat, step), 3],
  ])('does not pass when its %s life grew by a step', (_, record, life) => {
    expect(judged(record)[0]).toBe('fail');
    expect(detailOf(record, 'footprint-growth').detail).toContain(`Life ${life} of the server (of 3)`);
  });

  test('does not pass when a life before the last went on growing', () => {
    expect(judged(resumed((n) => 70 + n, flat)).slice(0, 2)).toEqual(['fail', 'fail']);
  });

  test('takes no notice of a life that was too short beside one that was not', () => {
    const both = resumed(step, (n) => 70 + 50 * n);
    const brief = { ...both, samples: both.samples.slice(0, 150 + 60) };
    expect(detailOf(brief, 'footprint-growth').detail).toContain('Life 1 of the server (of 2)');
    const calm = resumed(flat, (n) => 70 + 50 * n);
    expect(judged({ ...calm, samples: calm.samples.slice(0, 150 + 60) }).slice(0, 2)).toEqual([
      'pass',
      'pass',
    ]);
  });

  test('holds the growth by request against what each life has served', () => {
    const many = (record: RunRecord): RunRecord => ({
      ...record,
      samples: record.samples.map((sample) => ({ ...sample, load: { ...sample.load, due: 10_000 } })),
    });
    const figures = (record: RunRecord) =>
      Object.fromEntries(
        detailOf(many(record), 'footprint-per-request').measured.map(({ name, value }) => [name, value]),
      );
    expect(judged(many(resumed(step, flat)))[2]).toBe('fail');
    expect(figures(resumed(step, flat))).toEqual({
      bytesPerRequest: ((470 - 55) * MiB) / 1_550_000,
      requests: 1_550_000,
    });
    expect(judged(many(resumed(flat, step)))[2]).toBe('fail');
    expect(figures(resumed(flat, step))).toEqual({
      bytesPerRequest: (400 * MiB) / 1_500_000,
      requests: 1_500_000,
    });
    expect(judged(many(resumed(flat, flat)))[2]).toBe('pass');
    // A life that was cut off did not settle: its floor counts.
    expect(judged(many(resumed((n) => (n % 5 === 0 ? 70 : 400), flat)))[2]).toBe('pass');
  });
});

/** What is no reading at all, by nobody's rules. */
const broken = fc.constantFrom(
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -Number.MIN_VALUE,
  1e300,
);
/** Where 0 or nothing is no reading either. */
const brokenOrNone = fc.oneof(broken, fc.constant(0), fc.constant(null as unknown as number));

const everywhere = fc.nat({ max: 10_000 });
const change = <T>(items: readonly T[], at: number, value: (item: T) => T): T[] =>
  items.map((item, n) => (n === at % items.length ? value(item) : item));

const inLoad = (at: number, value: (sample: Sample) => Sample): RunRecord => {
  const first = right.samples.findIndex(({ phase }) => phase === 'load');
  const load = change(right.samples.slice(first), at, value);
  return { ...right, samples: [...right.samples.slice(0, first), ...load] };
};
const inWindow = (at: number, value: (window: WindowReading) => WindowReading): RunRecord => ({
  ...right,
  windows: change(right.windows, at, value),
});
const inProcess = (name: keyof Sample['process']) => (value: number, at: number) =>
  inLoad(at, (sample) => ({ ...sample, process: { ...sample.process, [name]: value } }));
const inLatency = (own: 'latency' | 'slowLatency', name: keyof Percentiles) => (value: number, at: number) =>
  inWindow(at, (window) => ({ ...window, [own]: { ...window[own]!, [name]: value } }));

type Break = (value: number, at: number) => RunRecord;

const needed: readonly (readonly [string, readonly FindingId[], Break])[] = [
  ['ready', ['ready'], (readyAfterMs) => ({ ...right, readyAfterMs })],
  [
    'idle',
    ['footprint-idle', 'footprint-growth', 'footprint-plateau', 'footprint-per-request'],
    (idleRssBytes) => withFootprint({ idleRssBytes }),
  ],
  ['half', ['footprint-plateau'], (halfRssBytes) => withFootprint({ halfRssBytes })],
  ['final', ['footprint-growth', 'footprint-plateau'], (finalRssBytes) => withFootprint({ finalRssBytes })],
  ['final of the run', ['footprint-per-request'], (finalRssBytes) => ({ ...right, finalRssBytes })],
  ['answered', ['footprint-answered'], (answered) => withFootprint({ answered })],
  [
    'idle before the burst',
    ['peak-transient'],
    (idleRssBytes) => ({ ...right, peak: { ...right.peak!, idleRssBytes } }),
  ],
  ['peak', ['peak-transient'], (peakRssBytes) => ({ ...right, peak: { ...right.peak!, peakRssBytes } })],
  ['readings', ['peak-transient'], (readings) => ({ ...right, peak: { ...right.peak!, readings } })],
  ['RSS', ['leak-rss', 'footprint-plateau'], inProcess('rssBytes')],
  ['descriptors', ['leak-fds'], inProcess('fds')],
  ['threads', ['leak-threads'], inProcess('threads')],
  ['p50', ['degradation'], inLatency('latency', 'p50Ms')],
  ['p95', ['degradation'], inLatency('latency', 'p95Ms')],
  ['p99', ['degradation'], inLatency('latency', 'p99Ms')],
  ['slow p95', ['degradation-slow'], inLatency('slowLatency', 'p95Ms')],
  ['slow p99', ['degradation-slow'], inLatency('slowLatency', 'p99Ms')],
  [
    'due',
    ['loss-missing', 'loss-duplicated', 'loss-order', 'loss-content', 'loss-connections', 'loss-success'],
    (due) => withLosses({ due }),
  ],
  [
    'expected',
    ['loss-missing', 'loss-duplicated', 'loss-order', 'loss-content', 'loss-connections', 'loss-success'],
    (expected) => withLosses({ expected }),
  ],
  ['connections made', ['loss-connections'], (connectionsMade) => withLosses({ connectionsMade })],
];

describe('one broken reading', () => {
  test.each(needed)('of %s never passes', (_, ids, put) => {
    fc.assert(
      fc.property(brokenOrNone, everywhere, (value, at) => {
        const found = verdicts(put(value, at));
        for (const id of ids) expect([id, found[id]]).not.toEqual([id, 'pass']);
      }),
      { numRuns: 60 },
    );
  });

  const counts = [
    ['unexpected', 'loss-success'],
    ['timedOut', 'loss-missing'],
    ['lost', 'loss-missing'],
    ['unsent', 'loss-success'],
    ['abandoned', 'loss-success'],
    ['late', 'loss-missing'],
    ['missing', 'loss-missing'],
    ['duplicated', 'loss-duplicated'],
    ['disordered', 'loss-order'],
    ['corrupted', 'loss-content'],
    ['connectionsLost', 'loss-connections'],
  ] as const;

  test.each(counts)('of the count of %s never passes: %s', (name, id) => {
    fc.assert(
      fc.property(fc.oneof(broken, fc.constant(null as unknown as number)), (value) => {
        expect(verdicts(withLosses({ [name]: value }))[id]).not.toBe('pass');
      }),
    );
  });

  test('of the heap never passes', () => {
    const collected = right.samples.filter(({ own }) => own?.heapAfterGcBytes != null);
    fc.assert(
      fc.property(fc.oneof(broken, fc.constant(0)), everywhere, (heapAfterGcBytes, at) => {
        const load = collected.filter(({ phase }) => phase === 'load');
        const which = load[at % load.length]!;
        const samples = right.samples.map((sample) =>
          sample === which ? { ...sample, own: { ...sample.own!, heapAfterGcBytes } } : sample,
        );
        expect(verdicts({ ...right, samples })['leak-heap']).toBe('inconclusive');
      }),
      { numRuns: 60 },
    );
  });

  test('of what is left at the end never passes', () => {
    fc.assert(
      fc.property(broken, (connections) => {
        expect(verdicts({ ...right, orphans: { connections, slots: 0 } }).orphans).not.toBe('pass');
      }),
    );
  });

  const leaks = ['leak-rss', 'leak-heap', 'leak-fds', 'leak-threads', 'leak-second-half'] as const;

  test.each<[string, (at: number, record: readonly Sample[]) => number]>([
    ['that can not be', () => Number.NaN],
    ['that never ends', () => Number.POSITIVE_INFINITY],
    ['before the beginning', () => -1],
    ['of the next reading', (at, samples) => samples[at + 1]!.atMs],
    ['after the next reading', (at, samples) => samples[at + 1]!.atMs + 1],
  ])('of time, %s, never passes', (_, time) => {
    const first = right.samples.findIndex(({ phase }) => phase === 'load');
    const count = right.samples.length - first - 1;
    // Only the second half is judged by times of the second half only.
    fc.assert(
      fc.property(everywhere, (place) => {
        const at = first + (place % count);
        const samples = change(right.samples, at, (sample) => ({ ...sample, atMs: time(at, right.samples) }));
        const found = verdicts({ ...right, samples });
        for (const id of leaks) expect([id, found[id]]).toEqual([id, 'inconclusive']);
      }),
      { numRuns: 40 },
    );
    const windows = change(right.windows, 3, (window) => ({
      ...window,
      atMs: time(3, right.windows as unknown as Sample[]),
    }));
    const found = verdicts({ ...right, windows });
    expect([found.degradation, found['degradation-slow']]).toEqual(['inconclusive', 'inconclusive']);
  });

  test('limits that are no numbers let nothing pass', () => {
    const limits = Object.keys(right.config.thresholds) as (keyof typeof right.config.thresholds)[];
    const judged: Partial<Record<keyof typeof right.config.thresholds, FindingId>> = {
      idleRssBytesMax: 'footprint-idle',
      leakBytesPerHourMax: 'leak-rss',
      secondHalfBytesPerHourMax: 'leak-second-half',
      leakCountPerHourMax: 'leak-fds',
      leakWindowsMin: 'leak-threads',
      slowdownRatioMax: 'degradation',
      slowdownWindowsMin: 'degradation',
      windowAnswersMin: 'degradation-slow',
      successShareMin: 'loss-success',
      peakBytesMax: 'peak-transient',
      bytesPerRequestMax: 'footprint-per-request',
    };
    for (const limit of limits) {
      const id = judged[limit];
      if (id === undefined) continue;
      const thresholds = { ...right.config.thresholds, [limit]: Number.NaN };
      const broken = verdicts(withConfig({ thresholds }));
      expect([limit, broken[id]]).not.toEqual([limit, 'pass']);
    }
  });
});

describe('too few readings', () => {
  test('of anything never pass', () => {
    const none: RunRecord = {
      ...right,
      footprint: null,
      peak: null,
      samples: [],
      windows: [],
      finalRssBytes: null,
      orphans: null,
      losses: { ...right.losses, due: 0, expected: 0, connectionsMade: 0 },
    };
    const { ready, completed, ...others } = verdicts(none);
    expect([ready, completed]).toEqual(['pass', 'pass']);
    expect(new Set(Object.values(others))).toEqual(new Set(['inconclusive']));
    expect(verdictOf(judgeRun(none))).toBe('inconclusive');
  });

  test('a warm-up is none of them', () => {
    const samples = right.samples.map((sample) => ({ ...sample, phase: 'warm-up' as const }));
    const found = verdicts({ ...right, samples });
    for (const id of ['leak-rss', 'leak-heap', 'leak-fds', 'leak-threads'])
      expect(found[id]).toBe('inconclusive');
  });

  test('a run that is cut after any number of windows passes from the eighth on', () => {
    const first = right.samples.findIndex(({ phase }) => phase === 'load');
    for (let count = 0; count < 120; count++) {
      const found = verdicts({ ...right, samples: right.samples.slice(0, first + count) });
      expect(found['leak-rss']).toBe(count < 80 ? 'inconclusive' : 'pass');
    }
  });
});

describe('garbage', () => {
  const anything = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constantFrom<number>(null as unknown as number, undefined as unknown as number, -0, 2 ** 60),
  );
  const objectOf = <T extends object>(like: T) =>
    fc.record(Object.fromEntries(Object.keys(like).map((name) => [name, anything]))) as fc.Arbitrary<T>;
  const percentiles = fc.option(objectOf(right.windows[0]!.latency!));
  const sample = fc
    .tuple(
      anything,
      objectOf(right.samples[0]!.process),
      fc.option(objectOf(right.samples[9]!.own!)),
      fc.nat(1),
    )
    .map(([atMs, process, own, segment]) => ({ ...right.samples.at(-1)!, atMs, process, own, segment }));
  const window = fc
    .tuple(anything, percentiles, percentiles, anything, fc.nat(1))
    .map(([atMs, latency, slowLatency, lagP99Ms, segment]) => ({
      atMs,
      latency,
      slowLatency,
      lagP99Ms,
      segment,
    }));
  const record = fc
    .record({
      readyAfterMs: anything,
      footprint: fc.option(objectOf(right.footprint!)),
      peak: fc.option(objectOf(right.peak!)),
      samples: fc.array(sample, { maxLength: 120 }),
      windows: fc.array(window, { maxLength: 30 }),
      losses: objectOf(right.losses).map((losses) => ({ ...losses, examples: [] })),
      finalRssBytes: anything,
      orphans: fc.option(fc.dictionary(fc.constantFrom('connections', 'slots'), anything)),
    })
    .map((parts): RunRecord => ({ ...right, ...parts }));

  test('is never an exception, and a pass only where every reading can be', () => {
    fc.assert(
      fc.property(record, (made) => {
        const findings = judgeRun(made);
        expect(findings.map(({ id }) => id)).toEqual([...findingIds]);
        const passed = new Set(findings.filter(({ verdict }) => verdict === 'pass').map(({ id }) => id));
        // None of these can come about by chance: a hundred valid readings, or counts that add up.
        for (const id of findingIds) {
          if (id.startsWith('leak-') || id.startsWith('degradation') || id.startsWith('loss-')) {
            expect(passed).not.toContain(id);
          }
        }
        const real = (value: number | null | undefined) => Number.isFinite(value) && value! > 0;
        if (passed.has('ready')) expect(real(made.readyAfterMs)).toBe(true);
        if (passed.has('footprint-idle')) expect(real(made.footprint!.idleRssBytes)).toBe(true);
        if (passed.has('footprint-growth')) {
          const { idleRssBytes, finalRssBytes } = made.footprint!;
          expect([idleRssBytes, finalRssBytes].every(real)).toBe(true);
        }
        if (passed.has('peak-transient')) {
          expect([made.peak!.idleRssBytes, made.peak!.peakRssBytes].every(real)).toBe(true);
          expect(made.peak!.readings).toBeGreaterThanOrEqual(10);
        }
        if (passed.has('orphans')) {
          expect(Object.values(made.orphans!).every((value) => value === 0)).toBe(true);
          expect(Object.keys(made.orphans!).length).toBeGreaterThan(0);
        }
        for (const { segments } of trendsOf(made)) {
          for (const { minima } of segments) {
            for (const point of minima) expect(Number.isFinite(point.atMs + point.value)).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('trends', () => {
  test('are what the findings are judged by', () => {
    const trends = trendsOf(right);
    expect(trends.map(({ id }) => id)).toEqual(['leak-rss', 'leak-heap', 'leak-fds', 'leak-threads']);
    for (const { id, segments } of trends) {
      expect(segments).toHaveLength(1);
      const { minima, line } = segments[0]!;
      expect(minima).toHaveLength(24);
      const { measured } = detailOf(right, id);
      const slope = measured.find(({ name }) => name.startsWith('slope'))!.value;
      expect(line!.slopePerHour).toBe(slope);
      expect([line!.from.atMs, line!.to.atMs]).toEqual([minima[0]!.atMs, minima.at(-1)!.atMs]);
    }
  });

  test('have no line where there are too few windows, or readings that can not be', () => {
    const first = right.samples.findIndex(({ phase }) => phase === 'load');
    const [few] = trendsOf({ ...right, samples: right.samples.slice(0, first + 79) });
    expect(few!.segments[0]!.minima).toHaveLength(7);
    expect(few!.segments[0]!.line).toBeNull();
    const [broken] = trendsOf(inProcess('rssBytes')(Number.NaN, 50));
    expect(broken!.segments[0]!.line).toBeNull();
    expect(trendsOf({ ...right, samples: [] }).every(({ segments }) => segments.length === 0)).toBe(true);
  });
});
