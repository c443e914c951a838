import type { SoakConfig } from './config.js';
import type { RunFinding, Verdict } from './findings.js';
import type { LossCounts, Sample, WindowReading } from './samples.js';

/** A load in a closed loop, and the resident memory around it. */
export interface FootprintRecord {
  /** Before the first request, in bytes; null: not known, as below. */
  readonly idleRssBytes: number | null;
  /** Settled, when half of the requests were answered. */
  readonly halfRssBytes: number | null;
  /** Settled, after all of them. */
  readonly finalRssBytes: number | null;
  /** How many were asked for. */
  readonly requests: number;
  /** How many were answered, with whatever outcome. */
  readonly answered: number;
}

/** Resident memory in a burst of requests. */
export interface PeakRecord {
  /** Settled, before the burst, in bytes; null: not known. */
  readonly idleRssBytes: number | null;
  /** The most in the burst, in bytes; null: not known. */
  readonly peakRssBytes: number | null;
  /** How often RSS was read in the burst. */
  readonly readings: number;
}

/** Something that was done to the server, for the marks in the charts. */
export interface ChaosEvent {
  /** When it began, on the time axis of the samples. */
  readonly atMs: number;
  /** `disconnect`, `reset`, `slow-reader`, `stuck-reader`, `half-frame`, or the name of one of the driver's faults. */
  readonly kind: string;
  /** How long it took, in milliseconds; 0 for a moment. */
  readonly forMs: number;
}

/** How a run came to its end. */
export type Ended =
  | {
      /** Its time was up. */
      readonly why: 'time';
    }
  | {
      /** By a signal, or by whoever called. */
      readonly why: 'stopped';
      /** By what, in words. */
      readonly detail: string;
    }
  | {
      /** No request was answered in `readySeconds`. */
      readonly why: 'not-ready';
      /** What came instead, in words. */
      readonly detail: string;
    }
  | {
      /** The server's process ended by itself. */
      readonly why: 'died';
      /** How, in which phase, and the end of what it had written. */
      readonly detail: string;
    }
  | {
      /** It was not worth going on, such as when nothing was answered any more. */
      readonly why: 'anomaly';
      /** What was seen, in words. */
      readonly detail: string;
    };

/** All that was measured: what the findings are judged by, and what the report shows. */
export interface RunRecord {
  /** When it was begun for the first time, in ISO 8601. */
  readonly startedAt: string;
  /** What the run was, or should have been. */
  readonly config: SoakConfig;
  /** The driver's name. */
  readonly driver: string;
  /** The server's command as it was given; empty: the driver's own server. */
  readonly command: readonly string[];
  /** The command that repeats the run, for people. */
  readonly repeat: string;
  /** What it ran on: `cpu`, `cpus`, `memoryBytes`, `platform`, `kernel`. */
  readonly machine: Readonly<Record<string, string | number>>;
  /** Of `ackgate`, `node`, `v8` and `uv`, as the runner has them. */
  readonly versions: Readonly<Record<string, string>>;
  /** Lives of the server: one more each time the run was resumed, with a new server. */
  readonly segments: number;
  /** From the start of the server to its first answer, in milliseconds; null: there was none. */
  readonly readyAfterMs: number | null;
  /** The load before the warm-up; null: not done. */
  readonly footprint: FootprintRecord | null;
  /** The burst; null: not done. */
  readonly peak: PeakRecord | null;
  /** Every sample, in order. */
  readonly samples: readonly Sample[];
  /** Latency in each window of the load. */
  readonly windows: readonly WindowReading[];
  /** Counts of requests over the whole run. */
  readonly losses: LossCounts;
  /** The most frequent kinds are thinned out past a few thousand; the samples have the counts. */
  readonly chaosEvents: readonly ChaosEvent[];
  /** RSS in bytes after the load has settled and all clients have left; null: not known. */
  readonly finalRssBytes: number | null;
  /** Of the driver's `orphans`, and `connections` that the server's side has not closed; null: could not be had. */
  readonly orphans: Readonly<Record<string, number>> | null;
  /** How it came to its end. */
  readonly ended: Ended;
  /** Exit code or signal of the server, after it was asked to end or by itself; null while it runs. */
  readonly serverExit: string | null;
  /** The end of what the server has written. */
  readonly serverOutput: string;
  /** What a reader should know before trusting the figures. */
  readonly notes: readonly string[];
  /** Resident memory of the runner itself, in bytes. */
  readonly runner: {
    /** At its first sample. */
    readonly firstRssBytes: number;
    /** At its last sample. */
    readonly lastRssBytes: number;
    /** The most at any sample. */
    readonly maxRssBytes: number;
  };
}

/** What has become of a run. */
export interface SoakResult {
  /** Of the whole run. */
  readonly verdict: Verdict;
  /** All of them, in the order of `findingIds`. */
  readonly findings: readonly RunFinding[];
  /** What they were judged by. */
  readonly record: RunRecord;
  /** Where the artifacts are. */
  readonly directory: string;
}
