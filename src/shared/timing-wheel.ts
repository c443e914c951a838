import { AckgateRangeError } from '../errors.js';

/*
 *  bucket   0     1     2     3    …   buckets-1
 *         ┌─────┬─────┬─────┬─────┬─ ─┬─────┐      one bucket per tick, used again every `buckets` ticks;
 *         │  ●  │     │ ●●● │     │   │  ●  │      a later deadline waits in the last bucket and moves on from there
 *         └─────┴─────┴─────┴─────┴─ ─┴─────┘
 *            ▲ cursor: every bucket of an earlier tick is done with
 *
 * A bucket is a circular list threaded through `next` and `prev`; its anchor has the index slots + bucket.
 */

export interface TimingWheelOptions {
  /** Items are the numbers 0 … slots-1. */
  slots: number;
  /** The clock's value now; no deadline and no call may lie before it. */
  startNs: number;
  /** Width of a bucket; 10 ms by default. */
  tickNs?: number;
  /** A power of two from 32 to 65,536, 1,024 by default: together they should span the usual distance of a deadline. */
  buckets?: number;
}

/**
 * A hashed timing wheel: deadlines of many items at a cost per call that depends on the items that are due, not on
 * all of them. Allocates nothing after construction.
 *
 * Made for deadlines that nearly always move later: `defer` is one store, and the item is looked at again only
 * when its earlier deadline comes up. Nothing comes up before its deadline, and `expire` misses nothing that is due.
 */
export class TimingWheel {
  readonly #slots: number;
  readonly #startNs: number;
  readonly #tickNs: number;
  readonly #mask: number;
  /** True deadline per slot; at or after the tick of the bucket that holds the item. */
  readonly #deadlines: Float64Array;
  /** The bucket that holds the slot, or -1. */
  readonly #bucketOf: Int32Array;
  readonly #next: Int32Array;
  readonly #prev: Int32Array;
  /** One bit per bucket, set exactly when it isn't empty. */
  readonly #occupied: Int32Array;
  /** Tick that is being looked at; a number of its own, not wrapped. */
  #cursor = 0;
  /** No deadline in the cursor's bucket is earlier; -Infinity until all of it was looked at. */
  #cursorMinNs = Number.POSITIVE_INFINITY;
  #size = 0;

  constructor(options: TimingWheelOptions) {
    const { slots, startNs, tickNs = 10e6, buckets = 1024 } = options;
    checkRange(
      'slots',
      Number.isInteger(slots) && slots >= 1 && slots <= 2 ** 24,
      'an integer from 1 to 2^24',
    );
    checkRange('startNs', Number.isFinite(startNs), 'a finite number');
    checkRange('tickNs', Number.isFinite(tickNs) && tickNs > 0, 'a finite number above 0');
    const isPower =
      Number.isInteger(buckets) && buckets >= 32 && buckets <= 65_536 && (buckets & (buckets - 1)) === 0;
    checkRange('buckets', isPower, 'a power of two from 32 to 65,536');
    this.#slots = slots;
    this.#startNs = startNs;
    this.#tickNs = tickNs;
    this.#mask = buckets - 1;
    this.#deadlines = new Float64Array(slots);
    this.#bucketOf = new Int32Array(slots).fill(-1);
    this.#next = Int32Array.from({ length: slots + buckets }, (_, index) => index);
    this.#prev = Int32Array.from(this.#next);
    this.#occupied = new Int32Array(buckets / 32);
  }

  /** How many items are scheduled. */
  get size(): number {
    return this.#size;
  }

  isScheduled(slot: number): boolean {
    return this.#bucketOf[slot] !== -1;
  }

  /** Sets the deadline of an item, new or not, earlier or later. */
  schedule(slot: number, deadlineNs: number): void {
    const tick = this.#reachableTick(deadlineNs);
    if (this.#bucketOf[slot] !== -1) {
      if (this.#tickOfBucket(this.#bucketOf[slot]) > tick) this.#unlink(slot);
    } else {
      this.#size++;
    }
    this.#deadlines[slot] = deadlineNs;
    if (this.#bucketOf[slot] === -1) this.#link(slot, tick);
    if (deadlineNs < this.#cursorMinNs && this.#bucketOf[slot] === this.#bucketOfTick(this.#cursor)) {
      this.#cursorMinNs = deadlineNs;
    }
  }

  /** Moves the deadline of an item to a later time; does nothing to one that isn't scheduled. One store. */
  defer(slot: number, laterDeadlineNs: number): void {
    this.#deadlines[slot] = laterDeadlineNs;
  }

  /** Forgets an item; does nothing to one that isn't scheduled. */
  cancel(slot: number): void {
    if (this.#bucketOf[slot] === -1) return;
    this.#unlink(slot);
    this.#size--;
  }

  /**
   * Takes up to `limit` items whose deadline is at or before `nowNs` off the wheel, writes them into `due` and
   * returns how many. What the limit left is due at the next call.
   */
  expire(nowNs: number, due: Int32Array, limit: number = due.length): number {
    const nowTick = this.#tickOf(nowNs);
    if (nowTick <= this.#cursor && nowNs < this.#cursorMinNs) return 0;
    // A whole turn or more has passed: every bucket is past, and one turn visits them all.
    if (nowTick - this.#cursor > this.#mask) this.#moveCursor(nowTick - this.#mask);

    let count = 0;
    while (true) {
      const bucket = this.#bucketOfTick(this.#cursor);
      const anchor = this.#slots + bucket;
      let earliestLeft = Number.POSITIVE_INFINITY;
      for (let slot = this.#next[anchor], following = 0; slot !== anchor; slot = following) {
        following = this.#next[slot];
        const deadline = this.#deadlines[slot];
        if (deadline <= nowNs) {
          if (count >= limit) return count;
          this.#unlink(slot);
          this.#size--;
          due[count++] = slot;
          continue;
        }
        const tick = this.#reachableTick(deadline);
        if (tick === this.#cursor) {
          earliestLeft = Math.min(earliestLeft, deadline);
        } else {
          this.#unlink(slot);
          this.#link(slot, tick);
        }
      }
      this.#cursorMinNs = earliestLeft;
      if (this.#cursor >= nowTick) return count;
      this.#moveCursor(Math.min(nowTick, this.#nextOccupiedTick()));
    }
  }

  /**
   * A time at or before the earliest deadline, for a sleep: Infinity when nothing is scheduled, possibly -Infinity
   * when the last `expire` had to leave items that are due. After it has passed, `expire` may find nothing due; the next answer is later then.
   */
  nextDeadlineNs(): number {
    if (this.#size === 0) return Number.POSITIVE_INFINITY;
    if (this.#cursorMinNs !== Number.POSITIVE_INFINITY) return this.#cursorMinNs;
    return this.#startNs + this.#nextOccupiedTick() * this.#tickNs;
  }

  #moveCursor(tick: number): void {
    this.#cursor = tick;
    this.#cursorMinNs = Number.NEGATIVE_INFINITY;
  }

  #tickOf(timeNs: number): number {
    return Math.floor((timeNs - this.#startNs) / this.#tickNs);
  }

  /** The tick of a deadline, or the nearest one that the wheel can hold just now. */
  #reachableTick(deadlineNs: number): number {
    const tick = this.#tickOf(deadlineNs);
    // Written so that NaN stays in the bucket at hand instead of circling through the wheel.
    return tick > this.#cursor ? Math.min(tick, this.#cursor + this.#mask) : this.#cursor;
  }

  #bucketOfTick(tick: number): number {
    // `&` takes a number modulo 2^32 first, so this holds for every tick up to 2^53.
    return tick & this.#mask;
  }

  /** Inverse of `#bucketOfTick` within the turn that begins at the cursor. */
  #tickOfBucket(bucket: number): number {
    return this.#cursor + ((bucket - this.#bucketOfTick(this.#cursor)) & this.#mask);
  }

  /** The next tick after the cursor's whose bucket holds something; Infinity when none does. */
  #nextOccupiedTick(): number {
    const first = (this.#bucketOfTick(this.#cursor) + 1) & this.#mask;
    const words = this.#occupied.length;
    let word = first >> 5;
    let bits = this.#occupied[word] & (-1 << (first & 31));
    // One word more than there are: the first one is looked at from both ends.
    for (let looked = 0; looked <= words; looked++) {
      if (bits !== 0) {
        const bucket = (word << 5) + 31 - Math.clz32(bits & -bits);
        const tick = this.#tickOfBucket(bucket);
        return tick === this.#cursor ? Number.POSITIVE_INFINITY : tick;
      }
      word = word + 1 === words ? 0 : word + 1;
      bits = this.#occupied[word];
    }
    return Number.POSITIVE_INFINITY;
  }

  #link(slot: number, tick: number): void {
    const bucket = this.#bucketOfTick(tick);
    const anchor = this.#slots + bucket;
    const last = this.#prev[anchor];
    this.#next[last] = slot;
    this.#prev[slot] = last;
    this.#next[slot] = anchor;
    this.#prev[anchor] = slot;
    this.#bucketOf[slot] = bucket;
    this.#occupied[bucket >> 5] |= 1 << (bucket & 31);
  }

  #unlink(slot: number): void {
    const next = this.#next[slot];
    const prev = this.#prev[slot];
    this.#next[prev] = next;
    this.#prev[next] = prev;
    const bucket = this.#bucketOf[slot];
    this.#bucketOf[slot] = -1;
    if (next === prev) this.#occupied[bucket >> 5] &= ~(1 << (bucket & 31));
  }
}

function checkRange(name: string, holds: boolean, what: string): void {
  if (!holds) throw new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', `${name} must be ${what}`);
}
