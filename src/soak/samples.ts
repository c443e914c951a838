/** Samples in one window: its lowest reading is the floor after a collection. */
export const samplesPerWindow = 10;

/** From `/proc`. A reading that could not be had is null. */
export interface ProcessReading {
  readonly rssBytes: number | null;
  readonly pssBytes: number | null;
  readonly anonymousBytes: number | null;
  readonly threads: number | null;
  readonly fds: number | null;
}

/** From the server itself, where it is a Node program that the runner started. */
export interface OwnReading {
  readonly heapUsedBytes: number | null;
  /** Right after a full collection, which is done once in a window; null in the other samples. */
  readonly heapAfterGcBytes: number | null;
  readonly externalBytes: number | null;
  /** 99th percentile since the last sample. */
  readonly eventLoopDelayP99Ms: number | null;
}

export interface Percentiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Counts of requests. All of them that were `due` and are not `outstanding` are in exactly one of the counts below. */
export interface RequestCounts {
  /** The schedule asked for them. */
  readonly due: number;
  /** Answered with the outcome that was expected. */
  readonly expected: number;
  /** Answered otherwise: an error for a success, or a success for an error. */
  readonly unexpected: number;
  /** Not answered in time. One that is answered after that all the same is counted in `late`, too. */
  readonly timedOut: number;
  /** The connection was ended by the server, or broke, with the request unanswered. */
  readonly lost: number;
  /** Never sent: no connection, or too many requests outstanding. */
  readonly unsent: number;
  /**
   * The runner itself cut the connection, as chaos or in the end, or had cut every other one: nothing is expected (any more).
   */
  readonly abandoned: number;
}

/** What the load saw since the last sample. */
export interface LoadReading extends RequestCounts {
  /** At this moment. */
  readonly outstanding: number;
  readonly connections: number;
  /** All operations but `slow`, in undisturbed time: from when a request was due to its whole answer. Null: none. */
  readonly latency: Percentiles | null;
  /** Of `slow` operations. */
  readonly slowLatency: Percentiles | null;
  /** How late the runner itself was with its requests. */
  readonly lagP99Ms: number | null;
}

export type Phase = 'warm-up' | 'load';

export interface Sample {
  /** Time under load so far, in milliseconds. It goes on where it stopped when a run is resumed. */
  readonly atMs: number;
  readonly phase: Phase;
  /** Which life of the server, from 0: a run that is resumed begins another one. */
  readonly segment: number;
  readonly process: ProcessReading;
  readonly own: OwnReading | null;
  /** The driver's `status`. */
  readonly status: Readonly<Record<string, number>> | null;
  readonly load: LoadReading;
  /** Chaos since the last sample, by kind. */
  readonly chaos: Readonly<Record<string, number>>;
}

/** Latency in one window of the load phase. */
export interface WindowReading {
  readonly atMs: number;
  readonly segment: number;
  /** Null: a gap, nothing was answered. */
  readonly latency: Percentiles | null;
  readonly slowLatency: Percentiles | null;
  readonly lagP99Ms: number | null;
}

/** Sums over the whole run, warm-up included. */
export interface LossCounts extends RequestCounts {
  readonly late: number;
  /** By what is wrong with answers; `duplicated` and `disordered` include what the runner found from ids. */
  readonly missing: number;
  readonly duplicated: number;
  readonly disordered: number;
  readonly corrupted: number;
  /** Connections that ended although nobody on this side wanted them to. */
  readonly connectionsLost: number;
  /** Connections made, the first ones included. */
  readonly connectionsMade: number;
  /** What the first few violations, unexpected answers and lost connections were, for people. */
  readonly examples: readonly string[];
}

export const requestCountNames = [
  'due',
  'expected',
  'unexpected',
  'timedOut',
  'lost',
  'unsent',
  'abandoned',
] as const satisfies readonly (keyof RequestCounts)[];

export const noLosses: LossCounts = {
  due: 0,
  expected: 0,
  unexpected: 0,
  timedOut: 0,
  lost: 0,
  unsent: 0,
  abandoned: 0,
  late: 0,
  missing: 0,
  duplicated: 0,
  disordered: 0,
  corrupted: 0,
  connectionsLost: 0,
  connectionsMade: 0,
  examples: [],
};
