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
