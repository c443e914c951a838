import type { Random } from './random.js';

/** A latency as something to draw from. */
export interface Distribution {
  /** A latency in nanoseconds, 0 or more. */
  sampleNs(random: Random): number;
}

/** Always the same. */
export function fixed(ns: number): Distribution {
  return { sampleNs: () => ns };
}

/** Anything from `lowNs` to `highNs`, equally likely. */
export function uniform(lowNs: number, highNs: number): Distribution {
  return { sampleNs: (random) => lowNs + random.fraction() * (highNs - lowNs) };
}

/** `lowNs` at least, plus something with an exponential distribution. */
export function exponential(lowNs: number, meanNs: number): Distribution {
  return { sampleNs: (random) => lowNs + random.exponential(meanNs) };
}

/** How far a replay may be from the time at which its samples were measured, before it goes to the right one. */
const replaySlackNs = 10e6;

/**
 * Latencies in the order in which they were measured, over and over: slow ones that came together stay together. With
 * `atNs`, when each was measured, they are also kept to that time, so that what slowed down several things at once does so
 * again. Each object has a place of its own; make one for every node.
 *
 * @param positionNs where in the recording the replay is, in nanoseconds from where that began
 */
export function replayed(
  samplesNs: readonly number[],
  atNs: readonly number[] | undefined,
  positionNs: () => number,
): Distribution {
  const samples = Float64Array.from(samplesNs);
  const times = Float64Array.from(atNs ?? []);
  let next = 0;
  return {
    sampleNs() {
      if (times.length > 0) {
        const position = positionNs();
        if (Math.abs(times[next] - position) > replaySlackNs) next = firstFrom(times, position);
      }
      const ns = samples[next];
      next = next + 1 === samples.length ? 0 : next + 1;
      return ns;
    },
  };
}

/** Index of the first time that is not before `ns`; the last one when there is none. */
function firstFrom(times: Float64Array, ns: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < ns) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Draws anew only when the last draw is `holdNs` old: what delays a message on a link, a queue somewhere, delays those
 * right behind it as well. Drawn for each, the slowest of all under way would hold up every other.
 */
export function held(inner: Distribution, holdNs: number, now: () => number): Distribution {
  let drawnNs = Number.NEGATIVE_INFINITY;
  let ns = 0;
  return {
    sampleNs(random) {
      if (now() - drawnNs >= holdNs) {
        ns = inner.sampleNs(random);
        drawnNs = now();
      }
      return ns;
    },
  };
}

/** A point of a quantile table: this share of all latencies, 0 … 1, is at most so many nanoseconds. */
export type QuantilePoint = readonly [share: number, ns: number];

/** Straight lines between the points of a table that begins with the share 0 and ends with 1, rising. */
export function quantileTable(points: readonly QuantilePoint[]): Distribution {
  const shares = Float64Array.from(points, ([share]) => share);
  const values = Float64Array.from(points, ([, ns]) => ns);
  return {
    sampleNs(random) {
      const share = random.fraction();
      let low = 0;
      let high = shares.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (shares[middle] <= share) low = middle;
        else high = middle;
      }
      const part = (share - shares[low]) / (shares[high] - shares[low]);
      return values[low] + part * (values[high] - values[low]);
    },
  };
}

/** How far below the end of a table its upper points stand, so that a p99.9 of few samples is still a measured one. */
const tailShares = [0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999, 0.99999];

/** The table of measured latencies: every 2 %, and closer towards the slow end. At least one sample. */
export function quantilesOf(samplesNs: readonly number[]): QuantilePoint[] {
  const sorted = Float64Array.from(samplesNs).sort();
  const last = sorted.length - 1;
  const shares = new Set([...Array.from({ length: 51 }, (_, i) => i / 50), ...tailShares]);
  return [...shares].sort((a, b) => a - b).map((share) => [share, quantile(sorted, share, last)] as const);
}

/** Interpolated between the two neighbours of a rank. */
export function quantile(sorted: Float64Array, share: number, last = sorted.length - 1): number {
  const rank = share * last;
  const below = Math.floor(rank);
  const above = Math.min(last, below + 1);
  return sorted[below] + (rank - below) * (sorted[above] - sorted[below]);
}
