import type { Consumer } from '../ring/consumer.js';
import { RecordFlag } from '../ring/layout.js';
import type { Gate } from './gate.js';

/** Where waiting times go, in nanoseconds. */
export interface CrossingSink {
  ringWait(ns: number): void;
  journalWait(ns: number): void;
  replicaWait(ns: number): void;
}

/** Whether the record at a ring position is timed. */
export type IsTimed = (position: number) => boolean;

/**
 * For records that have to wait: the time from the engine finishing them to the first moment at which the journal's
 * cursor, and the binding replica's, was seen at or past their sequence.
 *
 * Works on ring positions between the stage's place and the end of what was published. Each record is looked at once;
 * a cursor that is there already at the first look counts for nothing. Sequences grow along the ring, so one mark per
 * cursor says how far it has come. Runs only while timings are on.
 */
export class CrossingTracker {
  readonly #ring: Consumer;
  readonly #gate: Gate;
  readonly #sink: CrossingSink;
  readonly #isTimed: IsTimed;
  /** Ring positions: first not looked at, first not crossed by the journal, and by the replica. */
  #looked: number;
  #journal: number;
  #replica: number;
  #membership: number;

  /** `from`: ring position of the first record that nobody has looked at yet. */
  constructor(
    ring: Consumer,
    gate: Gate,
    sink: CrossingSink,
    isTimed: IsTimed,
    from: number = ring.position,
  ) {
    this.#ring = ring;
    this.#gate = gate;
    this.#sink = sink;
    this.#isTimed = isTimed;
    this.#looked = from;
    this.#journal = from;
    this.#replica = from;
    this.#membership = gate.membership;
  }

  /** Forgets all records that wait: what they waited for has changed. */
  restart(): void {
    this.#journal = this.#looked;
    this.#replica = this.#looked;
  }

  /** Looks at what was published and how far the cursors have come, after each evaluation of the gate. */
  observe(available: number, nowNs: number): void {
    const start = this.#ring.position;
    // Records are handed back only after they were looked at, so the marks are at most behind the start.
    this.#looked = latest(this.#looked, start);
    this.#journal = latest(this.#journal, start);
    this.#replica = latest(this.#replica, start);
    const journalCursor = this.#gate.journalCursor;
    const replicaCursor = this.#gate.evaluator.replicaCursor;
    if (this.#membership !== this.#gate.membership || replicaCursor < 0) {
      this.#membership = this.#gate.membership;
      this.#replica = this.#looked;
    }
    this.#journal = this.#cross(this.#journal, journalCursor, start, nowNs, true);
    this.#replica = this.#cross(this.#replica, replicaCursor, start, nowNs, false);

    const end = (start + available) | 0;
    // Not until they are equal: records may have been looked at that were published since `available` was read.
    while (((end - this.#looked) | 0) > 0) {
      const record = this.#ring.at((this.#looked - start) | 0);
      if (record.finishedNs > 0 && this.#isTimed(this.#looked))
        this.#sink.ringWait(nowNs - record.finishedNs);
      const caughtUp = this.#looked;
      this.#looked = (this.#looked + 1) | 0;
      const gated = (record.flags & RecordFlag.durabilityBypass) === 0;
      if (this.#journal === caughtUp && (!gated || record.wireSeq <= journalCursor))
        this.#journal = this.#looked;
      if (this.#replica === caughtUp && (!gated || replicaCursor < 0 || record.wireSeq <= replicaCursor)) {
        this.#replica = this.#looked;
      }
    }
  }

  /** Moves a mark past every record whose sequence the cursor has reached, and records how long each took. */
  #cross(mark: number, cursor: number, start: number, nowNs: number, journal: boolean): number {
    let at = mark;
    for (; at !== this.#looked; at = (at + 1) | 0) {
      const record = this.#ring.at((at - start) | 0);
      const gated = (record.flags & RecordFlag.durabilityBypass) === 0;
      if (gated && record.wireSeq > cursor) break;
      if (!gated || record.wireSeq === 0 || record.finishedNs === 0 || !this.#isTimed(at)) continue;
      if (journal) this.#sink.journalWait(nowNs - record.finishedNs);
      else this.#sink.replicaWait(nowNs - record.finishedNs);
    }
    return at;
  }
}

function latest(mark: number, start: number): number {
  return ((mark - start) | 0) < 0 ? start : mark;
}
