import { MeterProvider, type MetricData, MetricReader } from '@opentelemetry/sdk-metrics';
import { describe, expect, onTestFinished, test } from 'vitest';
import { collectMetrics, metricFamilies, registerOpenTelemetry } from '#ackgate/metrics/index.js';
import { createTimingHistograms } from '#ackgate/stage/timings.js';
import { sourceOf, statusWith } from './support/metrics.js';

/** Collects when it is told to. */
class Reader extends MetricReader {
  protected override async onShutdown() {}
  protected override async onForceFlush() {}
}

function create(prefix?: string) {
  const reader = new Reader();
  const provider = new MeterProvider({ readers: [reader] });
  onTestFinished(() => provider.shutdown());
  const timings = createTimingHistograms();
  for (const histogram of Object.values(timings)) histogram.record(1_500_000);
  const source = { ...sourceOf(statusWith({ flushesUpTo4: 2, sends: 7, dropsBlocked: 3 })), timings };
  const options = { labels: { stage: 'eu' }, ...(prefix === undefined ? {} : { prefix }) };
  const unregister = registerOpenTelemetry(source, provider.getMeter('orders'), options);
  async function collect(): Promise<MetricData[]> {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
  }
  return { source, collect, unregister, options };
}

/** Every series as one line. */
function seriesOf(metrics: readonly MetricData[]): string[] {
  return metrics
    .flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ attributes, value }) => `${descriptor.name} ${JSON.stringify(attributes)} ${value}`),
    )
    .sort();
}

describe('OpenTelemetry', () => {
  test('is given exactly what was collected', async () => {
    const { source, collect, options } = create();
    const expected = collectMetrics(source, options).flatMap(({ samples }) =>
      samples.map(({ name, labels, value }) => `${name} ${JSON.stringify(labels)} ${value}`),
    );
    expect(seriesOf(await collect())).toEqual(expected.sort());
  });

  test('reads the status once for each collection', async () => {
    const { source, collect } = create();
    await collect();
    expect(source.reads).toBe(1);
    await collect();
    expect(source.reads).toBe(2);
  });

  test('knows units, and what only grows', async () => {
    const { collect } = create();
    const metrics = new Map((await collect()).map((one) => [one.descriptor.name, one]));
    const unit = (name: string) => metrics.get(name)?.descriptor.unit;
    const grows = (name: string) => (metrics.get(name) as { isMonotonic?: boolean }).isMonotonic === true;
    expect(unit('ackgate_busy_seconds_total')).toBe('s');
    expect(unit('ackgate_sent_bytes_total')).toBe('By');
    expect(unit('ackgate_ring_depth_records')).toBe('{records}');
    expect(unit('ackgate_state')).toBe('1');
    expect(unit('ackgate_flush_connections_bucket')).toBe('1');
    expect(unit('ackgate_flush_seconds_count')).toBe('1');
    for (const { name, type, help } of metricFamilies) {
      const metric = metrics.get(type === 'histogram' ? `${name}_sum` : name);
      if (metric === undefined) continue;
      expect(metric.descriptor.description).toBe(help);
      expect(grows(metric.descriptor.name), name).toBe(type === 'counter' || type === 'histogram');
    }
    expect(grows('ackgate_flush_seconds_count')).toBe(true);
    expect(grows('ackgate_flush_connections_bucket')).toBe(true);
  });

  test('gets a prefix of its own', async () => {
    const { collect } = create('orders_');
    for (const { descriptor } of await collect()) expect(descriptor.name).toMatch(/^orders_(?!ackgate)/);
  });

  test('gets nothing after it was ended, twice without harm', async () => {
    const { source, collect, unregister } = create();
    unregister();
    unregister();
    expect(seriesOf(await collect())).toEqual([]);
    expect(source.reads).toBe(0);
  });

  test('refuses what is no meter', () => {
    for (const meter of [undefined, null, {}, 'meter'] as never[]) {
      expect(() => registerOpenTelemetry(sourceOf(statusWith()), meter)).toThrow(
        expect.objectContaining({
          code: 'ERR_ACKGATE_INVALID_ARGUMENT',
          message: expect.stringContaining('meter'),
        }),
      );
    }
  });
});
