import type { Framing } from '../encode/framing.js';
import { Bytes, copyBytes } from '../shared/bytes.js';
import { sendBufferBytes } from './sender.js';

const mask = sendBufferBytes - 1;
const pageBytes = 4096;

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
  readonly #arena: Bytes;
  readonly #scratch: Bytes;

  constructor(arena: Uint8Array, slots: number) {
    this.start = new Uint32Array(slots);
    this.used = new Uint32Array(slots);
    this.underWay = new Uint32Array(slots);
    this.spread = new Uint8Array(slots);
    this.#arena = new Bytes(arena);
    this.#scratch = new Bytes(new Uint8Array(sendBufferBytes));
  }

  room(slot: number): number {
    return sendBufferBytes - this.used[slot];
  }

  /** Length of the next send: what is waiting, as far as it lies in one piece. */
  sendable(slot: number): number {
    return Math.min(this.used[slot], sendBufferBytes - this.start[slot]);
  }

  /** Appends a frame around `length` bytes of `source` from `from` on. There must be room for it. */
  appendFrame(slot: number, framing: Framing, source: Bytes, from: number, length: number): void {
    const { headerBytes } = framing;
    const end = (this.start[slot] + this.used[slot]) & mask;
    const whole = headerBytes + length <= sendBufferBytes - end;
    const target = whole ? this.#arena : this.#scratch;
    const at = whole ? slot * sendBufferBytes + end : 0;
    framing.writeHeader(target.bytes, at, length);
    copyBytes(target, at + headerBytes, source, from, length);
    if (!whole) this.#copyAround(slot, end, target.bytes, headerBytes + length);
    this.#grow(slot, headerBytes + length);
  }

  /** Appends bytes as they are. There must be room for them. */
  appendBytes(slot: number, bytes: Uint8Array): void {
    const end = (this.start[slot] + this.used[slot]) & mask;
    if (bytes.length <= sendBufferBytes - end) {
      const target = this.#arena.bytes;
      const at = slot * sendBufferBytes + end;
      for (let i = 0; i < bytes.length; i++) target[at + i] = bytes[i];
    } else {
      this.#copyAround(slot, end, bytes, bytes.length);
    }
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

  /** Copies bytes to the end of the buffer, and the rest to its beginning. */
  #copyAround(slot: number, end: number, source: Uint8Array, length: number): void {
    const base = slot * sendBufferBytes;
    const first = sendBufferBytes - end;
    this.#arena.bytes.set(source.subarray(0, first), base + end);
    this.#arena.bytes.set(source.subarray(first, length), base);
  }
}
