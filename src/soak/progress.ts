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
  readonly phase: RunPhase;
  /** Under load. */
  readonly elapsedMs: number;
  readonly durationMs: number;
  /** Answered in the last sample, a second; null before the load. */
  readonly answersPerSecond: number | null;
  readonly p99Ms: number | null;
  readonly rssBytes: number | null;
  /** Requests that failed so far. */
  readonly failed: number;
}
