import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { CrossingSink } from '../gate/crossing-tracker.js';

export const timingNames = [
  'ringWait',
  'journalWait',
  'replicaWait',
  'encode',
  'flush',
  'serverEndToEnd',
] as const;
export type TimingName = (typeof timingNames)[number];

/**
 * Latency histograms in nanoseconds. They can be posted to another thread, which then shares them.
 *
 * `ringWait`: from the engine finishing a response to the stage seeing it. `journalWait`, `replicaWait`: to the cursor
 * reaching its sequence, for those that had to wait. `encode`, `flush`: one call. `serverEndToEnd`: from the request
 * being read to the kernel having the answer.
 */
export type TimingHistograms = Record<TimingName, RecordableHistogram>;

export function createTimingHistograms(): TimingHistograms {
  const pairs = timingNames.map((name) => [name, createHistogram({ figures: 3 })] as const);
  return Object.fromEntries(pairs) as TimingHistograms;
}

/** The recording side. */
export class Timings implements CrossingSink {
  readonly #histograms: TimingHistograms;

  constructor(histograms: TimingHistograms) {
    this.#histograms = histograms;
  }

  ringWait(ns: number): void {
    this.record('ringWait', ns);
  }

  journalWait(ns: number): void {
    this.record('journalWait', ns);
  }

  replicaWait(ns: number): void {
    this.record('replicaWait', ns);
  }

  record(name: TimingName, ns: number): void {
    // The histograms throw on anything below 1 or fractional.
    this.#histograms[name].record(Math.max(1, Math.round(ns)));
  }
}
