import type { Framing } from '../encode/framing.js';
import { sendBufferBytes } from './sender.js';

const mask = sendBufferBytes - 1;
const pageBytes = 4096;

/** Up to this many bytes, copying words by hand is faster than a call of `set` (bench/40-copy.mjs). */
const wordCopyBytesMax = 32;
/** A source view up to this long is copied whole, garbage included, rather than making a view of the right length. */
const wholeCopyBytesMax = 1024;

/**
 * The send buffers of all slots: each a ring of `sendBufferBytes` bytes in one arena.
 *
 *        start          start+underWay        start+used
 *     ────┬───────────────────┬────────────────────┬────
 *         │ the kernel's      │ appended           │ free
 *     ────┴───────────────────┴────────────────────┴────
 *
 * Bytes from `start` to `start+underWay` belong to the kernel and are never written. An empty buffer starts over at
 * its first page, so that a healthy connection touches that one only.
 */
export class SendBuffers {
  readonly start: Uint32Array;
  readonly used: Uint32Array;
  readonly underWay: Uint32Array;
  /** 1: pages past the first were written since they were last given back. */
  readonly spread: Uint8Array;
  readonly #arena: Uint8Array;
  readonly #words: DataView;
  readonly #scratch: Uint8Array;

  constructor(arena: Uint8Array, slots: number) {
    this.start = new Uint32Array(slots);
    this.used = new Uint32Array(slots);
    this.underWay = new Uint32Array(slots);
    this.spread = new Uint8Array(slots);
    this.#arena = arena;
    this.#words = new DataView(arena.buffer, arena.byteOffset, arena.byteLength);
    this.#scratch = new Uint8Array(sendBufferBytes);
  }

  room(slot: number): number {
    return sendBufferBytes - this.used[slot];
  }

  /** Length of the next send: what is waiting, as far as it lies in one piece. */
  sendable(slot: number): number {
    return Math.min(this.used[slot], sendBufferBytes - this.start[slot]);
  }

  /** Appends a frame around `source[0 … length)`. There must be room for it. */
  appendFrame(slot: number, framing: Framing, source: Uint8Array, length: number): void {
    const total = framing.headerBytes + length;
    const end = (this.start[slot] + this.used[slot]) & mask;
    const contiguous = Math.min(this.room(slot), sendBufferBytes - end);
    if (total <= contiguous) {
      const at = slot * sendBufferBytes + end;
      framing.writeHeader(this.#arena, at, length);
      this.#copy(at + framing.headerBytes, source, length, contiguous - framing.headerBytes);
    } else {
      framing.writeHeader(this.#scratch, 0, length);
      this.#scratch.set(source.subarray(0, length), framing.headerBytes);
      this.#copyAround(slot, end, this.#scratch, total);
    }
    this.#grow(slot, total);
  }

  /** Appends bytes as they are. There must be room for them. */
  appendBytes(slot: number, bytes: Uint8Array): void {
    const end = (this.start[slot] + this.used[slot]) & mask;
    if (bytes.length <= sendBufferBytes - end) this.#arena.set(bytes, slot * sendBufferBytes + end);
    else this.#copyAround(slot, end, bytes, bytes.length);
    this.#grow(slot, bytes.length);
  }

  /** The kernel has taken `count` bytes from the start; nothing is under way any more. */
  sent(slot: number, count: number): void {
    this.used[slot] -= count;
    this.start[slot] = this.used[slot] === 0 ? 0 : (this.start[slot] + count) & mask;
  }

  /** Forgets everything; the kernel must hold nothing of it. */
  reset(slot: number): void {
    this.start[slot] = 0;
    this.used[slot] = 0;
    this.underWay[slot] = 0;
  }

  #grow(slot: number, count: number): void {
    this.used[slot] += count;
    if (this.start[slot] + this.used[slot] > pageBytes) this.spread[slot] = 1;
  }

  /** Copies `length` bytes; up to `limit` bytes from `at` on are free and may be scribbled over. */
  #copy(at: number, source: Uint8Array, length: number, limit: number): void {
    if (length <= wordCopyBytesMax) {
      let i = 0;
      for (; i + 4 <= length; i += 4) {
        const word = source[i] | (source[i + 1] << 8) | (source[i + 2] << 16) | (source[i + 3] << 24);
        this.#words.setInt32(at + i, word, true);
      }
      for (; i < length; i++) this.#arena[at + i] = source[i];
    } else if (source.length <= Math.min(wholeCopyBytesMax, limit)) {
      this.#arena.set(source, at);
    } else {
      this.#arena.set(length === source.length ? source : source.subarray(0, length), at);
    }
  }

  #copyAround(slot: number, end: number, source: Uint8Array, length: number): void {
    const base = slot * sendBufferBytes;
    const first = sendBufferBytes - end;
    this.#arena.set(source.subarray(0, first), base + end);
    this.#arena.set(source.subarray(first, length), base);
  }
}
