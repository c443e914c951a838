/**
 * The figures of a stage for Prometheus, for OpenTelemetry or as plain data, read from one consistent copy of its status
 * block. Neither `prom-client` nor OpenTelemetry is loaded unless it is asked for.
 *
 * ```js
 * const { registry } = createPrometheusRegistry(stage, { journal });
 * console.log(await registry.metrics());
 * ```
 *
 * @module ackgate/metrics
 */

export { type CollectedMetric, collectMetrics } from './collect.js';
export type { MetricFamily, MetricSample, MetricType, MetricUnit } from './family.js';
export { type OpenTelemetryMeter, registerOpenTelemetry } from './opentelemetry.js';
export type { MetricsOptions } from './options.js';
export {
  createPrometheusRegistry,
  type PrometheusExport,
  type PrometheusOptions,
  type PrometheusRegistry,
  registerPrometheus,
} from './prometheus.js';
export type {
  DirectivesReading,
  JournalReading,
  JournalSource,
  MetricsSource,
  Reading,
  SupervisorSource,
} from './reading.js';
export { metricFamilies } from './table.js';
