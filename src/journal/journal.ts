import type { AckgateError } from '../errors.js';
import type { StageHandle } from '../stage/open-stage.js';

/** One record, as it was appended. */
export interface JournalRecord {
  /** Its wire sequence, from 1 on. */
  sequence: number;
  /** A view of a larger buffer that nobody writes any more: keep it as long as you like, copy it to free the rest. */
  payload: Uint8Array;
  /**
   * True: it was appended in a batch that goes on with the next record, so a copy has to take the two together. A
   * replay never ends behind such a record, though it may begin behind one.
   */
  goesOn?: boolean;
}

/** The sequences of a batch of records, which follow on one another. */
export interface JournalBatch {
  /** Of the first record. */
  first: number;
  /** Of the last record. */
  last: number;
}

/** What a journal needs of a stage: `startStage` gives one. */
export interface DrivenStage {
  /** Its term of office, which must be the journal's. */
  readonly epoch: number;
  /** A handle by which the journal's thread opens it. */
  share(): StageHandle;
  /** Ends its submissions for good: another primary has taken over. */
  fence(newEpoch: number): Promise<void>;
}

/**
 * What the primary's persisted cursor comes from: `FileJournal`, or a journal on an engine that replicates it.
 *
 * Sequences are wire sequences: integers from 1 on, in the order of the appends, without gaps. A program opens its
 * journal, replays it, starts a stage with the journal's epoch, and has the journal drive it.
 */
export interface Journal {
  /**
   * Takes one record and returns its sequence, or `journalFull` when there is no room for it at the moment. The
   * record is durable once `primaryCursor` has reached its sequence, not before.
   *
   * @throws ERR_ACKGATE_JOURNAL_FAILED after a failure, ERR_ACKGATE_SUPERSEDED once another primary has taken over,
   *   ERR_ACKGATE_JOURNAL_CLOSED after `close()`
   */
  append(payload: Uint8Array): number;
  /** Takes all of the records or none of them; after a crash, too, either all of them are there or none. */
  appendBatch(batch: readonly Uint8Array[]): JournalBatch | 'full';
  /** Oldest sequence that is kept: where a complete replay starts. */
  readonly firstSequence: number;
  /** Highest sequence given out, 0 before the first. */
  readonly lastSequence: number;
  /** Highest sequence that is persisted together with everything before it. Never goes back. */
  readonly primaryCursor: number;
  /** This primary's term of office, for `startStage({ epoch })`: higher than that of any earlier one. 0: there are none. */
  readonly epoch: number;
  /**
   * The durable records from `from` on (default: the oldest), as far as they are durable at the time of the call.
   * `for await` goes through those of every journal.
   */
  replay(from?: number): Iterable<JournalRecord> | AsyncIterable<JournalRecord>;
  /**
   * Resolves once `primaryCursor` has reached `sequence`, which must have been given out.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED when it never will
   */
  whenPersisted(sequence: number): Promise<void>;
  /**
   * Resolves once everything that was appended before the call is persisted.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED when some of it never will be
   */
  flush(): Promise<void>;
  /** Resolves with the error when the journal has failed; never rejects, and stays pending while all is well. */
  readonly failed: Promise<AckgateError>;
  /** Why the journal has failed, or null. Seen at once, also by a thread that never yields. */
  readonly failure: AckgateError | null;
  /**
   * From now on the journal moves the cursors of this stage, the primary's and those of replicas that it knows of, on a
   * thread of its own; once another primary has taken over it fences the stage. Resolves when the primary's cursor is
   * where the journal is. One stage for each journal.
   *
   * @throws (rejects with) ERR_ACKGATE_CURSOR_REGRESSED when the stage is ahead: it belongs to another journal.
   *   ERR_ACKGATE_STAGE_CLOSED; ERR_ACKGATE_INVALID_ARGUMENT for a stage that was not started with this journal's epoch
   */
  drive(stage: DrivenStage): Promise<void>;
  /** Persists everything that was appended, then lets go of everything. */
  close(): Promise<void>;
  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * What `append` returns when there is no room. It is no sequence, and not 0 either, which a record of the ring has that
 * waits for nothing: an answer that is published under it by mistake is refused instead of leaving at once.
 */
export const journalFull = -1;
