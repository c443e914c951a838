import type { RecordInRing } from '../ring/consumer.js';
import type { CapturedRecord } from './api.js';
import { diagnosisLevels } from './levels.js';

/*
 * The last records that were taken down, the oldest overwritten by the newest. An entry, a multiple of 64 bytes:
 *
 *      0  lock         i32   odd while it is written
 *      4  bodyBytes    i32   length of the whole body
 *      8  captured     i32   bytes of it that are here
 *     12  kind         i32
 *     16  flags        i32
 *     20  level        i32
 *     24  number       f64   from 1 on, 0: empty
 *     32  unixMs       f64
 *     40  connectionId f64
 *     48  wireSeq      f64
 *     56  requestId    f64
 *     64  receivedNs   f64
 *     72  finishedNs   f64
 *     80  seenNs       f64
 *     88  releasedNs   f64
 *     96  encodeNs     f64
 *    104  deliveredNs  f64   filled in later
 *    128  body
 */
const I = { lock: 0, bodyBytes: 1, captured: 2, kind: 3, flags: 4, level: 5 } as const;
const D = {
  number: 3,
  unixMs: 4,
  connectionId: 5,
  wireSeq: 6,
  requestId: 7,
  receivedNs: 8,
  finishedNs: 9,
  seenNs: 10,
  releasedNs: 11,
  encodeNs: 12,
  deliveredNs: 13,
} as const;
const entryHeader = 128;
const readTriesMax = 100;

/** Where a capture ring is and how large. Plain data. */
export interface CapturePlace {
  readonly at: number;
  readonly records: number;
  /** Most bytes of a body that are kept. */
  readonly bodyBytes: number;
}

function entrySize({ bodyBytes }: CapturePlace): number {
  return entryHeader + Math.ceil(bodyBytes / 64) * 64;
}

/** Bytes that it takes, a multiple of 64. */
export function captureRingBytes(place: CapturePlace): number {
  return place.records * entrySize(place);
}

/** The ring's memory as each of its readers and writers needs it. */
interface Views {
  readonly ints: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
}

function viewsOf(buffer: SharedArrayBuffer, place: CapturePlace): Views {
  const length = captureRingBytes(place);
  return {
    ints: new Int32Array(buffer, place.at, length / 4),
    doubles: new Float64Array(buffer, place.at, length / 8),
    bytes: new Uint8Array(buffer, place.at, length),
  };
}

/** What the stage knows of a record beyond its fields. */
export interface Observation {
  level: number;
  seenNs: number;
  releasedNs: number;
  encodeNs: number;
  bodyBytes: number;
}

/** The writing end: the stage's. */
export class CaptureWriter {
  /** Entries ever written. */
  written = 0;
  readonly #views: Views;
  readonly #records: number;
  readonly #size: number;

  constructor(buffer: SharedArrayBuffer, place: CapturePlace) {
    this.#views = viewsOf(buffer, place);
    this.#records = place.records;
    this.#size = entrySize(place);
  }

  /** Writes an entry over the oldest one. Returns its number. `body` is what may be seen of the frame. */
  write(record: RecordInRing, seen: Observation, unixMs: number, body: Uint8Array | null): number {
    const at = (this.written % this.#records) * this.#size;
    const number = ++this.written;
    const { ints, doubles, bytes } = this.#views;
    const i32 = at >> 2;
    Atomics.add(ints, i32 + I.lock, 1);
    ints[i32 + I.bodyBytes] = seen.bodyBytes;
    ints[i32 + I.captured] = body === null ? 0 : body.length;
    ints[i32 + I.kind] = record.kind;
    ints[i32 + I.flags] = record.flags;
    ints[i32 + I.level] = seen.level;
    const f64 = at >> 3;
    doubles[f64 + D.number] = number;
    doubles[f64 + D.unixMs] = unixMs;
    doubles[f64 + D.connectionId] = record.connectionId;
    doubles[f64 + D.wireSeq] = record.wireSeq;
    doubles[f64 + D.requestId] = record.requestId;
    doubles[f64 + D.receivedNs] = record.receivedNs;
    doubles[f64 + D.finishedNs] = record.finishedNs;
    doubles[f64 + D.seenNs] = seen.seenNs;
    doubles[f64 + D.releasedNs] = seen.releasedNs;
    doubles[f64 + D.encodeNs] = seen.encodeNs;
    doubles[f64 + D.deliveredNs] = 0;
    if (body !== null) bytes.set(body, at + entryHeader);
    Atomics.add(ints, i32 + I.lock, 1);
    return number;
  }

  /** The kernel has the last byte of an entry's record; nothing is done when it was overwritten meanwhile. */
  delivered(number: number, nowNs: number): void {
    const at = ((number - 1) % this.#records) * this.#size;
    const f64 = at >> 3;
    const { ints, doubles } = this.#views;
    if (doubles[f64 + D.number] !== number) return;
    const i32 = (at >> 2) + I.lock;
    Atomics.add(ints, i32, 1);
    doubles[f64 + D.deliveredNs] = nowNs;
    Atomics.add(ints, i32, 1);
  }
}

/** The reading end, on any thread. */
export class CaptureReader {
  readonly #views: Views;
  readonly #place: CapturePlace;

  constructor(buffer: SharedArrayBuffer, place: CapturePlace) {
    this.#views = viewsOf(buffer, place);
    this.#place = place;
  }

  /** What is still there with a number above `after`, oldest first. */
  read(after = 0): CapturedRecord[] {
    const found: CapturedRecord[] = [];
    for (let index = 0; index < this.#place.records; index++) {
      const entry = this.#entry(index * entrySize(this.#place), after);
      if (entry !== null) found.push(entry);
    }
    return found.sort((a, b) => a.number - b.number);
  }

  #entry(at: number, after: number): CapturedRecord | null {
    const i32 = at >> 2;
    const f64 = at >> 3;
    const { ints, doubles, bytes } = this.#views;
    for (let tries = 0; tries < readTriesMax; tries++) {
      const before = Atomics.load(ints, i32 + I.lock);
      if ((before & 1) !== 0) continue;
      const number = doubles[f64 + D.number];
      if (number <= after) return null;
      const captured = Math.min(Math.max(0, ints[i32 + I.captured]), this.#place.bodyBytes);
      const entry: CapturedRecord = {
        number,
        unixMs: doubles[f64 + D.unixMs],
        level: diagnosisLevels[ints[i32 + I.level]],
        connectionId: doubles[f64 + D.connectionId],
        wireSeq: doubles[f64 + D.wireSeq],
        requestId: doubles[f64 + D.requestId],
        kind: ints[i32 + I.kind],
        flags: ints[i32 + I.flags],
        receivedNs: doubles[f64 + D.receivedNs],
        finishedNs: doubles[f64 + D.finishedNs],
        seenNs: doubles[f64 + D.seenNs],
        releasedNs: doubles[f64 + D.releasedNs],
        encodeNs: doubles[f64 + D.encodeNs],
        deliveredNs: doubles[f64 + D.deliveredNs],
        bodyBytes: ints[i32 + I.bodyBytes],
        // Out of shared memory: the entry will be written again.
        body: new Uint8Array(bytes.slice(at + entryHeader, at + entryHeader + captured)),
      };
      // Adds nothing: a read-modify-write is what the plain reads above can't be moved behind.
      if (Atomics.add(ints, i32 + I.lock, 0) === before) return entry;
    }
    // Written again and again while it was read: what it held is gone.
    return null;
  }
}
