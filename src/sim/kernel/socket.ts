import { constants } from 'node:os';
import type { Timeline } from '../timeline.js';

const { EAGAIN, ECONNRESET, EPIPE } = constants.errno;

/** Takes what the kernel has accepted: `bytes[at … at + length)`, valid during the call. */
export type Sink = (bytes: Uint8Array, at: number, length: number) => void;

/**
 * The kernel's side of one connection: a send queue of finite size that the peer drains. Once it has been full it is
 * writable again only when a third of it is free.
 */
export class SimulatedSocket {
  readonly fd: number;
  readonly capacity: number;
  /** Bytes that the peer has not taken yet, as of the last look. */
  queued = 0;
  /** Bytes accepted so far. */
  accepted = 0;
  /** When the peer last took something, or had nothing to take. */
  takenNs: number;
  /** We have shut down the write side; or reset the connection. */
  writesEnded = false;
  wasReset = false;
  closed = false;
  readonly #timeline: Timeline;
  readonly #sink: Sink;
  #bytesPerNs = 0;
  #settledNs: number;
  #full = false;
  /** What the next send is told; the peer is gone. */
  #errno = 0;
  #watcher: (() => void) | null = null;
  #watch = 0;

  constructor(timeline: Timeline, fd: number, capacity: number, sink: Sink) {
    this.#timeline = timeline;
    this.fd = fd;
    this.capacity = capacity;
    this.#sink = sink;
    this.takenNs = timeline.nowNs;
    this.#settledNs = timeline.nowNs;
  }

  get failed(): boolean {
    return this.#errno !== 0;
  }

  /** The peer reads at this rate from now on; 0: it has stopped. */
  set bytesPerSecond(rate: number) {
    this.settle();
    this.#bytesPerNs = rate / 1e9;
    this.#look();
  }

  get reads(): boolean {
    return this.#bytesPerNs > 0;
  }

  /** The peer takes up to `bytes` at once. Returns how many it took. */
  take(bytes: number): number {
    this.settle();
    const taken = Math.min(bytes, this.queued);
    if (taken > 0) {
      this.queued -= taken;
      this.takenNs = this.#timeline.nowNs;
      this.#look();
    }
    return taken;
  }

  /** The peer goes away; `errno` is what the next send is told. */
  fail(errno: number): void {
    this.#errno = errno;
    this.#notify();
  }

  endWrites(): void {
    this.writesEnded = true;
    this.#notify();
  }

  reset(): void {
    this.wasReset = true;
    this.queued = 0;
    this.endWrites();
  }

  get writable(): boolean {
    this.settle();
    if (this.#errno !== 0 || this.writesEnded || !this.#full) return true;
    return this.capacity - this.queued >= this.capacity / 3;
  }

  /** A send that does not wait: the number of bytes accepted, or a negative errno. */
  send(bytes: Uint8Array, at: number, length: number): number {
    if (this.#errno !== 0) {
      const errno = this.#errno;
      // Told once; whoever goes on sending is told that the pipe is broken.
      if (errno === ECONNRESET) this.#errno = EPIPE;
      return -errno;
    }
    if (this.writesEnded) return -EPIPE;
    if (length === 0) return 0;
    if (!this.writable) return -EAGAIN;
    const count = Math.min(length, this.capacity - this.queued);
    this.#full = count < length || this.queued + count === this.capacity;
    if (count === 0) return -EAGAIN;
    if (this.queued === 0) this.takenNs = this.#timeline.nowNs;
    this.queued += count;
    this.accepted += count;
    this.#sink(bytes, at, count);
    return count;
  }

  /** Calls back, once, when the socket is writable or has failed. */
  whenWritable(watcher: () => void): void {
    this.#watcher = watcher;
    this.#look();
  }

  unwatch(): void {
    this.#watcher = null;
    this.#watch++;
  }

  /** Brings `queued` up to now. */
  settle(): void {
    const { nowNs } = this.#timeline;
    if (this.queued > 0 && this.#bytesPerNs > 0) {
      const taken = Math.min(this.queued, Math.floor((nowNs - this.#settledNs) * this.#bytesPerNs));
      // What is left over of a byte counts for the next look.
      if (taken === 0) return;
      this.queued -= taken;
      this.takenNs = nowNs;
    }
    this.#settledNs = nowNs;
  }

  #look(): void {
    if (this.#watcher === null) return;
    if (this.writable) {
      this.#notify();
      return;
    }
    if (this.#bytesPerNs === 0) return;
    const watch = ++this.#watch;
    const excess = this.queued - (this.capacity * 2) / 3;
    this.#timeline.after(Math.max(1, Math.ceil(excess / this.#bytesPerNs)), () => {
      if (watch === this.#watch) this.#look();
    });
  }

  /** In a moment, not now: whoever made the change is still inside it. */
  #notify(): void {
    const watcher = this.#watcher;
    if (watcher === null) return;
    this.#watcher = null;
    this.#watch++;
    this.#timeline.after(0, watcher);
  }
}
