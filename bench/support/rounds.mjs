import { cpus, release } from 'node:os';

/** What the figures were measured on; printed with them. */
export function machine() {
  const [cpu] = cpus();
  return { node: process.version, kernel: release(), cpu: cpu?.model ?? 'unknown', cpus: cpus().length };
}

/** Median, and the distance between the quartiles. */
export function spread(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

/**
 * Runs the variants in turn, round after round, so that what else the machine does falls on all of them alike.
 * Each variant is a function that returns nanoseconds per operation. The first round only warms up.
 */
export function interleaved(variants, rounds) {
  const samples = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(variants)) {
      const ns = run();
      if (round > 0) samples[name].push(ns);
    }
  }
  return Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, spread(values)]));
}
