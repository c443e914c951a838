/** One record, as it was appended. */
export interface JournalRecord {
  sequence: number;
  /** A view of a larger buffer that nobody writes any more: keep it as long as you like, copy it to free the rest. */
  payload: Uint8Array;
}

/**
 * What the primary's persisted cursor comes from. `FileJournal` is the embedded one; a journal in a database can
 * stand in its place.
 *
 * Sequences are wire sequences: integers from 1 on, in the order of the appends, without gaps.
 */
export interface Journal {
  /**
   * Takes one record and returns its sequence, or `journalFull` when there is no room for it at the moment. The
   * record is durable once `primaryCursor` has reached its sequence, not before.
   *
   * @throws ERR_ACKGATE_JOURNAL_FAILED after a failure, ERR_ACKGATE_JOURNAL_CLOSED after `close()`
   */
  append(payload: Uint8Array): number;
  /** Takes all of the records or none of them; after a crash, too, either all of them are there or none. */
  appendBatch(batch: readonly Uint8Array[]): { first: number; last: number } | 'full';
  /** Highest sequence given out, 0 before the first. */
  readonly lastSequence: number;
  /** Highest sequence that is persisted together with everything before it. Never goes back. */
  readonly primaryCursor: number;
  /** The durable records from `from` on, as far as they are durable at the time of the call. */
  replay(from: number): IterableIterator<JournalRecord>;
  /**
   * Resolves once `primaryCursor` has reached `sequence`, which must have been given out.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED when it never will
   */
  whenPersisted(sequence: number): Promise<void>;
  /** Persists everything that was appended, then lets go of everything. */
  close(): Promise<void>;
}

/** What `append` returns when the buffer is full: no sequence, as these start at 1. */
export const journalFull = 0;
