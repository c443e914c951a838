import type { StageStatus } from '../../stage/status.js';

export interface Percentiles {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
  mean: number;
}

/** What `GET /status` answers. Times in `timings` are nanoseconds. */
export interface StatusAnswer {
  nowUnixMs: number;
  /** On the clock of the times in `status`. */
  nowNs: number;
  status: Omit<StageStatus, 'durablePos' | 'replicaCursor'> & {
    durablePos: number | 'unbounded';
    replicaCursor: number | 'unbounded';
  };
  timings: Record<string, Percentiles>;
  /** Null in it: the store would not say. */
  directives: {
    revision: number | null;
    active: number | null;
    ageMs: number | null;
    lastError: string | null;
  } | null;
  /** What POST could do. */
  admin: { directives: boolean; mode: boolean };
  modes: string[];
  instance: string | null;
  /** The application's own figures. `roundTrip` is in milliseconds. */
  app?: Record<string, unknown> & { roundTrip?: { p50: number; p99: number; max: number } };
}
