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
export type { JournalSource, MetricsSource, OtherSources, SupervisorSource } from './reading.js';
export { metricFamilies } from './table.js';
