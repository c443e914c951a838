import { AckgateError, AckgateRangeError } from '../errors.js';
import { sequenceMax } from '../limits.js';
import { checkRingHandle, RecordFlag, type RingHandle, ringLayout, slotBytes, slotLayout } from './layout.js';

/** `claim` found no free slot. */
export const claimFull = -1;
/** `claim` found that the reader is gone or going: nothing published any more would be sent. */
export const claimStopped = -2;
/** `claim` was asked for more than `maxPayload` bytes. */
export const claimOversize = -3;

export type PublishResult = 'ok' | 'full' | 'stopped' | 'oversize';

export interface ResponseRecord {
  /** The connection to answer, from `attach`. */
  connectionId: number;
  /** Sequence that must be durable before this leaves, 0 … 2^53-1. 0: depends on nothing. */
  wireSeq: number;
  /** The response, or what the encoder makes it from. Copied; at most `maxPayload` bytes. */
  payload: Uint8Array;
  /** Last answer to its request (default false). */
  lastInRequest?: boolean;
  /** Carries no state worth replicating: not gated, but never ahead of an earlier record (default false). */
  durabilityBypass?: boolean;
  /** Free for the application's encoder, 0 … 65,535 (default 0). */
  kind?: number;
  /** When the request was read, on the `monotonicNow` clock, for latency histograms (default 0: unknown). */
  receivedNs?: number;
}

/** What the reading side tells and hears; a ring used alone has none. */
export interface RingPeer {
  /** The reader takes nothing more. */
  stopped(): boolean;
  /** Called after each publish: wake the reader if it sleeps. */
  published(): void;
  /** Monotonic nanoseconds when the records are to be stamped, else 0. */
  stampNs(): number;
}

/**
 * The writing end of a ring, for one thread at a time.
 *
 * The first `claim` takes the writing end; a second producer gets `ERR_ACKGATE_RING_IN_USE` until `release`.
 * Either `tryPublish` a record, or `claim`, write into `bytes`, and `publish`: that form allocates nothing.
 */
export class Producer {
  /** The ring's memory; after `claim` the payload goes here, from the claimed offset on. */
  readonly bytes: Uint8Array;
  readonly capacity: number;
  readonly maxPayload: number;
  readonly #counters: Int32Array;
  readonly #doubles: Float64Array;
  readonly #ints: Uint32Array;
  readonly #shorts: Uint16Array;
  readonly #peer: RingPeer | null;
  readonly #slotBytes: number;
  readonly #token: number;
  #owner = false;
  #next = 0;
  #consumedSeen = 0;
  #claimed = -1;
  #highestSeq = 0;

  constructor(handle: RingHandle, peer: RingPeer | null = null) {
    checkRingHandle(handle);
    const { buffer, byteOffset, capacity, maxPayload } = handle;
    this.capacity = capacity;
    this.maxPayload = maxPayload;
    this.#slotBytes = slotBytes(maxPayload);
    this.#counters = new Int32Array(buffer, byteOffset, ringLayout.slots / 4);
    const start = byteOffset + ringLayout.slots;
    const length = capacity * this.#slotBytes;
    this.bytes = new Uint8Array(buffer, start, length);
    this.#doubles = new Float64Array(buffer, start, length / 8);
    this.#ints = new Uint32Array(buffer, start, length / 4);
    this.#shorts = new Uint16Array(buffer, start, length / 2);
    this.#peer = peer;
    this.#token = Atomics.add(this.#counters, ringLayout.tokens / 4, 1) + 1;
  }

  /**
   * Takes the next slot. Returns the offset in `bytes` where the payload goes, or one of `claimFull`,
   * `claimStopped`, `claimOversize`. Nothing is visible to the reader before `publish`.
   *
   * @param payloadLength bytes, 0 … `maxPayload`
   * @throws ERR_ACKGATE_RING_ORDER after a claim that was neither published nor aborted
   */
  claim(payloadLength: number): number {
    if (!this.#owner) this.#takeOwnership();
    if (this.#claimed >= 0) {
      throw new AckgateError(
        'ERR_ACKGATE_RING_ORDER',
        'claim() before the last claim was published or aborted',
      );
    }
    if (!(payloadLength >= 0) || !Number.isInteger(payloadLength)) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `payloadLength must be an integer from 0 to ${this.maxPayload}, got ${payloadLength}`,
      );
    }
    if (this.#peer?.stopped()) return claimStopped;
    if (payloadLength > this.maxPayload) return claimOversize;
    if (((this.#next - this.#consumedSeen) | 0) >= this.capacity) {
      this.#consumedSeen = Atomics.load(this.#counters, ringLayout.consumed / 4);
      if (((this.#next - this.#consumedSeen) | 0) >= this.capacity) return claimFull;
    }
    const at = (this.#next & (this.capacity - 1)) * this.#slotBytes;
    this.#ints[(at + slotLayout.payloadLength) >> 2] = payloadLength;
    this.#claimed = at;
    return at + slotLayout.payload;
  }

  /**
   * Makes the claimed record visible to the reader.
   *
   * @param flags of `RecordFlag`
   * @throws ERR_ACKGATE_RING_ORDER without a claim, ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_OUT_OF_RANGE; the claim stays
   */
  publish(connectionId: number, wireSeq: number, flags = 0, kind = 0, receivedNs = 0): void {
    const at = this.#claimed;
    if (at < 0) throw new AckgateError('ERR_ACKGATE_RING_ORDER', 'publish() without a claim');
    if (!Number.isSafeInteger(wireSeq) || wireSeq < 0) throw sequenceError('wireSeq', wireSeq);
    if (!Number.isSafeInteger(connectionId) || connectionId < 0) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `connectionId must be an integer from 0 to 2^53-1, got ${String(connectionId)}`,
      );
    }
    if (!isUint16(kind) || !isUint16(flags)) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        'kind and flags must be integers from 0 to 65535',
      );
    }
    if (!Number.isFinite(receivedNs) || receivedNs < 0) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `receivedNs must be nanoseconds of the monotonicNow clock, or 0, got ${String(receivedNs)}`,
      );
    }
    if (wireSeq > this.#highestSeq) this.#highestSeq = wireSeq;
    const f64 = at >> 3;
    this.#doubles[f64] = wireSeq;
    this.#doubles[f64 + slotLayout.connectionId / 8] = connectionId;
    this.#doubles[f64 + slotLayout.receivedNs / 8] = receivedNs;
    this.#doubles[f64 + slotLayout.finishedNs / 8] = this.#peer === null ? 0 : this.#peer.stampNs();
    this.#doubles[f64 + slotLayout.highestSeq / 8] = this.#highestSeq;
    const u16 = at >> 1;
    this.#shorts[u16 + slotLayout.kind / 2] = kind;
    this.#shorts[u16 + slotLayout.flags / 2] = flags;
    this.#claimed = -1;
    this.#next = (this.#next + 1) | 0;
    // The one store that hands the slot over; sequentially consistent, so that the look at the reader's
    // `parked` word behind it can't move ahead of it.
    Atomics.store(this.#counters, ringLayout.published / 4, this.#next);
    this.#peer?.published();
  }

  /** Gives the claimed slot back unpublished. Does nothing without a claim. */
  abort(): void {
    this.#claimed = -1;
  }

  /** Claims, copies and publishes one record. A full ring, a stopped reader and an oversize payload are values. */
  tryPublish(record: ResponseRecord): PublishResult {
    const payload = record?.payload;
    if (!(payload instanceof Uint8Array)) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'payload must be a Uint8Array');
    }
    const at = this.claim(payload.length);
    if (at < 0) return at === claimFull ? 'full' : at === claimStopped ? 'stopped' : 'oversize';
    this.bytes.set(payload, at);
    const flags =
      (record.lastInRequest ? RecordFlag.lastInRequest : 0) |
      (record.durabilityBypass ? RecordFlag.durabilityBypass : 0);
    try {
      this.publish(record.connectionId, record.wireSeq, flags, record.kind ?? 0, record.receivedNs ?? 0);
    } catch (error) {
      this.abort();
      throw error;
    }
    return 'ok';
  }

  /** Lets another producer take the writing end. An open claim is aborted. */
  release(): void {
    if (!this.#owner) return;
    this.#claimed = -1;
    this.#owner = false;
    Atomics.store(this.#counters, ringLayout.producer / 4, 0);
  }

  #takeOwnership(): void {
    const word = ringLayout.producer / 4;
    if (Atomics.compareExchange(this.#counters, word, 0, this.#token) !== 0) {
      throw new AckgateError(
        'ERR_ACKGATE_RING_IN_USE',
        'another producer owns the writing end of this ring; it must call release() first',
      );
    }
    this.#owner = true;
    this.#next = Atomics.load(this.#counters, ringLayout.published / 4);
    this.#consumedSeen = Atomics.load(this.#counters, ringLayout.consumed / 4);
    const last = ((this.#next - 1) & (this.capacity - 1)) * this.#slotBytes;
    this.#highestSeq = this.#doubles[(last + slotLayout.highestSeq) >> 3];
  }
}

function isUint16(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff;
}

export function sequenceError(name: string, value: unknown): AckgateRangeError {
  return new AckgateRangeError(
    'ERR_ACKGATE_SEQUENCE',
    `${name} must be an integer from 0 to ${sequenceMax}, got ${String(value)}`,
  );
}
