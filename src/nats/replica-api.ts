import type { AckgateError } from '../errors.js';

/** What a replica says of itself. */
export interface ReplicaStatus {
  readonly node: string;
  /** Term of the primary that it follows; null while it follows none. */
  readonly term: number | null;
  /** What it has of that primary's journal. */
  readonly inMemory: number;
  readonly persisted: number;
  /** Highest sequence that the primary is known to have. */
  readonly primaryLast: number;
}

/**
 * A replica: appends what the primary publishes to a journal of its own, and tells the primary how far it has it. Goes
 * on by itself through restarts of the server and changes of the primary.
 */
export interface Replica {
  /** Resolves with the error when it has ended by itself; never rejects, and stays pending while all is well. */
  readonly failed: Promise<AckgateError>;
  readonly status: ReplicaStatus;
  /**
   * Stops to count, persists what it has, and lets go of everything.
   *
   * @throws (rejects with) ERR_ACKGATE_JOURNAL_FAILED when something that it had is not durable
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
