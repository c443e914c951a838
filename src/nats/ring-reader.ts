import { batchGoesOn, RecordField, readWide, recordBytes, recordHeaderBytes } from '../journal/format.js';
import { controlWords, recordRing, Word } from '../journal/memory.js';

/** The publisher's end of the shared buffer: one record after the other. */
export class RingReader {
  readonly #words: Int32Array;
  readonly #ring: Buffer;
  readonly #mask: number;
  #at: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = controlWords(memory);
    const ring = recordRing(memory);
    this.#ring = Buffer.from(ring.buffer, ring.byteOffset, ring.length);
    this.#mask = ring.length - 1;
    this.#at = Atomics.load(this.#words, Word.consumed);
  }

  /** Bytes of the records that are there; more than the records will take anywhere else. */
  get pendingBytes(): number {
    return (Atomics.load(this.#words, Word.published) - this.#at) >>> 0;
  }

  /** Of the record that comes next. There must be one. */
  get sequence(): number {
    // Records are aligned to eight bytes: a field never wraps around.
    return readWide(this.#ring, (this.#at + RecordField.sequence) & this.#mask);
  }

  get payloadBytes(): number {
    return this.#word % batchGoesOn;
  }

  get goesOn(): boolean {
    return this.#word >= batchGoesOn;
  }

  /** Copies the payload of the record that comes next, and moves on. */
  take(into: Uint8Array): void {
    const start = (this.#at + recordHeaderBytes) & this.#mask;
    const length = into.length;
    const room = this.#ring.length - start;
    into.set(this.#ring.subarray(start, start + Math.min(length, room)));
    if (length > room) into.set(this.#ring.subarray(0, length - room), room);
    this.#at = (this.#at + recordBytes(length)) | 0;
  }

  /** Gives the room of what was taken back. */
  release(): void {
    Atomics.store(this.#words, Word.consumed, this.#at);
  }

  get #word(): number {
    return this.#ring.readUInt32LE((this.#at + RecordField.length) & this.#mask);
  }
}
