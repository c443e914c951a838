import type { ConnectionTable } from '../egress/connection-table.js';
import type { Consumer } from '../ring/consumer.js';

/**
 * Where in the output ring each connection's last record lies, found out only when somebody asks.
 *
 * Noting it for every record would burden all of them with what is rarely wanted. Instead a question looks at the
 * records that wait and that no question before it has looked at: each is looked at once at most, however many
 * connections leave while the gate is closed.
 */
export class LastRecords {
  readonly #ring: Consumer;
  readonly #table: ConnectionTable;
  readonly #consumed: () => number;
  /**
   * Of each slot's connection: records ever published, up to and with its last one that was seen. Counted without
   * wrapping, as everything here: an old one must not look like one that is still to come.
   */
  readonly #upTo: Float64Array;
  /** Up to here all records have been looked at. */
  #seen = 0;
  /** The highest id of any connection so far. */
  #highestId = -1;
  /** Up to, and with, the last record that was seen for a connection that was still to come. */
  #early = 0;

  /** `consumed`: records ever consumed from the ring. */
  constructor(ring: Consumer, table: ConnectionTable, consumed: () => number) {
    this.#ring = ring;
    this.#table = table;
    this.#consumed = consumed;
    this.#upTo = new Float64Array(table.slots);
  }

  /** A slot has a new connection. */
  opened(slot: number, connectionId: number): void {
    this.#highestId = connectionId;
    // Any of the early records may be its own: rather too late an end than one before its answers.
    this.#upTo[slot] = this.#early;
  }

  /**
   * The place in the ring behind the last record of the slot's connection that was published before `position`; the
   * next place to be consumed when none of them waits. `position` is never lower than in the question before.
   */
  drainedAt(slot: number, position: number): number {
    const next = this.#ring.position;
    const consumed = this.#consumed();
    this.#lookUpTo(consumed + ((position - next) | 0), consumed);
    return (next + Math.max(0, this.#upTo[slot] - consumed)) | 0;
  }

  #lookUpTo(end: number, consumed: number): void {
    for (let at = Math.max(this.#seen, consumed); at < end; at++) {
      const { connectionId } = this.#ring.at(at - consumed);
      const slot = this.#table.find(connectionId);
      if (slot >= 0) this.#upTo[slot] = at + 1;
      else if (connectionId > this.#highestId) this.#early = at + 1;
    }
    this.#seen = Math.max(this.#seen, end);
  }
}
