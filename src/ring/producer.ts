import { AckgateError, AckgateRangeError } from '../errors.js';
import { sequenceMax } from '../limits.js';
import { argument, outOfRange, wrong } from '../shared/checks.js';
import { checkRingHandle, RecordFlag, type RingHandle, ringLayout, slotBytes, slotLayout } from './layout.js';

/** `claim` found no free slot. */
export const claimFull = -1;
/** `claim` found that the reader is gone or going: nothing published any more would be sent. */
export const claimStopped = -2;
/** `claim` was asked for more than `maxPayload` bytes. */
export const claimOversize = -3;

// What `#claimed` is when it is not a slot.
const noClaim = -1;
const notOwner = -2;

const consumedAt = ringLayout.consumed / 4;
const publishedAt = ringLayout.published / 4;
const payloadAt = slotLayout.payload;
// Places within a slot, in elements of the array that each field is written through.
const connectionIdAt = slotLayout.connectionId / 8;
const receivedNsAt = slotLayout.receivedNs / 8;
const finishedNsAt = slotLayout.finishedNs / 8;
const highestSeqAt = slotLayout.highestSeq / 8;
const requestIdAt = slotLayout.requestId / 8;
const kindAt = slotLayout.kind / 2;
const flagsAt = slotLayout.flags / 2;
const payloadBytesAt = slotLayout.payloadBytes / 4;
const uint16Max = 0xffff;
const sequenceRange = 'an integer from 0 to 2^53-1';

/**
 * What became of a record that was to be published. `ok`: the reader will see it. `full`: no free slot, try again. `stopped`:
 * the reader is gone or going, nothing more would be sent. `oversize`: the payload is larger than the ring takes.
 */
export type PublishResult = 'ok' | 'full' | 'stopped' | 'oversize';

/** One response, as `Producer.tryPublish` takes it. */
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
  /** Of the request that it answers, 1 … 2^53-1: what directives sample by (default 0: unknown). */
  requestId?: number;
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

const nobody: RingPeer = { stopped: () => false, published: () => {}, stampNs: () => 0 };

/**
 * The writing end of a ring, for one thread at a time.
 *
 * The first `claim` takes the writing end; a second producer gets `ERR_ACKGATE_RING_IN_USE` until `release`.
 * Either `tryPublish` a record, or `claim`, write into `bytes`, and `publish`: that form allocates nothing.
 */
export class Producer {
  /** The ring's memory; after `claim` the payload goes here, from the claimed offset on. */
  readonly bytes: Uint8Array;
  /** Number of slots. */
  readonly capacity: number;
  /** Largest payload in bytes. */
  readonly maxPayload: number;
  readonly #counters: Int32Array;
  readonly #doubles: Float64Array;
  readonly #ints: Uint32Array;
  readonly #shorts: Uint16Array;
  readonly #peer: RingPeer;
  readonly #slotBytes: number;
  readonly #token: number;
  #next = 0;
  /** `#next` of a full ring, as far as is known. */
  #fullAt = 0;
  /** Offset of the claimed slot, `noClaim` or `notOwner`. */
  #claimed = notOwner;
  #highestSeq = 0;

  /**
   * @param handle of `createRing`, on this thread or another
   * @param peer what the reading side tells and hears (default: nothing)
   * @throws ERR_ACKGATE_HANDLE_VERSION, ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE
   */
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
    this.#peer = peer ?? nobody;
    this.#token = Atomics.add(this.#counters, ringLayout.tokens / 4, 1) + 1;
  }

  /**
   * Takes the next slot. Returns the offset in `bytes` where the payload goes, or one of `claimFull`,
   * `claimStopped`, `claimOversize`. Nothing is visible to the reader before `publish`.
   *
   * @param payloadBytes bytes, 0 … `maxPayload`
   * @throws ERR_ACKGATE_RING_ORDER after a claim that was neither published nor aborted
   */
  claim(payloadBytes: number): number {
    if (this.#claimed !== noClaim || !isWhole(payloadBytes) || payloadBytes > this.maxPayload) {
      const refused = this.#begin(payloadBytes);
      if (refused < 0) return refused;
    }
    if (this.#peer.stopped()) return claimStopped;
    const next = this.#next;
    if (next === this.#fullAt && !this.#findRoom()) return claimFull;
    const at = (next & (this.capacity - 1)) * this.#slotBytes;
    this.#ints[(at >> 2) + payloadBytesAt] = payloadBytes;
    this.#doubles[(at >> 3) + requestIdAt] = 0;
    this.#claimed = at;
    return at + payloadAt;
  }

  /**
   * Says which request the claimed record answers: directives sample by it. Without this call it is unknown.
   *
   * @param requestId 0 … 2^53-1, 0: unknown
   * @throws ERR_ACKGATE_RING_ORDER without a claim, ERR_ACKGATE_OUT_OF_RANGE
   */
  identify(requestId: number): void {
    // Not an argument of `publish`, which would become too large to be inlined.
    if (this.#claimed < 0) throw new AckgateError('ERR_ACKGATE_RING_ORDER', 'identify() without a claim');
    if (!isSequence(requestId)) {
      throw outOfRange('requestId', sequenceRange, requestId);
    }
    this.#doubles[(this.#claimed >> 3) + requestIdAt] = requestId;
  }

  /**
   * Makes the claimed record visible to the reader.
   *
   * @param connectionId the connection to answer, 0 … 2^53-1
   * @param wireSeq sequence that must be durable before this leaves, 0 … 2^53-1; 0: it depends on none
   * @param flags bits of `RecordFlag` (default none)
   * @param kind the application's kind of record, 0 … 65,535 (default 0)
   * @param receivedNs when the request was read, on the `monotonicNow` clock (default 0: unknown)
   * @throws ERR_ACKGATE_RING_ORDER without a claim, ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_OUT_OF_RANGE,
   *   ERR_ACKGATE_INVALID_ARGUMENT for what is no number; the claim stays
   */
  publish(connectionId: number, wireSeq: number, flags = 0, kind = 0, receivedNs = 0): void {
    const at = this.#claimed;
    if (
      at < 0 ||
      !isSequence(wireSeq) ||
      !isSequence(connectionId) ||
      !isWhole(kind) ||
      kind > uint16Max ||
      !isWhole(flags) ||
      flags > uint16Max ||
      !isTime(receivedNs)
    ) {
      throw publishError(at, connectionId, wireSeq, receivedNs, kind, flags);
    }
    if (wireSeq > this.#highestSeq) this.#highestSeq = wireSeq;
    const doubles = this.#doubles;
    const f64 = at >> 3;
    doubles[f64] = wireSeq;
    doubles[f64 + connectionIdAt] = connectionId;
    doubles[f64 + receivedNsAt] = receivedNs;
    doubles[f64 + finishedNsAt] = this.#peer.stampNs();
    doubles[f64 + highestSeqAt] = this.#highestSeq;
    const u16 = at >> 1;
    const shorts = this.#shorts;
    shorts[u16 + kindAt] = kind;
    shorts[u16 + flagsAt] = flags;
    this.#claimed = noClaim;
    const next = (this.#next + 1) | 0;
    this.#next = next;
    // The one store that hands the slot over; sequentially consistent, so that the look at the reader's
    // `parked` word behind it can't move ahead of it.
    Atomics.store(this.#counters, publishedAt, next);
    this.#peer.published();
  }

  /** Gives the claimed slot back unpublished. Does nothing without a claim. */
  abort(): void {
    if (this.#claimed >= 0) this.#claimed = noClaim;
  }

  /**
   * Claims, copies and publishes one record. A full ring, a stopped reader and an oversize payload are values.
   *
   * @throws as `claim`, `identify` and `publish`; ERR_ACKGATE_INVALID_ARGUMENT for a payload that is no `Uint8Array`
   *   and for a flag that is neither true nor false
   */
  tryPublish(record: ResponseRecord): PublishResult {
    const payload = record?.payload;
    if (!(payload instanceof Uint8Array)) {
      throw argument('payload', 'a Uint8Array');
    }
    const { lastInRequest, durabilityBypass } = record;
    // The text 'false' is true to JavaScript, and a bypass that nobody meant would let an answer out that isn't durable.
    if (!isFlag(lastInRequest) || !isFlag(durabilityBypass)) throw flagError(record);
    const at = this.claim(payload.length);
    if (at < 0) return at === claimFull ? 'full' : at === claimStopped ? 'stopped' : 'oversize';
    this.bytes.set(payload, at);
    const flags =
      (lastInRequest === true ? RecordFlag.lastInRequest : 0) |
      (durabilityBypass === true ? RecordFlag.durabilityBypass : 0);
    try {
      const { connectionId, wireSeq, kind = 0, receivedNs = 0, requestId = 0 } = record;
      if (requestId !== 0) this.identify(requestId);
      this.publish(connectionId, wireSeq, flags, kind, receivedNs);
    } catch (error) {
      this.abort();
      throw error;
    }
    return 'ok';
  }

  /** Lets another producer take the writing end. An open claim is aborted. */
  release(): void {
    if (this.#claimed === notOwner) return;
    this.#claimed = notOwner;
    Atomics.store(this.#counters, ringLayout.producer / 4, 0);
  }

  /**
   * Takes the writing end from a producer that can't release it any more, because its thread has ended. A producer that
   * still runs and is robbed of it corrupts the ring: be sure.
   */
  takeOver(): void {
    if (this.#claimed !== notOwner) return;
    Atomics.store(this.#counters, ringLayout.producer / 4, this.#token);
    this.#resume();
  }

  // What is rare is apart from `claim` and `publish`, and what they call for every record is tiny: all of it has to be
  // inlined together into the engine's function, or every sequence beyond 2^31 costs an object for the call.

  /** Takes the writing end at the first claim; refuses what can't be claimed. 0: go on. */
  #begin(payloadBytes: number): number {
    if (this.#claimed === notOwner) this.#takeOwnership();
    if (this.#claimed >= 0 || !isWhole(payloadBytes)) {
      throw claimError(this.#claimed, payloadBytes, this.maxPayload);
    }
    if (payloadBytes <= this.maxPayload) return 0;
    return this.#peer.stopped() ? claimStopped : claimOversize;
  }

  #findRoom(): boolean {
    this.#fullAt = (Atomics.load(this.#counters, consumedAt) + this.capacity) | 0;
    return this.#next !== this.#fullAt;
  }

  #takeOwnership(): void {
    const word = ringLayout.producer / 4;
    if (Atomics.compareExchange(this.#counters, word, 0, this.#token) !== 0) {
      throw new AckgateError(
        'ERR_ACKGATE_RING_IN_USE',
        'another producer owns the writing end of this ring: it must call release(), or this one takeOver() if its ' +
          'thread has ended',
      );
    }
    this.#resume();
  }

  /** Goes on where the last owner stopped. */
  #resume(): void {
    this.#claimed = noClaim;
    this.#next = Atomics.load(this.#counters, publishedAt);
    this.#findRoom();
    const last = ((this.#next - 1) & (this.capacity - 1)) * this.#slotBytes;
    this.#highestSeq = this.#doubles[(last + slotLayout.highestSeq) >> 3];
  }
}

function isWhole(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function isSequence(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isShort(value: unknown): boolean {
  return isWhole(value as number) && (value as number) <= uint16Max;
}

function isFlag(value: unknown): boolean {
  return value === undefined || typeof value === 'boolean';
}

function isTime(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}

function publishError(
  claimed: number,
  connectionId: unknown,
  wireSeq: unknown,
  receivedNs: unknown,
  kind: unknown,
  flags: unknown,
): AckgateError | AckgateRangeError {
  if (claimed < 0) return new AckgateError('ERR_ACKGATE_RING_ORDER', 'publish() without a claim');
  if (!isSequence(wireSeq as number)) return sequenceError('wireSeq', wireSeq);
  if (!isSequence(connectionId as number)) {
    return outOfRange('connectionId', sequenceRange, connectionId);
  }
  if (!isTime(receivedNs as number)) {
    return outOfRange('receivedNs', 'nanoseconds of the monotonicNow clock, or 0', receivedNs);
  }
  const expected = `an integer from 0 to ${uint16Max}`;
  return isShort(kind) ? outOfRange('flags', expected, flags) : outOfRange('kind', expected, kind);
}

function claimError(
  claimed: number,
  payloadBytes: unknown,
  maxPayload: number,
): AckgateError | AckgateRangeError {
  if (claimed >= 0) {
    return new AckgateError(
      'ERR_ACKGATE_RING_ORDER',
      'claim() before the last claim was published or aborted',
    );
  }
  return outOfRange('payloadBytes', `an integer from 0 to ${maxPayload}`, payloadBytes);
}

function flagError({ lastInRequest, durabilityBypass }: ResponseRecord): AckgateError {
  return isFlag(lastInRequest)
    ? wrong('durabilityBypass', 'true or false', durabilityBypass)
    : wrong('lastInRequest', 'true or false', lastInRequest);
}

/** Of what was to be a sequence; what is no number at all is the wrong kind of thing. */
export function sequenceError(name: string, value: unknown): AckgateError | AckgateRangeError {
  const expected = `an integer from 0 to ${sequenceMax}`;
  if (typeof value !== 'number') return wrong(name, expected, value);
  return new AckgateRangeError('ERR_ACKGATE_SEQUENCE', `${name} must be ${expected}, got ${value}`);
}
