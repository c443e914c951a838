import type { DirectiveStore } from '../diagnosis/directive.js';
import { AckgateError } from '../errors.js';
import type { StageStatus } from '../stage/status.js';
import type { TimingHistograms } from '../stage/timings.js';
import type { SupervisorStatus } from '../supervisor/counters.js';

/** What metrics are read from: a `Stage`, an `OpenedStage` or an `InlineStage`. */
export interface MetricsSource {
  /** One consistent copy of the status block. */
  status(): StageStatus;
  /** Its latency histograms; without them the summaries are left out. */
  readonly timings?: TimingHistograms;
  /** What it is told by directives; without it the metrics of directives are left out. */
  readonly diagnosis?: {
    /** The store that is followed, if any. */
    readonly store: DirectiveStore | null;
  };
}

/** A `FileJournal`, or another journal. */
export interface JournalSource {
  /** Highest sequence given out. */
  readonly lastSequence: number;
  /** Highest sequence that is persisted. */
  readonly primaryCursor: number;
  /** Why it has failed; null or left out: it has not. */
  readonly failure?: Error | null;
}

/** A `Supervisor`. */
export interface SupervisorSource {
  /** How it stands; null: there is none at the moment. */
  status(): SupervisorStatus | null;
}

/** What is shown beside the stage. */
interface OtherSources {
  readonly journal?: JournalSource;
  readonly supervisor?: SupervisorSource;
}

/** Everything that one collection goes by, read once. */
export interface Reading {
  /** A consistent copy of the status block. */
  readonly status: StageStatus;
  /** The monotonic time that ages are counted to. */
  readonly nowNs: number;
  /** The latency histograms; null: the source has none. */
  readonly timings: TimingHistograms | null;
  /** Of the store that the stage follows; null: it follows none. */
  readonly directives: DirectivesReading | null;
  /** Of the journal; null: none was given. */
  readonly journal: JournalReading | null;
  /** Of the supervisor; null: there is none. */
  readonly supervisor: SupervisorStatus | null;
}

/** How a store of directives stands. */
export interface DirectivesReading {
  /** Of the snapshot; null when the store would not give it. */
  readonly set: {
    /** Its revision. */
    readonly revision: number;
    /** Directives in it that are not over. */
    readonly active: number;
    /** Milliseconds since it was known to be the latest. */
    readonly ageMs: number;
  } | null;
  /** Whether its last update failed. */
  readonly updateFailed: boolean;
}

/** How a journal stands. */
export interface JournalReading {
  /** Highest sequence given out. */
  readonly lastSequence: number;
  /** Highest sequence that is persisted. */
  readonly persisted: number;
  /** Whether it has failed. */
  readonly failed: boolean;
}

/** Takes one consistent copy of the status block, and looks at the other sources. Holds no lock of the stage. */
export function readSources(source: MetricsSource, { journal, supervisor }: OtherSources): Reading {
  const status = source.status();
  const store = source.diagnosis?.store ?? null;
  return {
    status,
    nowNs: status.statusNs + status.ageNs,
    timings: source.timings ?? null,
    directives: store === null ? null : readDirectives(store),
    journal: journal === undefined ? null : readJournal(journal),
    supervisor: supervisor?.status() ?? null,
  };
}

function readDirectives(store: DirectiveStore): DirectivesReading {
  try {
    const { revision, directives } = store.load();
    const now = Date.now();
    const active = directives.filter(({ expiresAt }) => now < expiresAt).length;
    return { set: { revision, active, ageMs: store.ageMs() }, updateFailed: store.lastError !== null };
  } catch {
    // Somebody else's store: its fault must not take away all the other figures.
    return { set: null, updateFailed: true };
  }
}

function readJournal(journal: JournalSource): JournalReading {
  // The cursor first: it never passes what was given out before it was read.
  const persisted = journal.primaryCursor;
  return { persisted, lastSequence: journal.lastSequence, failed: (journal.failure ?? null) !== null };
}

export function checkSources(source: MetricsSource, { journal, supervisor }: OtherSources): void {
  if (typeof source?.status !== 'function') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'stage must be a stage, with its status()');
  }
  if (journal !== undefined && typeof journal?.primaryCursor !== 'number') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'journal must be a journal');
  }
  if (supervisor !== undefined && typeof supervisor?.status !== 'function') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'supervisor must be a supervisor');
  }
}
