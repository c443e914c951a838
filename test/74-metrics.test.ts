import { describe, expect, test } from 'vitest';
import { dropReasons } from '#ackgate/egress/counters.js';
import { openStage, startStage } from '#ackgate/index.js';
import { FileJournal } from '#ackgate/journal/index.js';
import { type CollectedMetric, collectMetrics, metricFamilies } from '#ackgate/metrics/index.js';
import { modeFromByte } from '#ackgate/policy/index.js';
import { backends, type StatusField, statusFields } from '#ackgate/stage/status.js';
import { createTimingHistograms, timingNames } from '#ackgate/stage/timings.js';
import { temporaryDirectory } from './support/journal.js';
import { sourceOf, statusWith } from './support/metrics.js';
import { until } from './support/stage.js';

function metric(metrics: readonly CollectedMetric[], name: string): CollectedMetric {
  const found = metrics.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no metric ${name}`);
  return found;
}

/** Values by label, or the one value there is. */
function valuesOf(metrics: readonly CollectedMetric[], name: string): unknown {
  const { samples } = metric(metrics, name);
  if (samples.length === 1 && Object.keys(samples[0]!.labels).length === 0) return samples[0]!.value;
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(), value]));
}

function collectWith(...status: Parameters<typeof statusWith>) {
  return collectMetrics(sourceOf(statusWith(...status)));
}

function samplesByName(values: Parameters<typeof statusWith>[0]) {
  return new Map(collectWith(values).map(({ name, samples }) => [name, samples]));
}

describe('the table of metrics', () => {
  test('has every field of the status block, and no other', () => {
    const used = new Set<string>(metricFamilies.flatMap(({ fields }) => fields));
    expect(statusFields.filter((field) => !used.has(field))).toEqual([]);
    expect([...used].filter((field) => !(statusFields as readonly string[]).includes(field))).toEqual([]);
  });

  test.each(statusFields)('%s moves the metrics that name it, and no other', (field: StatusField) => {
    const moved = new Set<string>();
    const unbounded = { durablePos: Number.POSITIVE_INFINITY };
    for (const others of [{ waitingSeq: 1, durablePos: 1 }, unbounded]) {
      const before = samplesByName({ ...others, [field]: 0 });
      for (const after of [
        { ...others, [field]: 2 },
        ...(field === 'durablePos' ? [{ ...others, ...unbounded }] : []),
      ]) {
        for (const [name, samples] of samplesByName(after)) {
          if (JSON.stringify(samples) !== JSON.stringify(before.get(name))) moved.add(name);
        }
      }
    }
    const named = metricFamilies.filter(({ fields }) => fields.includes(field));
    expect([...moved].sort()).toEqual(named.map(({ name }) => name).sort());
  });

  test('has each name once, and names as Prometheus wants them', () => {
    const names = metricFamilies.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, type, unit, help } of metricFamilies) {
      expect(name).toMatch(/^ackgate_[a-z]+(_[a-z]+)*$/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(name).not.toMatch(/_(bucket|sum|count|nanos|ns|ms|milliseconds|kb)$/);
      for (const base of ['seconds', 'bytes']) {
        expect(name.replace(/_total$/, '').endsWith(`_${base}`), name).toBe(unit === base);
      }
      expect(help, name).toMatch(/^\S.*\.$/);
    }
  });

  test('knows every mode, backend and drop reason there is', () => {
    const ofStage = metricFamilies.filter(({ name }) => !name.startsWith('ackgate_supervisor_'));
    const labels = Object.assign({}, ...ofStage.map((family) => family.labels));
    const modes = Array.from({ length: 256 }, (_, byte) => modeFromByte(byte)).filter(Boolean);
    expect(labels.mode).toEqual(expect.arrayContaining([...modes, 'custom']));
    expect(labels.mode).toHaveLength(modes.length + 1);
    expect(labels.backend).toEqual(backends);
    expect(labels.reason).toEqual(dropReasons);
  });
});

describe('collecting', () => {
  test('gives only series whose labels the table knows, whatever the status says', () => {
    const policy = 'persisted>=1 && in_memory>=2';
    const metrics = collectMetrics({
      ...sourceOf(statusWith({ modeByte: 255, backendIndex: 1 }, { policy, fallback: 'a long story' })),
      timings: createTimingHistograms(),
    });
    for (const { name, samples } of metrics) {
      const { labels: known } = metricFamilies.find((family) => family.name === name)!;
      for (const { labels } of samples) {
        for (const [label, value] of Object.entries(labels)) expect(known[label], name).toContain(value);
      }
    }
    expect(JSON.stringify(metrics)).not.toContain('persisted>=1');
    expect(JSON.stringify(metrics)).not.toContain('long story');
    expect(valuesOf(metrics, 'ackgate_backend_fallback')).toBe(1);
  });

  test('reads the status once', () => {
    const source = sourceOf(statusWith());
    collectMetrics(source);
    expect(source.reads).toBe(1);
  });

  test('shows times in seconds', () => {
    const metrics = collectWith({
      busyNanos: 2.5e9,
      gateClosedSinceNs: 3590e9,
      policyDegradedNanos: 1e6,
      gateClosedReplicationNanos: 7e9,
    });
    expect(valuesOf(metrics, 'ackgate_busy_seconds_total')).toBe(2.5);
    expect(valuesOf(metrics, 'ackgate_gate_closed_age_seconds')).toBe(10);
    expect(valuesOf(metrics, 'ackgate_status_age_seconds')).toBe(1);
    expect(valuesOf(metrics, 'ackgate_last_work_age_seconds')).toBe(2);
    expect(valuesOf(metrics, 'ackgate_policy_degraded_seconds_total')).toBe(0.001);
    expect(valuesOf(metrics, 'ackgate_gate_closed_seconds_total')).toEqual({
      journal: 0,
      replication: 7,
      degraded: 0,
    });
  });

  test('shows no ages before the stage has written anything, and an open gate', () => {
    const names = collectWith({ statusNs: 0, lastDoWorkNs: 0 }).map(({ name }) => name);
    expect(names).not.toContain('ackgate_status_age_seconds');
    expect(names).not.toContain('ackgate_last_work_age_seconds');
    expect(valuesOf(collectWith({}), 'ackgate_gate_closed_age_seconds')).toBe(0);
  });

  test('shows states and who binds as one series each', () => {
    const failed = collectWith({}, {}, 'failed');
    expect(valuesOf(failed, 'ackgate_state')).toEqual({
      starting: 0,
      running: 0,
      draining: 0,
      fenced: 0,
      failed: 1,
      closed: 0,
    });
    const bound = [0, 1, 2, 3].map((blockerIndex) =>
      valuesOf(collectWith({ blockerIndex }), 'ackgate_gate_bound'),
    );
    expect(bound).toEqual([
      { journal: 0, replication: 0, degraded: 0 },
      { journal: 1, replication: 0, degraded: 0 },
      { journal: 0, replication: 1, degraded: 0 },
      { journal: 0, replication: 0, degraded: 1 },
    ]);
  });

  test.each(
    dropReasons.map((reason, index) => [reason, statusFields.slice(-dropReasons.length)[index]!] as const),
  )('counts drops by reason: %s is %s', (reason, field) => {
    const drops = valuesOf(collectWith({ [field]: 5 }), 'ackgate_drops_total') as Record<string, number>;
    expect(Object.entries(drops).filter(([, value]) => value !== 0)).toEqual([[reason, 5]]);
  });

  test('adds ranges up to a histogram', () => {
    const { samples, type } = metric(
      collectWith({ flushesUpTo1: 3, flushesUpTo16: 2, flushesLarger: 1, sends: 5000 }),
      'ackgate_flush_connections',
    );
    expect(type).toBe('histogram');
    const buckets = samples.filter(({ name }) => name.endsWith('_bucket'));
    expect(buckets.map(({ labels, value }) => [labels.le, value])).toEqual([
      ['1', 3],
      ['4', 3],
      ['16', 5],
      ['64', 5],
      ['256', 5],
      ['1024', 5],
      ['+Inf', 6],
    ]);
    expect(samples.slice(-2)).toEqual([
      { name: 'ackgate_flush_connections_sum', labels: {}, value: 5000 },
      { name: 'ackgate_flush_connections_count', labels: {}, value: 6 },
    ]);
  });

  test('has a finite number for a position without a bound', () => {
    const metrics = collectWith({
      durablePos: Number.POSITIVE_INFINITY,
      replicaCursor: Number.POSITIVE_INFINITY,
      waitingSeq: 0,
    });
    for (const { samples } of metrics) {
      for (const { name, value } of samples) expect(Number.isFinite(value), name).toBe(true);
    }
    expect(valuesOf(metrics, 'ackgate_durable_sequence')).toBe(100);
    expect(valuesOf(metrics, 'ackgate_durable_unbounded')).toBe(1);
    expect(valuesOf(metrics, 'ackgate_durable_lag_sequences')).toBe(0);
    expect(metrics.map(({ name }) => name)).not.toContain('ackgate_replica_cursor_sequence');
  });

  test('counts what waits, and what is not durable', () => {
    const metrics = collectWith({ highestSeq: 100, waitingSeq: 91, durablePos: 90 });
    expect(valuesOf(metrics, 'ackgate_waiting_lag_sequences')).toBe(10);
    expect(valuesOf(metrics, 'ackgate_durable_lag_sequences')).toBe(10);
    expect(valuesOf(metrics, 'ackgate_durable_unbounded')).toBe(0);
    // The journal may be ahead of what was published; and several records may have one sequence.
    expect(valuesOf(collectWith({ durablePos: 120 }), 'ackgate_durable_lag_sequences')).toBe(0);
    expect(valuesOf(collectWith({ waitingSeq: 100 }), 'ackgate_waiting_lag_sequences')).toBe(1);
    expect(valuesOf(collectWith({ waitingSeq: 0 }), 'ackgate_waiting_lag_sequences')).toBe(0);
    const none = collectWith({ replicaCursor: -1 }).map(({ name }) => name);
    expect(none).not.toContain('ackgate_replica_cursor_sequence');
  });

  test('makes summaries of the latency histograms', () => {
    const timings = createTimingHistograms();
    for (let i = 1; i <= 1000; i++) timings.flush.record(i * 1000);
    const metrics = collectMetrics({ ...sourceOf(statusWith()), timings });
    const summaries = metrics.filter(({ type }) => type === 'summary');
    expect(summaries).toHaveLength(timingNames.length);
    const { samples } = metric(metrics, 'ackgate_flush_seconds');
    expect(samples.map(({ name, labels }) => name + (labels.quantile ?? ''))).toEqual([
      'ackgate_flush_seconds0.5',
      'ackgate_flush_seconds0.9',
      'ackgate_flush_seconds0.99',
      'ackgate_flush_seconds0.999',
      'ackgate_flush_seconds_sum',
      'ackgate_flush_seconds_count',
    ]);
    const [half, , , most, sum, count] = samples.map(({ value }) => value);
    expect(half).toBeCloseTo(500e-6, 5);
    expect(most).toBeCloseTo(999e-6, 5);
    expect(sum).toBeCloseTo(0.5005, 2);
    expect(count).toBe(1000);
    // Nothing was recorded: no quantile is made up.
    expect(metric(metrics, 'ackgate_encode_seconds').samples).toEqual([
      { name: 'ackgate_encode_seconds_sum', labels: {}, value: 0 },
      { name: 'ackgate_encode_seconds_count', labels: {}, value: 0 },
    ]);
  });

  test('a stage without histograms has no summaries', () => {
    expect(collectWith().filter(({ type }) => type === 'summary')).toEqual([]);
  });

  test('looks at the directives that are followed', () => {
    const inAnHour = Date.now() + 3_600_000;
    const directive = { level: 'shape', expiresAt: inAnHour } as const;
    const snapshot = {
      revision: 7,
      directives: [
        { ...directive, id: 'a' },
        { ...directive, id: 'b' },
        { ...directive, id: 'c', expiresAt: 1 },
      ],
    };
    const store = {
      load: () => snapshot,
      ageMs: () => 2500,
      lastError: null as Error | null,
      onChange: () => () => {},
    };
    const source = { ...sourceOf(statusWith({ directivesRevision: 6 })), diagnosis: { store } };
    const metrics = collectMetrics(source);
    expect(valuesOf(metrics, 'ackgate_directives_revision')).toBe(7);
    expect(valuesOf(metrics, 'ackgate_directives_applied_revision')).toBe(6);
    expect(valuesOf(metrics, 'ackgate_directives_active')).toBe(2);
    expect(valuesOf(metrics, 'ackgate_directives_age_seconds')).toBe(2.5);
    expect(valuesOf(metrics, 'ackgate_directives_update_failed')).toBe(0);
    store.lastError = new Error('unreachable');
    expect(valuesOf(collectMetrics(source), 'ackgate_directives_update_failed')).toBe(1);
  });

  test('a store that throws costs its own figures only', () => {
    const store = {
      load: () => {
        throw new Error('broken');
      },
      ageMs: () => 0,
      lastError: null,
      onChange: () => () => {},
    };
    const metrics = collectMetrics({ ...sourceOf(statusWith()), diagnosis: { store } });
    expect(valuesOf(metrics, 'ackgate_directives_update_failed')).toBe(1);
    expect(metrics.map(({ name }) => name)).not.toContain('ackgate_directives_revision');
    expect(valuesOf(metrics, 'ackgate_published_sequence')).toBe(100);
  });

  test('without a store or a journal their metrics are absent', () => {
    const names = collectWith().map(({ name }) => name);
    expect(names.filter((name) => /^ackgate_directives_(?!applied)/.test(name))).toEqual([]);
    expect(names).not.toContain('ackgate_journal_failed');
  });

  test('shows a journal', async () => {
    const journal = await FileJournal.open({ directory: temporaryDirectory() });
    try {
      await journal.whenPersisted(journal.append(new Uint8Array(10)));
      journal.append(new Uint8Array(10));
      const metrics = collectMetrics(sourceOf(statusWith()), { journal });
      const last = valuesOf(metrics, 'ackgate_journal_last_sequence') as number;
      const persisted = valuesOf(metrics, 'ackgate_journal_persisted_sequence') as number;
      expect(last).toBe(2);
      expect(persisted).toBeGreaterThanOrEqual(1);
      expect(valuesOf(metrics, 'ackgate_journal_unpersisted_records')).toBe(last - persisted);
      expect(valuesOf(metrics, 'ackgate_journal_failed')).toBe(0);
    } finally {
      await journal.close();
    }
    const failed = { lastSequence: 9, primaryCursor: 4, failure: new Error('disk') };
    const metrics = collectMetrics(sourceOf(statusWith()), { journal: failed });
    expect(valuesOf(metrics, 'ackgate_journal_failed')).toBe(1);
    expect(valuesOf(metrics, 'ackgate_journal_unpersisted_records')).toBe(5);
  });

  test('puts labels and another prefix on everything', () => {
    const metrics = collectMetrics(sourceOf(statusWith()), { labels: { stage: 'eu' }, prefix: 'orders_eu_' });
    expect(metrics).toHaveLength(collectWith().length);
    for (const { name, samples } of metrics) {
      expect(name).toMatch(/^orders_eu_(?!ackgate)/);
      for (const sample of samples) {
        expect(sample.name.startsWith(name)).toBe(true);
        expect(sample.labels.stage).toBe('eu');
      }
    }
  });
});

describe('a real stage', () => {
  test('is read on its own thread, and shows what it is', async () => {
    const stage = await startStage({ backend: 'posix', policy: 'hybrid' });
    try {
      const metrics = collectMetrics(stage);
      expect(metric(metrics, 'ackgate_info').samples[0]!.labels).toEqual({
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        backend: 'posix',
        mode: 'hybrid',
      });
      expect(valuesOf(metrics, 'ackgate_gate_bound')).toMatchObject({ degraded: 1 });
      expect(valuesOf(metrics, 'ackgate_policy_degraded')).toBe(1);
    } finally {
      await stage.close();
    }
    expect(valuesOf(collectMetrics(stage), 'ackgate_state')).toMatchObject({ running: 0, closed: 1 });
  });

  test('can be read by way of its handle', async () => {
    const stage = await startStage({ backend: 'posix' });
    const opened = openStage(stage.share());
    try {
      await until('the stage has begun to work', () => stage.status().lastDoWorkNs > 0);
      const names = (metrics: CollectedMetric[]) => metrics.map(({ name }) => name);
      expect(names(collectMetrics(opened))).toEqual(names(collectMetrics(stage)));
    } finally {
      opened.close();
      await stage.close();
    }
  });
});

describe('arguments that can not be meant', () => {
  // biome-ignore lint/suspicious/noExplicitAny: what a caller without types may pass
  type Anything = any;
  const cases: [string, Anything, Anything, RegExp][] = [
    ['no stage', null, {}, /stage/],
    ['something else', {}, {}, /stage/],
    ['options that are none', sourceOf(statusWith()), 5, /options/],
    ['null for options', sourceOf(statusWith()), null, /options/],
    ['a journal that is none', sourceOf(statusWith()), { journal: {} }, /journal/],
    ['a supervisor that is none', sourceOf(statusWith()), { supervisor: {} }, /supervisor/],
    ['a prefix with a dash', sourceOf(statusWith()), { prefix: 'a-b' }, /prefix/],
    ['a prefix that is empty', sourceOf(statusWith()), { prefix: '' }, /prefix/],
    ['a prefix that is none', sourceOf(statusWith()), { prefix: 5 }, /prefix/],
    ['labels that are none', sourceOf(statusWith()), { labels: 'a' }, /labels/],
    ['a label with a dash', sourceOf(statusWith()), { labels: { 'a-b': 'c' } }, /"a-b"/],
    ['a label that is Prometheus’ own', sourceOf(statusWith()), { labels: { __name__: 'c' } }, /__name__/],
    ['a label that is ours', sourceOf(statusWith()), { labels: { reason: 'c' } }, /"reason"/],
    ['a label that is no text', sourceOf(statusWith()), { labels: { a: 5 } }, /labels\.a/],
  ];
  test.each(cases)('%s', (_, stage, options, names) => {
    let error: unknown;
    try {
      collectMetrics(stage, options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
    expect((error as Error).message).toMatch(names);
  });
});
