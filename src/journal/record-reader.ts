import { crc32 } from 'node:zlib';
import { batchGoesOn, type GroupHeader, RecordField, recordBytes } from './format.js';
import { controlWords, recordRing, Word } from './memory.js';

/** The writer's end of the shared buffer: take a group of records, seal them, release them. */
export class RecordReader {
  readonly #words: Int32Array;
  readonly #ring: Uint8Array;
  readonly #view: DataView;
  readonly #mask: number;
  #consumed: number;
  #taken: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = controlWords(memory);
    this.#ring = recordRing(memory);
    this.#view = new DataView(this.#ring.buffer, this.#ring.byteOffset, this.#ring.length);
    this.#mask = this.#ring.length - 1;
    this.#consumed = Atomics.load(this.#words, Word.consumed);
    this.#taken = this.#consumed;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#words, Word.published) === this.#consumed;
  }

  /** Takes everything that is there as one group that starts with `sequence`, and puts the checksums into it. */
  take(sequence: number, seed: number): GroupHeader {
    const end = Atomics.load(this.#words, Word.published);
    let count = 0;
    for (let at = this.#consumed; at !== end; count++) {
      const length = this.#view.getUint32((at + RecordField.length) & this.#mask, true) % batchGoesOn;
      const next = (at + recordBytes(length)) | 0;
      const crc = this.#crc((at + RecordField.length) | 0, next, seed);
      this.#view.setUint32((at + RecordField.crc) & this.#mask, crc, true);
      at = next;
    }
    this.#taken = end;
    return { sequence, count, bytes: (end - this.#consumed) >>> 0 };
  }

  /** The bytes of the group that was taken, where they lie: one piece, or two around the end of the ring. */
  pieces(): Uint8Array[] {
    return this.#slices(this.#consumed, this.#taken);
  }

  /** Gives the room of the group back to the engine's thread. */
  release(): void {
    this.#consumed = this.#taken;
    Atomics.store(this.#words, Word.consumed, this.#consumed);
  }

  #crc(from: number, to: number, seed: number): number {
    const start = from & this.#mask;
    const length = (to - from) >>> 0;
    if (start + length <= this.#ring.length) return crc32(this.#ring.subarray(start, start + length), seed);
    return this.#slices(from, to).reduce((value, piece) => crc32(piece, value), seed);
  }

  #slices(from: number, to: number): Uint8Array[] {
    const start = from & this.#mask;
    const end = start + ((to - from) >>> 0);
    const size = this.#ring.length;
    if (end <= size) return [this.#ring.subarray(start, end)];
    return [this.#ring.subarray(start), this.#ring.subarray(0, end - size)];
  }
}
