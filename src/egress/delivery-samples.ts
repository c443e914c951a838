import type { Clock } from '../shared/clock.js';
import type { DeliveryObserver } from './egress.js';

const none = -1;

/** What becomes of a sample: its times, and the capture ring's number of its record. */
export type DeliveredListener = (nowNs: number, receivedNs: number, entry: number) => void;

/**
 * End-to-end samples that wait for the flush which ships their bytes: a list per connection, in stream order, in a
 * pool of fixed size. A sample is closed once the kernel has the last byte of its answer, and discarded with a
 * connection that is dropped first.
 */
export class DeliverySamples implements DeliveryObserver {
  /** Samples not taken because the pool was empty. */
  dropped = 0;
  readonly #sentTotal: () => Float64Array;
  readonly #onDelivered: DeliveredListener;
  readonly #clock: Clock;
  readonly #receivedNs: Float64Array;
  readonly #streamEnd: Float64Array;
  readonly #entry: Float64Array;
  readonly #next: Int32Array;
  readonly #head: Int32Array;
  readonly #tail: Int32Array;
  /** Samples given back, and behind them those that were never used: an idle pool costs no memory. */
  #free = none;
  #unused = 0;

  constructor(
    slots: number,
    pool: number,
    sentTotal: () => Float64Array,
    onDelivered: DeliveredListener,
    clock: Clock,
  ) {
    this.#clock = clock;
    this.#sentTotal = sentTotal;
    this.#onDelivered = onDelivered;
    this.#receivedNs = new Float64Array(pool);
    this.#streamEnd = new Float64Array(pool);
    this.#entry = new Float64Array(pool);
    this.#next = new Int32Array(pool);
    this.#head = new Int32Array(slots).fill(none);
    this.#tail = new Int32Array(slots).fill(none);
  }

  /**
   * An answer to a request read at `receivedNs` (0: unknown), which was taken down as `entry`, ends at `streamEnd` bytes
   * of the connection's stream.
   */
  add(slot: number, receivedNs: number, entry: number, streamEnd: number): void {
    const sample = this.#take();
    if (sample === none) {
      this.dropped++;
      return;
    }
    this.#receivedNs[sample] = receivedNs;
    this.#streamEnd[sample] = streamEnd;
    this.#entry[sample] = entry;
    this.#next[sample] = none;
    if (this.#head[slot] === none) this.#head[slot] = sample;
    else this.#next[this.#tail[slot]] = sample;
    this.#tail[slot] = sample;
  }

  delivered(slot: number): void {
    if (this.#head[slot] === none) return;
    // Read here: the flush that brought the bytes to the kernel began with an older time.
    const nowNs = this.#clock();
    const sent = this.#sentTotal()[slot];
    for (let sample = this.#head[slot]; sample !== none && this.#streamEnd[sample] <= sent; ) {
      this.#onDelivered(nowNs, this.#receivedNs[sample], this.#entry[sample]);
      sample = this.#pop(slot);
    }
  }

  discarded(slot: number): void {
    while (this.#head[slot] !== none) this.#pop(slot);
  }

  #take(): number {
    const sample = this.#free;
    if (sample !== none) this.#free = this.#next[sample];
    else if (this.#unused < this.#next.length) return this.#unused++;
    return sample;
  }

  #pop(slot: number): number {
    const sample = this.#head[slot];
    this.#head[slot] = this.#next[sample];
    this.#next[sample] = this.#free;
    this.#free = sample;
    return this.#head[slot];
  }
}
