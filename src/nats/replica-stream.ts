import type { BatchMessage, BatchRecord } from './batch-codec.js';

/** Appends the records of one batch, all or none. False: no room at the moment. */
export type AppendWhole = (payloads: readonly Uint8Array[]) => boolean;

interface Run {
  first: number;
  records: BatchRecord[];
}

/**
 * Brings what comes from one primary, published or fetched, in any order, doubled or with parts missing, into the order
 * of that primary's journal. What it appends is always the beginning of that journal, batch by batch: nothing behind a
 * gap is appended before what is missing. Does no input or output.
 */
export class ReplicaStream {
  readonly #append: AppendWhole;
  readonly #aheadBytesMax: number;
  #last: number;
  /** Records behind `last` whose batch is not complete. */
  #partial: Uint8Array[] = [];
  /** The newest records behind a gap, without a gap among themselves; kept so that the gap alone has to be fetched. */
  #ahead: Run[] = [];
  #aheadBytes = 0;
  #primaryLast = 0;

  /**
   * @param last what the replica's journal ends with: a sequence of the primary's history
   * @param aheadBytesMax most bytes kept behind a gap
   */
  constructor(last: number, append: AppendWhole, aheadBytesMax: number) {
    this.#last = last;
    this.#append = append;
    this.#aheadBytesMax = aheadBytesMax;
  }

  /** Everything up to here was appended. */
  get last(): number {
    return this.#last;
  }

  /** Highest sequence that the primary is known to have. */
  get primaryLast(): number {
    return this.#primaryLast;
  }

  /** What is to be fetched next; 0: nothing is missing. */
  get missingFrom(): number {
    return this.#primaryLast >= this.#next ? this.#next : 0;
  }

  take({ first, last, records }: Pick<BatchMessage, 'first' | 'last' | 'records'>): void {
    this.#primaryLast = Math.max(this.#primaryLast, last, first + records.length - 1);
    if (records.length === 0) return;
    if (first > this.#next) {
      this.#keep(first, records);
      return;
    }
    if (!this.#addAll(first, records)) return;
    while (this.#ahead.length > 0 && this.#ahead[0]!.first <= this.#next) {
      const run = this.#ahead.shift()!;
      this.#aheadBytes -= bytesOf(run.records);
      if (!this.#addAll(run.first, run.records)) return;
    }
  }

  get #next(): number {
    return this.#last + this.#partial.length + 1;
  }

  /** False when there was no room: what was in hand is forgotten then, and fetched later. */
  #addAll(first: number, records: readonly BatchRecord[]): boolean {
    for (let i = this.#next - first; i < records.length; i++) {
      const { payload, goesOn } = records[i]!;
      this.#partial.push(payload);
      if (goesOn) continue;
      if (!this.#append(this.#partial)) {
        this.#partial = [];
        this.#forgetAhead();
        return false;
      }
      this.#last += this.#partial.length;
      this.#partial = [];
    }
    return true;
  }

  #keep(first: number, records: readonly BatchRecord[]): void {
    // Late: it will be fetched with the rest of the gap.
    if (this.#ahead.length > 0 && first < this.#ahead[0]!.first) return;
    // Another gap, behind the one that is known: the older records are fetched, too.
    if (this.#ahead.length > 0 && first > this.#aheadNext) this.#forgetAhead();
    const known = this.#ahead.length === 0 ? 0 : this.#aheadNext - first;
    if (known >= records.length) return;
    const run = { first: first + known, records: records.slice(known) };
    this.#ahead.push(run);
    this.#aheadBytes += bytesOf(run.records);
    while (this.#aheadBytes > this.#aheadBytesMax && this.#ahead.length > 0) {
      this.#aheadBytes -= bytesOf(this.#ahead.shift()!.records);
    }
  }

  get #aheadNext(): number {
    const newest = this.#ahead[this.#ahead.length - 1]!;
    return newest.first + newest.records.length;
  }

  #forgetAhead(): void {
    this.#ahead = [];
    this.#aheadBytes = 0;
  }
}

/** What keeping them costs, about: an object for each. */
function bytesOf(records: readonly BatchRecord[]): number {
  return records.reduce((sum, { payload }) => sum + payload.length + 64, 0);
}
