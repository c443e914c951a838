import { batchGoesOn, RecordField, recordBytes, recordHeaderBytes } from '../journal/format.js';
import { controlWords, recordRing, Word } from '../journal/memory.js';

/** One row of the journal: a group of records, whole batches only. */
export interface Group {
  readonly count: number;
  /** For each record its length, 4 bytes, the highest bit set if its batch goes on; then its payload. */
  readonly records: Buffer;
}

/** A group ends with the batch that reaches so many bytes: a row is held in memory as a whole, here and by the server. */
const groupBytesEnough = 1024 * 1024;

/** The writer's end of the shared buffer: copies a group out of it, and gives the room back at once. */
export class GroupReader {
  readonly #words: Int32Array;
  readonly #ring: Uint8Array;
  readonly #view: DataView;
  readonly #mask: number;
  #consumed: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = controlWords(memory);
    this.#ring = recordRing(memory);
    this.#view = new DataView(this.#ring.buffer, this.#ring.byteOffset, this.#ring.length);
    this.#mask = this.#ring.length - 1;
    this.#consumed = Atomics.load(this.#words, Word.consumed);
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#words, Word.published) === this.#consumed;
  }

  take(): Group {
    const published = Atomics.load(this.#words, Word.published);
    const { end, count, bytes } = this.#measure(published);
    const records = Buffer.allocUnsafe(bytes);
    let to = 0;
    for (let at = this.#consumed; at !== end; ) {
      const word = this.#wordAt(at);
      const length = word % batchGoesOn;
      to = records.writeUInt32BE(word, to);
      this.#copy((at + recordHeaderBytes) & this.#mask, length, records, to);
      to += length;
      at = (at + recordBytes(length)) | 0;
    }
    this.#consumed = end;
    Atomics.store(this.#words, Word.consumed, end);
    return { count, records };
  }

  /** How far the group goes. What is published ends with a batch, so a group that takes all of it does too. */
  #measure(published: number): { end: number; count: number; bytes: number } {
    let end = this.#consumed;
    let count = 0;
    let bytes = 0;
    let goesOn = false;
    while (end !== published && (goesOn || bytes < groupBytesEnough)) {
      const word = this.#wordAt(end);
      const length = word % batchGoesOn;
      goesOn = word >= batchGoesOn;
      bytes += 4 + length;
      count++;
      end = (end + recordBytes(length)) | 0;
    }
    return { end, count, bytes };
  }

  #wordAt(at: number): number {
    return this.#view.getUint32((at + RecordField.length) & this.#mask, true);
  }

  #copy(start: number, length: number, into: Buffer, to: number): void {
    const room = this.#ring.length - start;
    if (length <= room) {
      into.set(this.#ring.subarray(start, start + length), to);
    } else {
      into.set(this.#ring.subarray(start), to);
      into.set(this.#ring.subarray(0, length - room), to + room);
    }
  }
}

/** Goes through the records of a row. Throws a plain error when it does not hold what it says. */
export function* unpack(first: number, last: number, records: Buffer) {
  let sequence = first;
  for (let at = 0; at < records.length; sequence++) {
    const word = at + 4 <= records.length ? records.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    const end = at + 4 + (word % batchGoesOn);
    if (!(end <= records.length))
      throw new Error(`the row of sequence ${first} ends inside of record ${sequence}`);
    const payload = records.subarray(at + 4, end);
    yield word >= batchGoesOn ? { sequence, payload, goesOn: true } : { sequence, payload };
    at = end;
  }
  if (sequence !== last + 1)
    throw new Error(`the row of sequences ${first} to ${last} has ${sequence - first} records`);
}
