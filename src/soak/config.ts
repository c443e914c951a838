import type { Operation } from './driver.js';
import type { FindingId } from './findings.js';
import type { Thresholds } from './thresholds.js';

/** Of messages: below 1 KiB, to 100 KiB, to 10 MiB, and above that up to 16 MiB. */
export type SizeClass = 'small' | 'medium' | 'large' | 'huge';

export const sizeClasses = ['small', 'medium', 'large', 'huge'] as const satisfies readonly SizeClass[];

/** A fault of the driver's that strikes again and again. */
export interface ServerChaos {
  /** The driver's name for it. */
  readonly fault: string;
  /** From one beginning to the next, in the mean, 0.1 … 604,800. */
  readonly everySeconds: number;
  /** How long it lasts, in milliseconds, 1 … 600,000; less than `everySeconds`. */
  readonly forMs: number;
}

/** What happens to the server besides its load. */
export interface ChaosConfig {
  /** Probability that a client cuts its connection, for each client and minute, 0 … 1. */
  readonly disconnectsPerClientMinute: number;
  /** A client whose connection has ended connects again after so many milliseconds, 0 … 600,000. */
  readonly reconnectDelayMs: number;
  /** Further connections that read slowly, so many a minute in the mean, 0 … 6000. */
  readonly slowReadersPerMinute: number;
  /** Further connections that read nothing at all, a minute, 0 … 6000. */
  readonly stuckReadersPerMinute: number;
  /** Further connections that leave after half a request, a minute, 0 … 6000. */
  readonly halfFramesPerMinute: number;
  /** Faults of the server's own, at most 16. */
  readonly server: readonly ServerChaos[];
}

/** A load in a closed loop: so many requests, so many of them at a time. */
export interface ClosedLoad {
  /** How many in all, 0 … 100,000,000; 0: this part of the run is left out. */
  readonly requests: number;
  /** How many are outstanding at a time, 1 … 1024. */
  readonly concurrency: number;
}

/** All of a run, each field with its value. */
export interface SoakConfig {
  /** Its name, for the report: a built-in one, or one of your own. */
  readonly scenario: string;
  /** Time under load, with the warm-up, 1 … 2,000,000. */
  readonly durationSeconds: number;
  /** The part of it that is not judged, 0 … less than `durationSeconds`. */
  readonly warmupSeconds: number;
  /** From one sample to the next, 0.1 … 3600, so that there are 20,000 samples at most; ten are a window. */
  readonly sampleSeconds: number;
  /** How long the server is left in peace before its memory is read, 0 … 600. */
  readonly settleSeconds: number;
  /** Most that it may take until the first request is answered, 0.1 … 600. */
  readonly readySeconds: number;
  /** All clients together, 0.1 … 100,000. */
  readonly requestsPerSecond: number;
  /** Connections that the load goes over, 1 … 10,000. */
  readonly clients: number;
  /** A request that is unanswered for so many milliseconds has timed out, 1 … 600,000. */
  readonly requestTimeoutMs: number;
  /** Share of each operation, 0 … 1; they sum to 1. */
  readonly mix: Readonly<Record<Operation, number>>;
  /** Share of each class of message sizes, 0 … 1; they sum to 1. */
  readonly sizes: Readonly<Record<SizeClass, number>>;
  /** What happens to the server besides its load. */
  readonly chaos: ChaosConfig;
  /** A load before the warm-up, around which resident memory is read when the server has settled. */
  readonly footprint: ClosedLoad;
  /** A load after that, in which resident memory is read every 2 ms. */
  readonly burst: ClosedLoad;
  /** What the findings are held against. */
  readonly thresholds: Thresholds;
  /** Findings that a run has to make: one of them that is inconclusive makes the run inconclusive. */
  readonly required: readonly FindingId[];
  /** Decides what load and chaos draw, an integer from 0 to 2^32-1. */
  readonly seed: number;
}
