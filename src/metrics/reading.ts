import type { DirectiveStore } from '../diagnosis/directive.js';
import { AckgateError } from '../errors.js';
import type { StageStatus } from '../stage/status.js';
import type { TimingHistograms } from '../stage/timings.js';
import type { SupervisorStatus } from '../supervisor/counters.js';

/** What metrics are read from: a `Stage`, an `OpenedStage` or an `InlineStage`. */
export interface MetricsSource {
  status(): StageStatus;
  readonly timings?: TimingHistograms;
  readonly diagnosis?: { readonly store: DirectiveStore | null };
}

/** A `FileJournal`, or another journal. */
export interface JournalSource {
  readonly lastSequence: number;
  readonly primaryCursor: number;
  readonly failure?: Error | null;
}

/** A `Supervisor`. */
export interface SupervisorSource {
  /** Null: there is none at the moment. */
  status(): SupervisorStatus | null;
}

/** What is shown beside the stage. */
export interface OtherSources {
  /** Shown as `ackgate_journal_…` when given. */
  journal?: JournalSource;
  /** Shown as `ackgate_supervisor_…` when given. */
  supervisor?: SupervisorSource;
}

/** Everything that one collection goes by, read once. */
export interface Reading {
  readonly status: StageStatus;
  /** The monotonic time that ages are counted to. */
  readonly nowNs: number;
  readonly timings: TimingHistograms | null;
  readonly directives: DirectivesReading | null;
  readonly journal: JournalReading | null;
  readonly supervisor: SupervisorStatus | null;
}

export interface DirectivesReading {
  /** Of the snapshot; null when the store would not give it. */
  readonly set: { readonly revision: number; readonly active: number; readonly ageMs: number } | null;
  readonly updateFailed: boolean;
}

export interface JournalReading {
  readonly lastSequence: number;
  readonly persisted: number;
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
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'options.journal must be a journal');
  }
  if (supervisor !== undefined && typeof supervisor?.status !== 'function') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'options.supervisor must be a supervisor');
  }
}
