import { Bytes } from '../shared/bytes.js';
import { checkKeys } from '../shared/checks.js';
import { checkRingHandle, type RingHandle, ringLayout, slotBytes, slotLayout } from './layout.js';

/** One record as the reader sees it. A flyweight: valid until the next `at` of its consumer. */
export interface RecordView {
  /** Sequence that must be durable before it leaves; 0: it depends on none. */
  readonly wireSeq: number;
  /** The connection to answer. */
  readonly connectionId: number;
  /** The application's kind of record, 0 … 65,535. */
  readonly kind: number;
  /** Bits of `RecordFlag`. */
  readonly flags: number;
  /** When the request was read, on the `monotonicNow` clock; 0: unknown. */
  readonly receivedNs: number;
  /** When the engine had finished the response, on the same clock; 0: it was not stamped. */
  readonly finishedNs: number;
  /** Id of the request that it answers, 0: unknown. */
  readonly requestId: number;
  /** The slot's whole payload area; only the first `payloadBytes` bytes belong to the record. */
  readonly bytes: Uint8Array;
  /** Bytes of the payload. */
  readonly payloadBytes: number;
}

/** The same, and where the payload begins in the `memory` of the consumer. */
export interface RecordInRing extends RecordView {
  /** Offset of the payload in bytes. */
  readonly payloadAt: number;
  /** Puts the request id into an array: returning it would cost an object when it is large. */
  copyRequestId(into: Float64Array, index: number): void;
}

/**
 * The reading end of a ring, for one thread.
 *
 * Look at `available` records with `at(0)`, `at(1)` …, then hand their slots back with `release`: the slots are the
 * reader's until then. `poll` does both for simple uses.
 */
export class Consumer {
  /** Number of slots. */
  readonly capacity: number;
  /** Largest payload in bytes. */
  readonly maxPayload: number;
  /** @internal All slots, to copy payloads from. */
  readonly memory: Bytes;
  readonly #counters: Int32Array;
  readonly #slotBytes: number;
  readonly #view: SlotView;
  #next: number;
  #publishedSeen: number;

  /** @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_HANDLE_VERSION for what is no handle */
  constructor(handle: RingHandle);
  /** @internal `lazyViews`: a slot's view is made when it is first read, for large rings that are hardly used. */
  constructor(handle: RingHandle, options: { readonly lazyViews?: boolean });
  constructor(handle: RingHandle, options: { readonly lazyViews?: boolean } = {}) {
    checkRingHandle(handle);
    checkKeys('consumer options', options, ['lazyViews']);
    const { buffer, byteOffset, capacity, maxPayload } = handle;
    this.capacity = capacity;
    this.maxPayload = maxPayload;
    this.#slotBytes = slotBytes(maxPayload);
    this.#counters = new Int32Array(buffer, byteOffset, ringLayout.slots / 4);
    const start = byteOffset + ringLayout.slots;
    const length = capacity * this.#slotBytes;
    this.memory = new Bytes(new Uint8Array(buffer, start, length));
    this.#view = new SlotView(this.memory.bytes, maxPayload, this.#slotBytes, options.lazyViews ?? false);
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
  at(ahead: number): RecordInRing {
    const view = this.#view;
    view.lookAt(((this.#next + ahead) & (this.capacity - 1)) * this.#slotBytes);
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

/** The fields of the slot that it looks at. A number that a getter returned would be an object more. */
class SlotView implements RecordInRing {
  wireSeq = 0;
  connectionId = 0;
  receivedNs = 0;
  finishedNs = 0;
  kind = 0;
  flags = 0;
  payloadBytes = 0;
  payloadAt = 0;
  /** Offset of the slot in bytes. */
  #at = 0;
  readonly #doubles: Float64Array;
  readonly #ints: Uint32Array;
  readonly #shorts: Uint16Array;
  readonly #slots: Uint8Array;
  readonly #maxPayload: number;
  readonly #slotBytes: number;
  /** One view per slot: looking at a payload must not allocate. */
  readonly #payloads: (Uint8Array | undefined)[];

  constructor(slots: Uint8Array, maxPayload: number, slotBytes: number, lazyViews: boolean) {
    const { buffer, byteOffset, byteLength } = slots;
    this.#doubles = new Float64Array(buffer, byteOffset, byteLength / 8);
    this.#ints = new Uint32Array(buffer, byteOffset, byteLength / 4);
    this.#shorts = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.#slots = slots;
    this.#maxPayload = maxPayload;
    this.#slotBytes = slotBytes;
    this.#payloads = new Array(byteLength / slotBytes).fill(undefined);
    if (!lazyViews) for (let slot = 0; slot < this.#payloads.length; slot++) this.#makeView(slot);
  }

  lookAt(at: number): void {
    const first = at >> 3;
    this.#at = at;
    this.wireSeq = this.#doubles[first];
    this.connectionId = this.#doubles[first + slotLayout.connectionId / 8];
    this.receivedNs = this.#doubles[first + slotLayout.receivedNs / 8];
    this.finishedNs = this.#doubles[first + slotLayout.finishedNs / 8];
    this.payloadBytes = this.#ints[(at + slotLayout.payloadBytes) >> 2];
    this.kind = this.#shorts[(at + slotLayout.kind) >> 1];
    this.flags = this.#shorts[(at + slotLayout.flags) >> 1];
    this.payloadAt = at + slotLayout.payload;
  }

  // Not read with the others: hardly ever wanted.
  get requestId(): number {
    return this.#doubles[(this.#at + slotLayout.requestId) >> 3];
  }

  copyRequestId(into: Float64Array, index: number): void {
    into[index] = this.#doubles[(this.#at + slotLayout.requestId) >> 3];
  }

  get bytes(): Uint8Array {
    const slot = this.#at / this.#slotBytes;
    return this.#payloads[slot] ?? this.#makeView(slot);
  }

  #makeView(slot: number): Uint8Array {
    const start = slot * this.#slotBytes + slotLayout.payload;
    const view = this.#slots.subarray(start, start + this.#maxPayload);
    this.#payloads[slot] = view;
    return view;
  }
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
