import { createRequire } from 'node:module';
import { AckgateError } from '../errors.js';
import { Collector, type NamedFamily } from './collect.js';
import type { MetricSample } from './family.js';
import { checkNames, type MetricsOptions } from './options.js';
import type { MetricsSource } from './reading.js';

/** What is needed of prom-client's `Registry`: its types are not, so that nobody has to install it for them. */
export interface PrometheusRegistry {
  /** What `Content-Type` has to say of the text. */
  readonly contentType: string;
  /** The text of one scrape. */
  metrics(): Promise<string>;
  /** Adds a metric. */
  // biome-ignore lint/suspicious/noExplicitAny: prom-client takes objects of its own classes only, in its types
  registerMetric(metric: any): void;
  /** The metric of that name; undefined: there is none. */
  getSingleMetric(name: string): unknown;
  /** Removes the metric of that name. */
  removeSingleMetric(name: string): void;
}

/** Where the metrics go, and what they are called. */
export interface PrometheusOptions extends MetricsOptions {
  /** Where the metrics go (default: prom-client's global one). */
  readonly registry?: PrometheusRegistry;
}

/** The metrics of a stage in a registry of their own. */
export interface PrometheusExport {
  /** The new registry; other metrics may be added to it. */
  readonly registry: PrometheusRegistry;
  /** What `Content-Type` has to say of the text. */
  readonly contentType: string;
  /** The text of one scrape. */
  metrics(): Promise<string>;
}

interface PromClient {
  Registry: new () => PrometheusRegistry;
  register: PrometheusRegistry;
}

/** All metrics of one scrape go by the same copy of the status block. */
class Scrape {
  readonly #collector: Collector;
  #samples: MetricSample[][] | null = null;

  constructor(collector: Collector) {
    this.#collector = collector;
  }

  samplesOf(index: number): MetricSample[] {
    if (this.#samples === null) {
      this.#samples = this.#collector.collect();
      // A registry asks all of its metrics in one go, before anything else can run.
      queueMicrotask(() => {
        this.#samples = null;
      });
    }
    return this.#samples[index];
  }
}

/** Stands in the registry in the place of one of its own metrics, and is read when it is scraped. */
class StageMetric {
  /** Not constant: with OpenMetrics the registry takes `_total` away and puts it back itself. */
  name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
  /** How prom-client's cluster registry merges those of several processes: of gauges, the worst one is wanted. */
  readonly aggregator: string;
  readonly #scrape: Scrape;
  readonly #index: number;

  constructor(family: NamedFamily, scrape: Scrape, index: number) {
    this.name = family.name;
    this.help = family.help;
    this.type = family.type;
    this.labelNames = Object.keys(family.labels);
    this.aggregator = family.type === 'gauge' ? 'max' : 'sum';
    this.#scrape = scrape;
    this.#index = index;
  }

  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const values = this.#scrape
      .samplesOf(this.#index)
      .map((sample) =>
        type === 'counter' || type === 'gauge'
          ? { labels: sample.labels, value: sample.value }
          : { metricName: sample.name, labels: sample.labels, value: sample.value },
      );
    return { name, help, type, values, aggregator };
  }

  /** Nothing here can be set back: the stage counts. */
  reset(): void {}
}

/**
 * Adds the metrics of a stage to a registry of prom-client 15. They are read when the registry is, from one consistent
 * copy of the status block for each scrape. For several stages in one registry, give each a prefix of its own.
 *
 * @returns removes them again
 * @throws ERR_ACKGATE_PEER_MISSING without `registry` where prom-client is not installed; ERR_ACKGATE_UNKNOWN_OPTION;
 *   ERR_ACKGATE_INVALID_ARGUMENT, also when a metric of that name is registered already
 */
export function registerPrometheus(stage: MetricsSource, options: PrometheusOptions = {}): () => void {
  checkNames(options, 'registry');
  const collector = new Collector(stage, options);
  const registry = options.registry ?? loadPromClient().register;
  if (typeof registry?.registerMetric !== 'function') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'registry must be a Registry of prom-client');
  }
  const taken = collector.families.find(({ name }) => registry.getSingleMetric(name) !== undefined);
  if (taken !== undefined) {
    const message = `registry has a metric ${taken.name} already: use another prefix or registry`;
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
  }
  const scrape = new Scrape(collector);
  const metrics = collector.families.map((family, index) => new StageMetric(family, scrape, index));
  for (const metric of metrics) registry.registerMetric(metric);
  return () => {
    for (const [index, { name }] of collector.families.entries()) {
      if (registry.getSingleMetric(name) === metrics[index]) registry.removeSingleMetric(name);
    }
  };
}

/**
 * The metrics of a stage in a new registry, ready to be served.
 *
 * @throws ERR_ACKGATE_PEER_MISSING where prom-client is not installed; ERR_ACKGATE_INVALID_ARGUMENT,
 *   ERR_ACKGATE_UNKNOWN_OPTION
 */
export function createPrometheusRegistry(
  stage: MetricsSource,
  options: MetricsOptions = {},
): PrometheusExport {
  checkNames(options);
  const registry = new (loadPromClient().Registry)();
  registerPrometheus(stage, { ...options, registry });
  return { registry, contentType: registry.contentType, metrics: () => registry.metrics() };
}

function loadPromClient(): PromClient {
  try {
    return createRequire(import.meta.url)('prom-client');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause;
    const message = 'metrics for Prometheus need prom-client: npm install prom-client@15';
    throw new AckgateError('ERR_ACKGATE_PEER_MISSING', message, { cause });
  }
}
