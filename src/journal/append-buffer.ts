import { highWord, lowWord } from '../shared/wide.js';
import { batchGoesOn, RecordField, recordBytes, recordHeaderBytes } from './format.js';
import { controlWords, recordRing, Word } from './memory.js';

/** The engine's end of the shared buffer: reserve, put, publish. Allocates nothing, unless a payload wraps around. */
export class AppendBuffer {
  readonly #words: Int32Array;
  readonly #ring: Uint8Array;
  readonly #view: DataView;
  readonly #mask: number;
  /** Where the next record goes; ahead of the published position while records are being put. */
  #position: number;
  /** The writer's position as last seen: looked at again only when there seems to be no room. */
  #consumedSeen: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = controlWords(memory);
    this.#ring = recordRing(memory);
    this.#view = new DataView(this.#ring.buffer, this.#ring.byteOffset, this.#ring.length);
    this.#mask = this.#ring.length - 1;
    this.#position = Atomics.load(this.#words, Word.published);
    this.#consumedSeen = Atomics.load(this.#words, Word.consumed);
  }

  /** Whether there is room for so many bytes of records. */
  hasRoom(bytes: number): boolean {
    if (this.#roomSeen() >= bytes) return true;
    this.#consumedSeen = Atomics.load(this.#words, Word.consumed);
    return this.#roomSeen() >= bytes;
  }

  /** Writes one record behind those that are there; there must be room for it. */
  put(sequence: number, payload: Uint8Array, goesOn: boolean): void {
    const view = this.#view;
    const mask = this.#mask;
    const at = this.#position;
    const { length } = payload;
    const bytes = recordBytes(length);
    const word = goesOn ? length + batchGoesOn : length;
    view.setUint32((at + RecordField.length) & mask, word, true);
    view.setInt32((at + RecordField.sequence) & mask, lowWord(sequence), true);
    view.setUint32((at + RecordField.sequence + 4) & mask, highWord(sequence), true);
    if (bytes !== recordHeaderBytes) {
      const tail = (at + bytes - 8) & mask;
      view.setUint32(tail, 0, true);
      view.setUint32(tail + 4, 0, true);
    }
    const start = (at + recordHeaderBytes) & mask;
    const room = mask + 1 - start;
    if (length <= room) {
      this.#ring.set(payload, start);
    } else {
      this.#ring.set(payload.subarray(0, room), start);
      this.#ring.set(payload.subarray(room), 0);
    }
    this.#position = (at + bytes) | 0;
  }

  /** Hands everything that was put to the writer, and wakes it if it sleeps. */
  publish(): void {
    const words = this.#words;
    Atomics.store(words, Word.published, this.#position);
    wakeWriter(words);
  }

  #roomSeen(): number {
    return this.#ring.length - ((this.#position - this.#consumedSeen) >>> 0);
  }
}

/**
 * Wakes the writer if it sleeps. What it is to see must be stored before: the writer announces its sleep first and
 * looks at everything once more after that, so one of the two always sees the other.
 */
export function wakeWriter(words: Int32Array): void {
  if (Atomics.load(words, Word.parked) === 0) return;
  Atomics.store(words, Word.parked, 0);
  Atomics.notify(words, Word.parked);
}
