import { AckgateError } from '../errors.js';
import { Collector } from './collect.js';
import type { MetricType, MetricUnit } from './family.js';
import { checkNames, type MetricsOptions } from './options.js';
import type { MetricsSource } from './reading.js';

/** What is needed of the `Meter` of @opentelemetry/api: its types are not, so that nobody has to install it for them. */
export interface OpenTelemetryMeter {
  /** Makes an instrument for a number that only grows. */
  createObservableCounter(name: string, options: { description: string; unit: string }): object;
  /** Makes an instrument for a number that goes up and down. */
  createObservableGauge(name: string, options: { description: string; unit: string }): object;
  /** Has `callback` called at each collection. */
  // biome-ignore lint/suspicious/noExplicitAny: parameters that any version of the API accepts
  addBatchObservableCallback(callback: (result: any) => void, observables: any[]): void;
  /** Ends that. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  removeBatchObservableCallback(callback: (result: any) => void, observables: any[]): void;
}

/** As the Unified Code for Units of Measure has them; things counted stand in braces. */
function unitOf(unit: MetricUnit): string {
  if (unit === 'seconds') return 's';
  if (unit === 'bytes') return 'By';
  return unit === null ? '1' : `{${unit}}`;
}

/** Instruments of a family: what its samples are called, and whether they only grow. */
const instrumentsOf: Record<MetricType, { suffix: string; grows: boolean; counts?: boolean }[]> = {
  counter: [{ suffix: '', grows: true }],
  gauge: [{ suffix: '', grows: false }],
  histogram: [
    { suffix: '_bucket', grows: true, counts: true },
    { suffix: '_sum', grows: true },
    { suffix: '_count', grows: true, counts: true },
  ],
  summary: [
    { suffix: '', grows: false },
    { suffix: '_sum', grows: true },
    { suffix: '_count', grows: true, counts: true },
  ],
};

/**
 * Adds the metrics of a stage to a meter of OpenTelemetry, as observable counters and gauges under the same names, with
 * one callback that reads one consistent copy of the status block for each collection. There are no observable
 * histograms: buckets, sums and counts come as counters (`…_bucket` with attribute `le`), quantiles as gauges.
 *
 * @param meter such as `metrics.getMeter('orders')` of @opentelemetry/api
 * @returns ends this
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION
 */
export function registerOpenTelemetry(
  stage: MetricsSource,
  meter: OpenTelemetryMeter,
  options: MetricsOptions = {},
): () => void {
  if (typeof meter?.addBatchObservableCallback !== 'function') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'meter must be a Meter of @opentelemetry/api');
  }
  checkNames(options);
  const collector = new Collector(stage, options);
  const instruments = new Map<string, object>();
  for (const { name, help, type, unit } of collector.families) {
    for (const { suffix, grows, counts } of instrumentsOf[type]) {
      const description = { description: help, unit: counts ? '1' : unitOf(unit) };
      const instrument = grows
        ? meter.createObservableCounter(name + suffix, description)
        : meter.createObservableGauge(name + suffix, description);
      instruments.set(name + suffix, instrument);
    }
  }
  const observables = [...instruments.values()];
  const observe = (result: { observe(instrument: object, value: number, attributes: object): void }) => {
    for (const samples of collector.collect()) {
      for (const { name, labels, value } of samples) result.observe(instruments.get(name)!, value, labels);
    }
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => meter.removeBatchObservableCallback(observe, observables);
}
