import type { AckgateError } from '../errors.js';

/** What a replica says of itself. */
export interface ReplicaStatus {
  /** Its name. */
  readonly node: string;
  /** Term of the primary that it follows; null while it follows none. */
  readonly term: number | null;
  /** Highest sequence of that primary's journal up to which it has everything in memory. */
  readonly inMemory: number;
  /** Highest sequence up to which it has everything on its disk. */
  readonly persisted: number;
  /** Highest sequence that the primary is known to have. */
  readonly primaryLastSequence: number;
}

/**
 * A replica: appends what the primary publishes to a journal of its own, and tells the primary how far it has it. Goes
 * on by itself through restarts of the server and changes of the primary.
 */
export interface Replica {
  /** Resolves with the error when it has ended by itself; never rejects, and stays pending while all is well. */
  readonly failed: Promise<AckgateError>;
  /** How it stands now. */
  status(): ReplicaStatus;
  /**
   * Stops to count, persists what it has, and lets go of everything.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED when something that it had is not durable
   */
  close(): Promise<void>;
  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
