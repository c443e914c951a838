/** Samples in one window: its lowest reading is the floor after a collection. */
export const samplesPerWindow = 10;

/** From `/proc`. A reading that could not be had is null. */
export interface ProcessReading {
  /** Resident memory. */
  readonly rssBytes: number | null;
  /** Resident memory, of what is shared with other processes only the due part. */
  readonly pssBytes: number | null;
  /** Resident memory that is not of files: heaps and stacks. */
  readonly anonymousBytes: number | null;
  /** Threads of the process. */
  readonly threads: number | null;
  /** Open descriptors. */
  readonly fds: number | null;
}

/** From the server itself, where it is a Node program that the runner started. */
export interface OwnReading {
  /** V8's heap in use. */
  readonly heapUsedBytes: number | null;
  /** The same right after a full collection, which is done once in a window; null in the other samples. */
  readonly heapAfterGcBytes: number | null;
  /** Memory outside of it that belongs to JavaScript objects. */
  readonly externalBytes: number | null;
  /** 99th percentile of the delay of its event loop since the last sample, in milliseconds. */
  readonly eventLoopDelayP99Ms: number | null;
}

/** Latencies, summed up. */
export interface Percentiles {
  /** Of how many; never 0. */
  readonly count: number;
  /** The median, in milliseconds. */
  readonly p50Ms: number;
  /** 95 % took at most this, in milliseconds. */
  readonly p95Ms: number;
  /** 99 % took at most this. */
  readonly p99Ms: number;
  /** The slowest of all. */
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
  /** Requests under way at this moment. */
  readonly outstanding: number;
  /** Clients that are connected at this moment. */
  readonly connections: number;
  /** All operations but `slow`, in undisturbed time: from when a request was due to its whole answer. Null: none. */
  readonly latency: Percentiles | null;
  /** The same of `slow` operations. */
  readonly slowLatency: Percentiles | null;
  /** How late the runner itself was with its requests: 99th percentile in milliseconds; null: none was due. */
  readonly lagP99Ms: number | null;
}

/** `warm-up` is not judged, `load` is. */
export type Phase = 'warm-up' | 'load';

/** All that is read at one moment. */
export interface Sample {
  /** Time under load so far, in milliseconds. It goes on where it stopped when a run is resumed. */
  readonly atMs: number;
  /** What the run was doing. */
  readonly phase: Phase;
  /** Which life of the server, from 0: a run that is resumed begins another one. */
  readonly segment: number;
  /** What the kernel says of the server. */
  readonly process: ProcessReading;
  /** What the server says of itself; null where it can't be asked. */
  readonly own: OwnReading | null;
  /** The driver's `status`; null: it has none, or did not answer. */
  readonly status: Readonly<Record<string, number>> | null;
  /** What the load saw since the last sample. */
  readonly load: LoadReading;
  /** Chaos since the last sample, by kind. */
  readonly chaos: Readonly<Record<string, number>>;
}

/** Latency in one window of the load phase. */
export interface WindowReading {
  /** When it ended, on the time axis of the samples. */
  readonly atMs: number;
  /** Which life of the server, from 0. */
  readonly segment: number;
  /** Of all operations but `slow`; null: a gap, nothing was answered. */
  readonly latency: Percentiles | null;
  /** The same of `slow` operations. */
  readonly slowLatency: Percentiles | null;
  /** How late the runner itself was: 99th percentile in milliseconds; null: none was due. */
  readonly lagP99Ms: number | null;
}

/** Sums over the whole run, warm-up included. */
export interface LossCounts extends RequestCounts {
  /** Answered all the same after they had timed out. */
  readonly late: number;
  /** Answers that the driver found missing. */
  readonly missing: number;
  /** Requests that were answered again: found by their ids, or by the driver. */
  readonly duplicated: number;
  /** Answers out of turn: found by their ids, or by the driver. */
  readonly disordered: number;
  /** Answers with wrong content, as the driver found it. */
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
