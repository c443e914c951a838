/** What a run is doing, in this order; `footprint` and `burst` only in its first life. */
export type RunPhase =
  | 'starting'
  | 'idle'
  | 'footprint'
  | 'burst'
  | 'warm-up'
  | 'load'
  | 'settling'
  | 'reporting';

/** Where a run is, for whoever watches. */
export interface SoakProgress {
  /** What it is doing. */
  readonly phase: RunPhase;
  /** Time under load so far, in milliseconds. */
  readonly elapsedMs: number;
  /** Time under load in all, in milliseconds. */
  readonly durationMs: number;
  /** Answers a second in the last sample; null outside of the load. */
  readonly answersPerSecond: number | null;
  /** 99th percentile of latency in the last sample, in milliseconds; null: nothing was answered. */
  readonly p99Ms: number | null;
  /** Resident memory of the server at the last sample; null: not known. */
  readonly rssBytes: number | null;
  /** Requests so far that were answered otherwise than expected, timed out, were lost, or could not be sent. */
  readonly failed: number;
}
