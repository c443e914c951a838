import type { SoakConfig } from './config.js';
import { duration } from './format.js';
import type { ChaosEvent, Ended, FootprintRecord, PeakRecord, RunRecord } from './run-record.js';
import { type LossCounts, noLosses, requestCountNames, type Sample, type WindowReading } from './samples.js';

/** Marks in the charts; the counts are in the samples. */
const chaosEventsMax = 4000;

/** What a run is, from its beginning on and when it is resumed. */
export interface RunIdentity {
  /** When it was begun for the first time, in ISO 8601. */
  readonly startedAt: string;
  /** What the run is to be. */
  readonly config: SoakConfig;
  /** The driver's name. */
  readonly driver: string;
  /** The server's command as it was given; empty: the driver's own server. */
  readonly command: readonly string[];
  /** The command that repeats the run, for people. */
  readonly repeat: string;
}

/** What a run has come to; plain data, so that it can be kept and gone on from. */
export interface RunProgress {
  /** Lives of the server so far. */
  segments: number;
  /** Time under load so far, in milliseconds. */
  elapsedMs: number;
  /** From the start of the server to its first answer, in milliseconds; null: there was none. */
  readyAfterMs: number | null;
  /** The load before the warm-up; null: not done. */
  footprint: FootprintRecord | null;
  /** The burst; null: not done. */
  peak: PeakRecord | null;
  /** Latency in each window of the load so far. */
  windows: WindowReading[];
  /** Counts of requests so far. */
  losses: LossCounts;
  /** What was done to the server. */
  chaosEvents: ChaosEvent[];
  /** What a reader should know before trusting the figures. */
  notes: string[];
  /** Resident memory of the runner itself, in bytes. */
  runner: {
    /** At its first sample. */
    firstRssBytes: number;
    /** At its last sample so far. */
    lastRssBytes: number;
    /** The most at any sample. */
    maxRssBytes: number;
  };
}

export const newProgress = (): RunProgress => ({
  segments: 0,
  elapsedMs: 0,
  readyAfterMs: null,
  footprint: null,
  peak: null,
  windows: [],
  losses: noLosses,
  chaosEvents: [],
  notes: [],
  runner: { firstRssBytes: 0, lastRssBytes: 0, maxRssBytes: 0 },
});

/** Everything that is measured in a run, as it comes in. */
export class RunBook {
  readonly identity: RunIdentity;
  readonly progress: RunProgress;
  readonly samples: Sample[];
  finalRssBytes: number | null = null;
  orphans: Record<string, number> | null = null;
  serverExit: string | null = null;
  serverOutput = '';

  constructor(identity: RunIdentity, progress = newProgress(), samples: Sample[] = []) {
    this.identity = identity;
    this.progress = progress;
    this.samples = samples;
  }

  addSample(sample: Sample): void {
    this.samples.push(sample);
    this.progress.elapsedMs = sample.atMs;
    const { rss } = process.memoryUsage();
    const { runner } = this.progress;
    if (runner.firstRssBytes === 0) runner.firstRssBytes = rss;
    runner.lastRssBytes = rss;
    runner.maxRssBytes = Math.max(runner.maxRssBytes, rss);
  }

  /** How much has gone wrong so far, of every kind. */
  get problems(): number {
    const { unexpected, timedOut, lost, late, missing, duplicated, disordered, corrupted, connectionsLost } =
      this.progress.losses;
    return (
      unexpected + timedOut + lost + late + missing + duplicated + disordered + corrupted + connectionsLost
    );
  }

  /** Takes in the samples that are newer than the progress: those since the last checkpoint of a runner that has crashed. */
  catchUp(): void {
    const { progress } = this;
    const newer = this.samples.filter(({ atMs }) => atMs > progress.elapsedMs);
    const losses = { ...progress.losses };
    for (const { load, atMs } of newer) {
      for (const name of requestCountNames) losses[name] += load[name];
      progress.elapsedMs = atMs;
    }
    progress.losses = losses;
    this.note(
      `The runner was resumed after ${duration(progress.elapsedMs)} under load, with a new server: ` +
        'what it had not written down of the seconds before is not in the counts.',
    );
  }

  addChaos(events: readonly ChaosEvent[]): void {
    const { chaosEvents } = this.progress;
    for (const event of events) chaosEvents.push(event);
    // Every second one goes, so that what is left is spread over the whole run.
    if (chaosEvents.length > chaosEventsMax) {
      this.progress.chaosEvents = chaosEvents.filter((_, index) => index % 2 === 0);
    }
  }

  note(text: string): void {
    const { notes } = this.progress;
    if (!notes.includes(text)) notes.push(text);
  }

  record(ended: Ended, about: Pick<RunRecord, 'machine' | 'versions'>): RunRecord {
    const { elapsedMs: _, ...progress } = this.progress;
    const { finalRssBytes, orphans, serverExit, serverOutput, samples } = this;
    return {
      ...this.identity,
      ...about,
      ...progress,
      samples,
      finalRssBytes,
      orphans,
      ended,
      serverExit,
      serverOutput,
    };
  }
}
