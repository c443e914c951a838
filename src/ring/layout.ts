import { AckgateError, AckgateRangeError } from '../errors.js';
import { checkKeys, integer } from '../shared/checks.js';

/**
 * Memory of one ring, in bytes from its start; the start is a multiple of 128.
 *
 *      0  published      u32   records ever published, wrapping; written by the producer
 *    128  consumed       u32   records ever consumed, wrapping; written by the consumer
 *    256  producer       i32   token of the producer that owns the writing end, 0: none
 *    260  tokens         i32   last token given out
 *    264  mark           i32   magic and layout version: there is a ring here
 *    268  capacity       u32   number of slots
 *    272  maxPayload     u32
 *    384  slots          capacity × slotBytes
 *
 * The two counters are 128 bytes apart so that neither side's stores take the other's cache line away (adjacent
 * lines are fetched in pairs).
 *
 * One slot, a multiple of 64 bytes; the payload follows the header:
 *
 *      0  wireSeq        f64
 *      8  connectionId   f64
 *     16  receivedNs     f64   when the request was read, 0: unknown
 *     24  finishedNs     f64   when the engine had finished the response, 0: unknown
 *     32  highestSeq     f64   highest wireSeq published up to here
 *     40  payloadBytes  u32
 *     44  kind           u16
 *     46  flags          u16
 *     48  requestId      f64   0: unknown
 *     56  (reserved)
 *     64  payload        maxPayload bytes
 */
export const ringLayout = {
  published: 0,
  consumed: 128,
  producer: 256,
  tokens: 260,
  mark: 264,
  capacity: 268,
  maxPayload: 272,
  slots: 384,
} as const;

export const slotLayout = {
  wireSeq: 0,
  connectionId: 8,
  receivedNs: 16,
  finishedNs: 24,
  highestSeq: 32,
  payloadBytes: 40,
  kind: 44,
  flags: 46,
  requestId: 48,
  payload: 64,
} as const;

/** Bits of a record's `flags`. */
export const RecordFlag = {
  /** The last answer to its request: an end-of-batch frame follows it. */
  lastInRequest: 1,
  /** Carries no state worth replicating: released without asking the gate, in ring order all the same. */
  durabilityBypass: 2,
} as const;

const ringVersion = 2;
const ringMark = 0x52494e00 + ringVersion; // "RIN" and the version
const lineBytes = 128;
const slotAlign = 64;
/** Bounds a ring to what a typed array can index comfortably, and a slip of the pen to an error. */
const capacityMax = 1 << 24;
const maxPayloadMax = 1 << 20;
/** Offsets inside the slots are computed in 32 bits. */
export const ringBytesMax = 2 ** 31;

/** Names one ring in shared memory. Plain data: it can be posted to a Worker. */
export interface RingHandle {
  /** Of the layout; a handle of another version is refused. */
  readonly version: number;
  /** The memory that the ring is in. */
  readonly buffer: SharedArrayBuffer;
  /** Where the ring starts in the buffer, in bytes. */
  readonly byteOffset: number;
  /** Number of slots, a power of two. */
  readonly capacity: number;
  /** Largest payload in bytes. */
  readonly maxPayload: number;
}

export function slotBytes(maxPayload: number): number {
  return Math.ceil((slotLayout.payload + maxPayload) / slotAlign) * slotAlign;
}

/** Bytes that a ring takes, a multiple of 128. */
export function ringBytes(capacity: number, maxPayload: number): number {
  return Math.ceil((ringLayout.slots + capacity * slotBytes(maxPayload)) / lineBytes) * lineBytes;
}

export function checkRingSize(capacity: number, maxPayload: number): void {
  integer('ring.capacity', capacity, 2, capacityMax);
  if ((capacity & (capacity - 1)) !== 0) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_NOT_POWER_OF_TWO',
      `ring.capacity must be a power of two, got ${capacity}`,
    );
  }
  integer('ring.maxPayload', maxPayload, 1, maxPayloadMax);
  if (ringBytes(capacity, maxPayload) > ringBytesMax) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `ring.capacity ${capacity} with ring.maxPayload ${maxPayload} takes more than 2 GiB; lower one of them`,
    );
  }
}

/**
 * Makes a ring of its own shared memory.
 *
 * @param options.capacity number of slots, a power of two, 2 … 2^24 (default 4096)
 * @param options.maxPayload largest payload in bytes, 1 … 2^20 (default 448, so that a slot is 512)
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_NOT_POWER_OF_TWO, ERR_ACKGATE_UNKNOWN_OPTION
 */
export function createRing(
  options: { readonly capacity?: number; readonly maxPayload?: number } = {},
): RingHandle {
  checkKeys('ring options', options, ['capacity', 'maxPayload']);
  const { capacity = 4096, maxPayload = 448 } = options;
  checkRingSize(capacity, maxPayload);
  return ringHandle(new SharedArrayBuffer(ringBytes(capacity, maxPayload)), 0, capacity, maxPayload);
}

/** Marks a ring inside a larger block, and returns its handle; the block is zeroed, which is an empty ring. */
export function ringHandle(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  capacity: number,
  maxPayload: number,
): RingHandle {
  const words = new Int32Array(buffer, byteOffset, ringLayout.slots / 4);
  words[ringLayout.mark / 4] = ringMark;
  words[ringLayout.capacity / 4] = capacity;
  words[ringLayout.maxPayload / 4] = maxPayload;
  return { version: ringVersion, buffer, byteOffset, capacity, maxPayload };
}

/** Throws when a handle was made by another version, or is not one at all: its memory would be misread. */
export function checkRingHandle(handle: RingHandle): void {
  if (typeof handle !== 'object' || handle === null || !(handle.buffer instanceof SharedArrayBuffer)) {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'handle must be a ring handle from createRing()');
  }
  if (handle.version !== ringVersion) {
    throw new AckgateError(
      'ERR_ACKGATE_HANDLE_VERSION',
      `handle has ring layout ${handle.version}, this copy of ackgate reads ${ringVersion}`,
    );
  }
  checkRingSize(handle.capacity, handle.maxPayload);
  const { buffer, byteOffset, capacity, maxPayload } = handle;
  const end = byteOffset + ringBytes(capacity, maxPayload);
  if (
    !Number.isInteger(byteOffset) ||
    byteOffset < 0 ||
    byteOffset % lineBytes !== 0 ||
    end > buffer.byteLength
  ) {
    throw new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', 'handle names a ring outside its buffer');
  }
  const words = new Int32Array(buffer, byteOffset, ringLayout.slots / 4);
  if (
    words[ringLayout.mark / 4] !== ringMark ||
    words[ringLayout.capacity / 4] !== capacity ||
    words[ringLayout.maxPayload / 4] !== maxPayload
  ) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      'handle does not describe the ring in its buffer; pass it on as createRing() made it',
    );
  }
}
