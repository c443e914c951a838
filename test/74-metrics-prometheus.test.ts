import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Counter, Registry, register } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  collectMetrics,
  createPrometheusRegistry,
  metricFamilies,
  registerPrometheus,
} from '#ackgate/metrics/index.js';
import { createTimingHistograms } from '#ackgate/stage/timings.js';
import { sourceOf, statusWith, supervisorWith } from './support/metrics.js';
import { parsePrometheusText } from './support/prometheus-text.js';
import { hasPromtool, promtool } from './support/promtool.js';
import { answer, Rig, until } from './support/stage.js';

/** Everything that can be shown: no family is without samples. */
function fullSource() {
  const timings = createTimingHistograms();
  for (const histogram of Object.values(timings)) histogram.record(1_500_000);
  const snapshot = { revision: 3, directives: [] };
  const store = { load: () => snapshot, ageMs: () => 10, lastError: null, onChange: () => () => {} };
  return {
    ...sourceOf(statusWith({ flushesUpTo4: 2, sends: 7, shapeUpTo64: 1 })),
    timings,
    diagnosis: { store },
  };
}
const others = {
  journal: { lastSequence: 12, primaryCursor: 10, failure: null },
  supervisor: supervisorWith(),
};

describe('text for Prometheus', () => {
  test('is what was collected, as a strict parser reads it', async () => {
    const source = fullSource();
    const { metrics, contentType } = createPrometheusRegistry(source, others);
    const families = parsePrometheusText(await metrics());
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    const collected = collectMetrics(source, others);
    expect(collected.map(({ name }) => name)).toEqual(metricFamilies.map(({ name }) => name));
    expect(families).toEqual(
      collected.map(({ name, help, type, samples }) => ({ name, help, type, samples })),
    );
  });

  test.skipIf(!hasPromtool)('is what promtool finds nothing wrong with', async () => {
    const { metrics } = createPrometheusRegistry(fullSource(), {
      ...others,
      labels: { stage: 'a "b" \\ c' },
    });
    expect(promtool(['check', 'metrics'], await metrics())).toEqual({ status: 0, output: '' });
  });

  test('as OpenMetrics ends, and has every counter under its name', async () => {
    const registry = new Registry();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
    registerPrometheus(fullSource(), { registry });
    for (let scrape = 0; scrape < 2; scrape++) {
      const text = await registry.metrics();
      expect(text).toMatch(/# EOF\n$/);
      expect(text).toContain('\n# TYPE ackgate_drops counter\n');
      expect(text).toContain('\nackgate_drops_total{reason="blocked"} 0\n');
    }
  });

  test('can be read although positions have no bound', async () => {
    const status = statusWith({ durablePos: Number.POSITIVE_INFINITY, replicaCursor: -1 });
    const { metrics } = createPrometheusRegistry(sourceOf(status));
    const text = await metrics();
    expect(text).not.toMatch(/Inf$|NaN$/m);
    parsePrometheusText(text);
  });

  test('carries labels, escaped', async () => {
    const labels = { stage: 'a "b" \\ c\nd' };
    const { metrics } = createPrometheusRegistry(fullSource(), { labels });
    for (const { samples } of parsePrometheusText(await metrics())) {
      for (const sample of samples) expect(sample.labels.stage).toBe(labels.stage);
    }
  });
});

describe('a scrape', () => {
  test('reads the status once, and each time anew', async () => {
    const source = fullSource();
    const { registry, metrics } = createPrometheusRegistry(source);
    await metrics();
    expect(source.reads).toBe(1);
    await Promise.all([metrics(), metrics()]);
    expect(source.reads).toBeLessThanOrEqual(3);
    const before = source.reads;
    await (registry as Registry).getMetricsAsJSON();
    expect(source.reads).toBe(before + 1);
  });

  test('that fails is followed by one that does not', async () => {
    const source = fullSource();
    const { status } = source;
    const { metrics } = createPrometheusRegistry(source);
    source.status = () => {
      throw new Error('not now');
    };
    await expect(metrics()).rejects.toThrow('not now');
    source.status = status;
    parsePrometheusText(await metrics());
  });
});

describe('a registry', () => {
  test('keeps what else is in it', async () => {
    const registry = new Registry();
    const counter = new Counter({ name: 'orders_total', help: 'Orders.', registers: [registry] });
    counter.inc(3);
    const unregister = registerPrometheus(fullSource(), { registry });
    const names = parsePrometheusText(await registry.metrics()).map(({ name }) => name);
    expect(names).toHaveLength(metricFamilies.length + 1);
    registry.resetMetrics();
    unregister();
    unregister();
    expect(parsePrometheusText(await registry.metrics()).map(({ name }) => name)).toEqual(['orders_total']);
  });

  test('is the global one by default', async () => {
    const unregister = registerPrometheus(fullSource());
    expect(register.getSingleMetric('ackgate_info')).toBeDefined();
    unregister();
    expect(register.getMetricsAsArray()).toEqual([]);
  });

  test('takes several stages under prefixes of their own, and refuses two under one', async () => {
    const registry = new Registry();
    registerPrometheus(fullSource(), { registry, prefix: 'a_' });
    registerPrometheus(fullSource(), { registry, prefix: 'b_' });
    expect(() => registerPrometheus(fullSource(), { registry, prefix: 'b_' })).toThrow(
      expect.objectContaining({
        code: 'ERR_ACKGATE_INVALID_ARGUMENT',
        message: expect.stringContaining('prefix'),
      }),
    );
    expect(parsePrometheusText(await registry.metrics())).toHaveLength(2 * metricFamilies.length);
  });

  test('that is none is refused', () => {
    expect(() => registerPrometheus(fullSource(), { registry: {} as Registry })).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' }),
    );
  });

  test('merges over several processes: counts are added, of gauges the worst is taken', async () => {
    const { registry } = createPrometheusRegistry(fullSource());
    const json = (await (registry as Registry).getMetricsAsJSON()) as unknown as Record<string, unknown>[];
    const aggregators = new Map(json.map(({ name, aggregator }) => [name, aggregator]));
    expect(aggregators.get('ackgate_drops_total')).toBe('sum');
    expect(aggregators.get('ackgate_gate_closed_age_seconds')).toBe('max');
  });
});

test('without prom-client everything else works, and the error says what to install', () => {
  // A copy of the package where nothing is installed beside it.
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-metrics-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const root = fileURLToPath(new URL('..', import.meta.url));
  cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(directory, 'package.json'));
  const program = join(directory, 'program.mjs');
  writeFileSync(
    program,
    `import { createPrometheusRegistry, registerPrometheus, metricFamilies } from './dist/metrics/index.js';
     const stage = { status() {} };
     for (const call of [createPrometheusRegistry, registerPrometheus]) {
       try { call(stage); } catch ({ code, message }) { console.log(code, message); }
     }
     console.log(metricFamilies.length);`,
  );
  const lines = execFileSync(process.execPath, [program], { encoding: 'utf8' }).trim().split('\n');
  const expected = expect.stringMatching(/^ERR_ACKGATE_PEER_MISSING .*npm install prom-client@15$/);
  expect(lines).toEqual([expected, expected, String(metricFamilies.length)]);
});

describe('a stage at work', () => {
  test('shows what it does', async () => {
    const rig = await Rig.start({ backend: 'posix' });
    const { metrics } = createPrometheusRegistry(rig.stage);
    const scrape = async () => {
      await rig.settled();
      const families = parsePrometheusText(await metrics());
      return (name: string, ...labels: string[]) =>
        families
          .flatMap(({ samples }) => samples)
          .find(
            (one) => one.name === name && labels.every((label) => Object.values(one.labels).includes(label)),
          )?.value;
    };

    const { id, client } = await rig.attach();
    for (let seq = 1; seq <= 5; seq++) rig.publish({ id, seq });
    let value = await scrape();
    expect(value('ackgate_gate_closed')).toBe(1);
    expect(value('ackgate_gate_bound', 'journal')).toBe(1);
    expect(value('ackgate_waiting_lag_sequences')).toBe(5);
    expect(value('ackgate_ring_depth_records')).toBe(5);
    expect(value('ackgate_gate_closed_age_seconds')).toBeGreaterThan(0);
    expect(value('ackgate_connections')).toBe(1);

    rig.stage.cursors.primary.advance(5);
    await client.untilAnswers(5);
    value = await scrape();
    expect(value('ackgate_gate_closed')).toBe(0);
    expect(value('ackgate_gate_closed_age_seconds')).toBe(0);
    expect(value('ackgate_gate_openings_total', 'journal')).toBe(1);
    expect(value('ackgate_gate_closed_seconds_total', 'journal')).toBeGreaterThan(0);
    expect(value('ackgate_records_released_total')).toBe(5);
    expect(value('ackgate_appended_bytes_total')).toBe(5 * (4 + answer(1).length));
    expect(value('ackgate_sent_bytes_total')).toBe(5 * (4 + answer(1).length));
    expect(value('ackgate_flush_connections_count')).toBe(value('ackgate_flushes_total'));
    expect(value('ackgate_flush_connections_bucket', '1')).toBeGreaterThanOrEqual(1);
    expect(value('ackgate_busy_seconds_total')).toBeGreaterThan(0);

    client.socket.resetAndDestroy();
    await until('the client is gone', () => rig.stage.status().connections === 0);
    value = await scrape();
    expect(value('ackgate_connections')).toBe(0);
  });
});
