import type { SoakConfig } from './config.js';
import type { RunFinding, Verdict } from './findings.js';
import type { LossCounts, Sample, WindowReading } from './samples.js';

/** A load in a closed loop, and the resident memory around it. */
export interface FootprintRecord {
  readonly idleRssBytes: number | null;
  /** When half of the requests were answered. */
  readonly halfRssBytes: number | null;
  /** After settling. */
  readonly finalRssBytes: number | null;
  readonly requests: number;
  readonly answered: number;
}

export interface PeakRecord {
  /** Settled, before the burst. */
  readonly idleRssBytes: number | null;
  readonly peakRssBytes: number | null;
  /** How often RSS was read in the burst. */
  readonly readings: number;
}

/** Something that was done to the server, for the marks in the charts. */
export interface ChaosEvent {
  /** On the time axis of the samples. */
  readonly atMs: number;
  readonly kind: string;
  /** How long it took; 0 for a moment. */
  readonly forMs: number;
}

export type Ended =
  | { readonly why: 'time' }
  /** By a signal, or by whoever called. */
  | { readonly why: 'stopped'; readonly detail: string }
  | { readonly why: 'not-ready'; readonly detail: string }
  /** The server's process ended by itself. */
  | { readonly why: 'died'; readonly detail: string }
  /** It is not worth going on, such as when nothing is answered any more. */
  | { readonly why: 'anomaly'; readonly detail: string };

/** All that was measured: what the findings are judged by, and what the report shows. */
export interface RunRecord {
  readonly startedAt: string;
  /** What the run was, or should have been. */
  readonly config: SoakConfig;
  readonly driver: string;
  readonly command: readonly string[];
  /** Repeats the run. */
  readonly repeat: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
  /** How often the runner was begun anew, and then the server with it. */
  readonly segments: number;
  readonly readyAfterMs: number | null;
  readonly footprint: FootprintRecord | null;
  readonly peak: PeakRecord | null;
  readonly samples: readonly Sample[];
  readonly windows: readonly WindowReading[];
  readonly losses: LossCounts;
  /** The most frequent kinds are thinned out past a few thousand; the samples have the counts. */
  readonly chaosEvents: readonly ChaosEvent[];
  /** RSS after the load has settled and all clients have left. */
  readonly finalRssBytes: number | null;
  /** Of the driver's `orphans`, and `connections` that the server's side has not closed; null: could not be had. */
  readonly orphans: Readonly<Record<string, number>> | null;
  readonly ended: Ended;
  /** Exit code or signal of the server, after it was asked to end or by itself; null while it runs. */
  readonly serverExit: string | null;
  /** The end of what the server has written. */
  readonly serverOutput: string;
  /** What a reader should know before trusting the figures. */
  readonly notes: readonly string[];
  /** Resident memory of the runner itself at its first and last sample, and the most of all. */
  readonly runner: {
    readonly firstRssBytes: number;
    readonly lastRssBytes: number;
    readonly maxRssBytes: number;
  };
}

export interface SoakResult {
  readonly verdict: Verdict;
  readonly findings: readonly RunFinding[];
  readonly record: RunRecord;
  /** Where the artifacts are. */
  readonly directory: string;
}
