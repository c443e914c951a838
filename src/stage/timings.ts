import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { CrossingSink } from '../gate/crossing-tracker.js';
import { everyOf } from '../shared/every-of.js';

/** Name of a latency histogram. */
export type TimingName =
  /** From the engine finishing a response to the stage seeing it. */
  | 'ringWait'
  /** From the engine finishing a response that has to wait to the journal being seen at its sequence. */
  | 'journalWait'
  /** From the engine finishing a response that has to wait to enough replicas being seen at its sequence. */
  | 'replicaWait'
  /** One call of the encoder. */
  | 'encode'
  /** One flush: handing the answers of a batch to the kernel. */
  | 'flush'
  /** From the request being read to the kernel having the answer. */
  | 'serverEndToEnd';

export const timingNames = everyOf<TimingName>()([
  'ringWait',
  'journalWait',
  'replicaWait',
  'encode',
  'flush',
  'serverEndToEnd',
]);

/** Latency histograms in nanoseconds, by name. They can be posted to another thread, which then shares them. */
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
