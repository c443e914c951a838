import { constants } from 'node:os';
import type { Timeline } from '../timeline.js';

const { EAGAIN, EPIPE } = constants.errno;
const pollOut = 4;
const pollErr = 8;
const pollHup = 16;
/** A whole byte may come out of a multiplication as a little less. */
const almostByte = 1e-6;

/** Takes what the kernel has accepted: `bytes[at … at + length)`, valid during the call. */
export type Sink = (bytes: Uint8Array, at: number, length: number) => void;

/**
 * The kernel's side of one connection: a send queue of finite size that the peer drains. A send takes whatever room there
 * is; that there is room is only told once a third of the queue is free.
 */
export class SimulatedSocket {
  readonly fd: number;
  readonly capacity: number;
  /** Bytes that the peer has not taken yet, as of the last look. */
  queued = 0;
  /** Bytes accepted so far. */
  accepted = 0;
  /** When the peer was last seen to have taken something, or had nothing to take. */
  takenNs: number;
  /** We have shut down the write side; or reset the connection. */
  writesEnded = false;
  wasReset = false;
  closed = false;
  readonly #timeline: Timeline;
  readonly #sink: Sink;
  readonly #writableQueued: number;
  #bytesPerNs = 0;
  /**
   * The peer has read at one rate and without a pause since then, and has taken this much meanwhile. Counted from there
   * rather than from look to look, so that looking often loses no part of a byte.
   */
  #sinceNs: number;
  #takenSince = 0;
  /** The part of a byte, 0 … 1, that it had read beyond that when its rate changed. */
  #part = 0;
  /** What the next send is told; the peer is gone. */
  #errno = 0;
  #watcher: (() => void) | null = null;
  /** Counts watches, so that one that was taken back is not heard. */
  #watch = 0;

  constructor(timeline: Timeline, fd: number, capacity: number, sink: Sink) {
    this.#timeline = timeline;
    this.fd = fd;
    this.capacity = capacity;
    this.#sink = sink;
    this.#writableQueued = Math.floor((capacity * 2) / 3);
    this.takenNs = timeline.nowNs;
    this.#sinceNs = timeline.nowNs;
  }

  get failed(): boolean {
    return this.#errno !== 0;
  }

  /** The peer reads at this rate from now on; 0: it has stopped. */
  set bytesPerSecond(rate: number) {
    this.settle();
    if (this.queued > 0) this.#part = Math.min(1, Math.max(0, this.#readSince() - this.#takenSince));
    this.#bytesPerNs = rate / 1e9;
    this.#sinceNs = this.#timeline.nowNs;
    this.#takenSince = 0;
    this.#schedule();
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
      this.#schedule();
    }
    return taken;
  }

  /** The peer goes away; `errno` is what the next send is told. */
  fail(errno: number): void {
    this.#errno = errno;
    this.#schedule();
  }

  endWrites(): void {
    this.writesEnded = true;
    this.#schedule();
  }

  reset(): void {
    this.wasReset = true;
    this.queued = 0;
    this.endWrites();
  }

  /** Whether a poll is answered now. */
  get writable(): boolean {
    if (this.#errno !== 0 || this.writesEnded || this.queued <= this.#writableQueued) return true;
    this.settle();
    return this.queued <= this.#writableQueued;
  }

  /** What a poll is answered with. */
  get pollEvents(): number {
    if (this.#errno === 0) return pollOut;
    // The error itself shows until somebody was told of it.
    return pollOut | pollHup | (this.#errno === EPIPE ? 0 : pollErr);
  }

  /** A send that does not wait: the number of bytes accepted, or a negative errno. */
  send(bytes: Uint8Array, at: number, length: number): number {
    if (this.#errno !== 0) {
      const errno = this.#errno;
      // Told once; whoever goes on sending is told that the pipe is broken.
      this.#errno = EPIPE;
      return -errno;
    }
    if (this.writesEnded) return -EPIPE;
    if (length === 0) return 0;
    this.settle();
    const count = Math.min(length, this.capacity - this.queued);
    if (count === 0) return -EAGAIN;
    if (this.queued === 0) this.#startReading();
    this.queued += count;
    this.accepted += count;
    this.#sink(bytes, at, count);
    return count;
  }

  /** Calls back, once and not from inside of this call, when the socket is writable or has failed. */
  whenWritable(watcher: () => void): void {
    if (this.#watcher === watcher) return;
    this.#watcher = watcher;
    this.#schedule();
  }

  unwatch(): void {
    this.#watcher = null;
    this.#watch++;
  }

  /** Brings `queued` up to now. */
  settle(): void {
    if (this.queued === 0 || this.#bytesPerNs === 0) return;
    const read = Math.floor(this.#readSince() + almostByte) - this.#takenSince;
    if (read <= 0) return;
    const taken = Math.min(this.queued, read);
    this.#takenSince += taken;
    this.queued -= taken;
    this.takenNs = this.#timeline.nowNs;
  }

  /** A peer that had nothing to read has not saved up anything. */
  #startReading(): void {
    const { nowNs } = this.#timeline;
    this.takenNs = nowNs;
    this.#sinceNs = nowNs;
    this.#takenSince = 0;
    this.#part = 0;
  }

  /** Bytes that the peer could have read since `#sinceNs`. */
  #readSince(): number {
    return this.#part + (this.#timeline.nowNs - this.#sinceNs) * this.#bytesPerNs;
  }

  /** Calls the watcher now, or when the peer will have read enough. */
  #schedule(): void {
    if (this.#watcher === null) return;
    const watch = ++this.#watch;
    if (this.writable) {
      // In a moment, not now: whoever made the change is still inside it.
      this.#timeline.after(0, () => this.#notify(watch));
    } else if (this.#bytesPerNs > 0) {
      const target = this.#takenSince + this.queued - this.#writableQueued;
      const dueNs = this.#sinceNs + Math.ceil((target - this.#part - almostByte) / this.#bytesPerNs);
      this.#timeline.at(Math.max(this.#timeline.nowNs + 1, dueNs), () => this.#notify(watch));
    }
  }

  #notify(watch: number): void {
    const watcher = this.#watcher;
    if (watch !== this.#watch || watcher === null) return;
    if (!this.writable) {
      this.#schedule();
      return;
    }
    this.#watcher = null;
    this.#watch++;
    watcher();
  }
}
