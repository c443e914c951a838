import hdr, { type Histogram } from 'hdr-histogram-js';
import type { Percentiles } from '../samples.js';

/** Longer times count as this. Above the longest request timeout that makes sense. */
const highestMs = 600_000;

/** Times in a histogram of fixed size, in microseconds with three digits. */
export class Times {
  readonly #histogram: Histogram = hdr.build({
    highestTrackableValue: highestMs * 1000,
    numberOfSignificantValueDigits: 3,
  });

  record(ms: number): void {
    this.#histogram.recordValue(Math.round(Math.min(highestMs, Math.max(0, ms)) * 1000));
  }

  /** Null when there was none. */
  percentiles(): Percentiles | null {
    const count = this.#histogram.totalCount;
    if (count === 0) return null;
    const maxMs = this.#histogram.maxValue / 1000;
    return { count, p50Ms: this.#at(50), p95Ms: this.#at(95), p99Ms: this.#at(99), maxMs };
  }

  /** All of it, and begins anew. */
  take(): Percentiles | null {
    const percentiles = this.percentiles();
    if (percentiles !== null) this.#histogram.reset();
    return percentiles;
  }

  #at(percentile: number): number {
    // A value stands for its bucket's upper end, which can be more than what was ever recorded.
    return Math.min(this.#histogram.getValueAtPercentile(percentile), this.#histogram.maxValue) / 1000;
  }
}

export interface TakenTimes {
  readonly latency: Percentiles | null;
  readonly slowLatency: Percentiles | null;
  readonly lagP99Ms: number | null;
}

/** Latency of requests, and how late the generator was with them, over one stretch of time. */
class Stretch {
  readonly fast = new Times();
  readonly slow = new Times();
  readonly lag = new Times();

  take(): TakenTimes {
    return {
      latency: this.fast.take(),
      slowLatency: this.slow.take(),
      lagP99Ms: this.lag.take()?.p99Ms ?? null,
    };
  }
}

/** The same times for two readers, each of whom takes what came since it took the last time. */
export class Latency {
  readonly sample = new Stretch();
  readonly window = new Stretch();

  record(slow: boolean, ms: number): void {
    (slow ? this.sample.slow : this.sample.fast).record(ms);
    (slow ? this.window.slow : this.window.fast).record(ms);
  }

  recordLag(ms: number): void {
    this.sample.lag.record(ms);
    this.window.lag.record(ms);
  }
}
