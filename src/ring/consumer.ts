import { checkRingHandle, type RingHandle, ringLayout, slotBytes, slotLayout } from './layout.js';

/** One record as the reader sees it. A flyweight: valid until the next `at` of its consumer. */
export interface RecordView {
  readonly wireSeq: number;
  readonly connectionId: number;
  readonly kind: number;
  /** Bits of `RecordFlag`. */
  readonly flags: number;
  readonly receivedNs: number;
  readonly finishedNs: number;
  /** The slot's whole payload area; only the first `payloadLength` bytes belong to the record. */
  readonly bytes: Uint8Array;
  readonly payloadLength: number;
}

/**
 * The reading end of a ring, for one thread.
 *
 * Look at `available` records with `at(0)`, `at(1)` …, then hand their slots back with `release`: the slots are the
 * reader's until then. `poll` does both for simple uses.
 */
export class Consumer {
  readonly capacity: number;
  readonly maxPayload: number;
  readonly #counters: Int32Array;
  readonly #doubles: Float64Array;
  readonly #ints: Uint32Array;
  readonly #shorts: Uint16Array;
  /** One view per slot: looking at a payload must not allocate. */
  readonly #payloads: (Uint8Array | undefined)[];
  readonly #buffer: SharedArrayBuffer;
  readonly #payloadsAt: number;
  readonly #slotBytes: number;
  #next: number;
  #publishedSeen: number;
  readonly #view = new SlotView();

  /** `lazyViews`: a slot's view is made when it is first read, for large rings that are hardly used. */
  constructor(handle: RingHandle, options: { lazyViews?: boolean } = {}) {
    checkRingHandle(handle);
    const { buffer, byteOffset, capacity, maxPayload } = handle;
    this.capacity = capacity;
    this.maxPayload = maxPayload;
    this.#slotBytes = slotBytes(maxPayload);
    this.#counters = new Int32Array(buffer, byteOffset, ringLayout.slots / 4);
    const start = byteOffset + ringLayout.slots;
    const length = capacity * this.#slotBytes;
    this.#doubles = new Float64Array(buffer, start, length / 8);
    this.#ints = new Uint32Array(buffer, start, length / 4);
    this.#shorts = new Uint16Array(buffer, start, length / 2);
    this.#buffer = buffer;
    this.#payloadsAt = start + slotLayout.payload;
    this.#payloads = new Array(capacity).fill(undefined);
    if (!options.lazyViews) for (let slot = 0; slot < capacity; slot++) this.#payload(slot);
    this.#next = Atomics.load(this.#counters, ringLayout.consumed / 4);
    this.#publishedSeen = this.#next;
  }

  /** Ring position of the next record to consume: a wrapping 32-bit count, not a wire sequence. */
  get position(): number {
    return this.#next;
  }

  /** Looks how far the ring is published and returns the number of records that can be consumed. */
  available(): number {
    this.#publishedSeen = Atomics.load(this.#counters, ringLayout.published / 4);
    return (this.#publishedSeen - this.#next) | 0;
  }

  /** The record `ahead` places after the next one; `ahead` must be below the last `available()`. */
  at(ahead: number): RecordView {
    const slot = (this.#next + ahead) & (this.capacity - 1);
    const at = slot * this.#slotBytes;
    const f64 = at >> 3;
    const view = this.#view;
    view.wireSeq = this.#doubles[f64];
    view.connectionId = this.#doubles[f64 + slotLayout.connectionId / 8];
    view.receivedNs = this.#doubles[f64 + slotLayout.receivedNs / 8];
    view.finishedNs = this.#doubles[f64 + slotLayout.finishedNs / 8];
    view.payloadLength = this.#ints[(at + slotLayout.payloadLength) >> 2];
    view.kind = this.#shorts[(at + slotLayout.kind) >> 1];
    view.flags = this.#shorts[(at + slotLayout.flags) >> 1];
    view.bytes = this.#payloads[slot] ?? this.#payload(slot);
    return view;
  }

  #payload(slot: number): Uint8Array {
    const view = new Uint8Array(this.#buffer, this.#payloadsAt + slot * this.#slotBytes, this.maxPayload);
    this.#payloads[slot] = view;
    return view;
  }

  /** Hands the next `count` slots back to the producer: their bytes must have been copied out. */
  release(count: number): void {
    this.#next = (this.#next + count) | 0;
    Atomics.store(this.#counters, ringLayout.consumed / 4, this.#next);
  }

  /**
   * Consumes up to `limit` records. The handler sees each in ring order; when it returns `false` the record is
   * left in the ring and the batch ends. Returns the number of records consumed.
   */
  poll(handler: (record: RecordView) => boolean | undefined, limit = this.capacity): number {
    const count = Math.min(this.available(), limit);
    let taken = 0;
    try {
      while (taken < count && handler(this.at(taken)) !== false) taken++;
    } finally {
      if (taken > 0) this.release(taken);
    }
    return taken;
  }
}

class SlotView implements RecordView {
  wireSeq = 0;
  connectionId = 0;
  receivedNs = 0;
  finishedNs = 0;
  payloadLength = 0;
  kind = 0;
  flags = 0;
  bytes: Uint8Array = new Uint8Array(0);
}

/** What any thread may ask of a ring without owning an end of it. */
export class RingObserver {
  readonly #counters: Int32Array;
  readonly #doubles: Float64Array;
  readonly #capacity: number;
  readonly #slotBytes: number;

  constructor(handle: RingHandle) {
    checkRingHandle(handle);
    const { buffer, byteOffset, capacity, maxPayload } = handle;
    this.#capacity = capacity;
    this.#slotBytes = slotBytes(maxPayload);
    this.#counters = new Int32Array(buffer, byteOffset, ringLayout.slots / 4);
    this.#doubles = new Float64Array(buffer, byteOffset + ringLayout.slots, (capacity * this.#slotBytes) / 8);
  }

  /** Records ever published, wrapping at 2^32. */
  published(): number {
    return Atomics.load(this.#counters, ringLayout.published / 4);
  }

  consumed(): number {
    return Atomics.load(this.#counters, ringLayout.consumed / 4);
  }

  depth(): number {
    const consumed = this.consumed();
    return (this.published() - consumed) | 0;
  }

  /** Highest wire sequence ever published, 0 before the first. */
  highestSeq(): number {
    for (;;) {
      const published = this.published();
      const slot = (published - 1) & (this.#capacity - 1);
      const highest = this.#doubles[(slot * this.#slotBytes + slotLayout.highestSeq) >> 3];
      // Adds nothing: a read-modify-write is what the plain read above can't be moved behind. The producer may be
      // writing the slot again once the ring has gone round but for one.
      const since = (Atomics.add(this.#counters, ringLayout.published / 4, 0) - published) | 0;
      if (since < this.#capacity - 1) return highest;
    }
  }
}
