import type { MetricFamily, MetricSample, MetricType, MetricUnit } from './family.js';
import { checkNames, checkOptions, type MetricsOptions, tablePrefix } from './options.js';
import { checkSources, type MetricsSource, readSources } from './reading.js';
import { metricFamilies } from './table.js';

/** One metric with its present series. */
export interface CollectedMetric {
  /** Name of the metric, with the prefix that was asked for. */
  readonly name: string;
  /** One sentence on what it says. */
  readonly help: string;
  /** How it behaves. */
  readonly type: MetricType;
  /** What its values count. */
  readonly unit: MetricUnit;
  /** Its series, one or more. */
  readonly samples: readonly MetricSample[];
}

/** Name of a metric, and everything about it that never changes. */
export type NamedFamily = Pick<MetricFamily, 'name' | 'help' | 'type' | 'unit' | 'labels'>;

/**
 * Reads the metrics of one stage again and again. Each reading goes by one consistent copy of the status block, and
 * takes no lock of the stage.
 */
export class Collector {
  /** All families that there can be, under their names here. */
  readonly families: readonly NamedFamily[];
  readonly #source: MetricsSource;
  readonly #options: MetricsOptions;
  readonly #rename: (name: string) => string;
  readonly #labels: Readonly<Record<string, string>>;

  constructor(source: MetricsSource, options: MetricsOptions) {
    const { labels, prefix } = checkOptions(options);
    checkSources(source, options);
    this.#source = source;
    this.#options = options;
    this.#labels = labels;
    this.#rename = (name) => prefix + name.slice(tablePrefix.length);
    this.families = metricFamilies.map((family) => ({ ...family, name: this.#rename(family.name) }));
  }

  /** One list of samples for each of `families`, in their order; empty where there is nothing to show. */
  collect(): MetricSample[][] {
    const reading = readSources(this.#source, this.#options);
    return metricFamilies.map((family) =>
      family.samples(reading).map(({ name, labels, value }) => ({
        name: this.#rename(name),
        labels: { ...this.#labels, ...labels },
        value,
      })),
    );
  }
}

/**
 * The metrics as plain data, from one consistent copy of the status block. Metrics without a present series are left
 * out. All values are finite numbers; seconds, bytes and counts.
 *
 * @param stage a `Stage`, or what `openStage` gave on another thread
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION
 */
export function collectMetrics(stage: MetricsSource, options: MetricsOptions = {}): CollectedMetric[] {
  checkNames(options);
  const collector = new Collector(stage, options);
  const samples = collector.collect();
  return collector.families
    .map(({ name, help, type, unit }, index) => ({ name, help, type, unit, samples: samples[index] }))
    .filter((metric) => metric.samples.length > 0);
}
