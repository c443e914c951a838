import type { Operation } from './driver.js';
import type { FindingId } from './findings.js';
import type { Thresholds } from './thresholds.js';

/** Of messages: below 1 KiB, to 100 KiB, to 10 MiB, and above that up to 16 MiB. */
export const sizeClasses = ['small', 'medium', 'large', 'huge'] as const;
export type SizeClass = (typeof sizeClasses)[number];

export interface ServerChaos {
  /** The driver's name for it. */
  readonly fault: string;
  /** From one beginning to the next, in the mean. */
  readonly everySeconds: number;
  readonly forMs: number;
}

export interface ChaosConfig {
  /** Probability that a client cuts its connection, for each client and minute. */
  readonly disconnectsPerClientMinute: number;
  readonly reconnectDelayMs: number;
  /** Of further connections, each a minute in the mean: some that read slowly, some that read nothing at all, … */
  readonly slowReadersPerMinute: number;
  readonly stuckReadersPerMinute: number;
  /** … and some that leave after half a request. */
  readonly halfFramesPerMinute: number;
  readonly server: readonly ServerChaos[];
}

/** A load in a closed loop: so many requests, so many of them at a time. */
export interface ClosedLoad {
  readonly requests: number;
  readonly concurrency: number;
}

/** All of a run, each field with its value. */
export interface SoakConfig {
  /** For the report. */
  readonly scenario: string;
  /** Under load, with the warm-up. */
  readonly durationSeconds: number;
  readonly warmupSeconds: number;
  readonly sampleSeconds: number;
  readonly settleSeconds: number;
  /** Until the first request is answered, at most. */
  readonly readySeconds: number;
  /** All clients together. */
  readonly requestsPerSecond: number;
  readonly clients: number;
  readonly requestTimeoutMs: number;
  /** Weights that sum to 1. */
  readonly mix: Readonly<Record<Operation, number>>;
  /** Weights that sum to 1. */
  readonly sizes: Readonly<Record<SizeClass, number>>;
  readonly chaos: ChaosConfig;
  /** Before the warm-up, for the footprint; 0 requests: none. */
  readonly footprint: ClosedLoad;
  /** After that, with RSS read every 5 ms; 0 requests: none. */
  readonly burst: ClosedLoad;
  readonly thresholds: Thresholds;
  /** Without these the run is inconclusive. */
  readonly required: readonly FindingId[];
  readonly seed: number;
}
