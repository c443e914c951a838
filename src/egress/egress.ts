import { constants } from 'node:os';
import type { Framing } from '../encode/framing.js';
import { AckgateError } from '../errors.js';
import type { Bytes } from '../shared/bytes.js';
import { type ConnectionTable, SlotState } from './connection-table.js';
import { Drop, EgressCounters } from './counters.js';
import { IndexedSet } from './indexed-set.js';
import { SendBuffers } from './send-buffers.js';
import {
  CloseHow,
  RequestWord,
  ResultWord,
  requestWords,
  resultWords,
  type Sender,
  SenderOp,
  SenderState,
} from './sender.js';

const { EAGAIN, EBUSY, ECANCELED, ECONNRESET, EINTR, EPIPE } = constants.errno;

/** Called once for every connection that ended, after the kernel let go of it. */
export type EndedListener = (
  slot: number,
  connectionId: number,
  dropReason: number,
  errno: number,
  unsent: number,
) => void;

/** `dropReason` of a connection that ended in order. */
export const endedOrderly = -1;

/** Told when bytes have reached the kernel, and when those that were waiting never will. */
export interface DeliveryObserver {
  delivered(slot: number): void;
  discarded(slot: number): void;
}

export interface EgressOptions {
  sender: Sender;
  arena: Uint8Array;
  table: ConnectionTable;
  framing: Framing;
  /** One word; non-zero: nothing may be submitted any more. */
  fence: Int32Array;
  /** Called when a connection is no longer open: nothing may be appended for it from here on. */
  onClosing: (slot: number) => void;
  onEnded: EndedListener;
  delivery: DeliveryObserver;
}

/**
 * Send buffers, dirty list and what the kernel's answers mean.
 *
 * An open slot is in at most one of these states, and these sets say which:
 *   `dirty`    it has bytes, and nothing of it is under way or armed: the next flush sends it;
 *   `refused`  the kernel took nothing: the next flush arms a poll for it;
 *   `waiting`  a send or a poll of it is under way.
 *
 * `owing` holds it from a send until the peer has taken everything, whichever of the three it is in meanwhile.
 */
export class Egress {
  readonly counters = new EgressCounters();
  readonly buffers: SendBuffers;
  readonly table: ConnectionTable;
  readonly dirty: IndexedSet;
  readonly waiting: IndexedSet;
  readonly owing: IndexedSet;
  /** When the last byte was appended, and when the peer last took one; monotonic nanoseconds. */
  readonly lastAppendNs: Float64Array;
  readonly lastProgressNs: Float64Array;
  /** Bytes ever appended to, and taken from, each slot's buffer in this connection. */
  readonly appendedTotal: Float64Array;
  readonly sentTotal: Float64Array;
  readonly #refused: IndexedSet;
  readonly #sender: Sender;
  readonly #framing: Framing;
  readonly #fence: Int32Array;
  readonly #onClosing: (slot: number) => void;
  readonly #onEnded: EndedListener;
  readonly #delivery: DeliveryObserver;
  readonly #dropReason: Int8Array;
  readonly #dropErrno: Int32Array;
  /** 1: the peer has refused bytes since its last progress, and its clock runs on. */
  readonly #stuck: Uint8Array;
  #closing = 0;

  constructor(options: EgressOptions) {
    const { slots } = options.table;
    this.table = options.table;
    this.buffers = new SendBuffers(options.arena, slots);
    this.dirty = new IndexedSet(slots);
    this.waiting = new IndexedSet(slots);
    this.owing = new IndexedSet(slots);
    this.#refused = new IndexedSet(slots);
    this.lastAppendNs = new Float64Array(slots);
    this.lastProgressNs = new Float64Array(slots);
    this.appendedTotal = new Float64Array(slots);
    this.sentTotal = new Float64Array(slots);
    this.#dropReason = new Int8Array(slots).fill(endedOrderly);
    this.#dropErrno = new Int32Array(slots);
    this.#stuck = new Uint8Array(slots);
    this.#sender = options.sender;
    this.#framing = options.framing;
    this.#fence = options.fence;
    this.#onClosing = options.onClosing;
    this.#onEnded = options.onEnded;
    this.#delivery = options.delivery;
  }

  get fenced(): boolean {
    return Atomics.load(this.#fence, 0) !== 0;
  }

  /** True when a flush has something to hand over. */
  get pending(): boolean {
    return this.dirty.size > 0 || this.#refused.size > 0;
  }

  /** Takes a connection, and its fd, into a free slot. */
  open(slot: number, connectionId: number, fd: number, nowNs: number): void {
    this.table.open(slot, connectionId);
    this.buffers.reset(slot);
    this.lastAppendNs[slot] = nowNs;
    this.lastProgressNs[slot] = nowNs;
    this.appendedTotal[slot] = 0;
    this.sentTotal[slot] = 0;
    this.#dropReason[slot] = endedOrderly;
    this.#dropErrno[slot] = 0;
    this.#stuck[slot] = 0;
    const result = this.#sender.open(slot, this.table.generation[slot], fd);
    if (result < 0) {
      this.table.close(slot);
      this.#dropReason[slot] = Drop.sendError;
      this.#dropErrno[slot] = -result;
      this.counters.drops[Drop.sendError]++;
      this.#end(slot);
    }
  }

  /**
   * Appends a frame, and a second one behind it unless `tail` is null: both or neither. False when there was no
   * room: then the connection has been dropped. The connection must be open.
   */
  appendFrame(
    slot: number,
    source: Bytes,
    from: number,
    length: number,
    tail: Uint8Array | null,
    nowNs: number,
  ): boolean {
    const total = this.#framing.headerBytes + length + (tail === null ? 0 : tail.length);
    if (total > this.buffers.room(slot) && !this.#makeRoom(slot, total, nowNs)) return false;
    this.buffers.appendFrame(slot, this.#framing, source, from, length);
    if (tail !== null) this.buffers.appendBytes(slot, tail);
    this.#appended(slot, total, nowNs);
    return true;
  }

  /**
   * Appends a whole frame. False when there was no room: then the connection has been dropped. The connection must be
   * open: bytes for one that closes would be taken for the next one's in its slot.
   */
  appendBytes(slot: number, bytes: Uint8Array, nowNs: number): boolean {
    if (bytes.length > this.buffers.room(slot) && !this.#makeRoom(slot, bytes.length, nowNs)) return false;
    this.buffers.appendBytes(slot, bytes);
    this.#appended(slot, bytes.length, nowNs);
    return true;
  }

  /** True when nothing of the slot is the kernel's: what is appended now goes out with the next flush. */
  isClear(slot: number): boolean {
    return !this.waiting.has(slot) && !this.#refused.has(slot);
  }

  /** Hands all dirty buffers over in one native call and takes the results that are there. Returns how many. */
  flush(nowNs: number): number {
    if (!this.pending || this.fenced) return 0;
    const count = this.#prepare(nowNs);
    this.counters.flushed(count);
    return this.#take(this.#sender.flush(count), nowNs);
  }

  /** Takes the results that came since the last flush. Returns how many. */
  reap(nowNs: number): number {
    if (this.waiting.size === 0 && this.#closing === 0) return 0;
    return this.#take(this.#sender.reap(), nowNs);
  }

  /** Ends a connection that can't go on; at most one drop takes effect. */
  drop(slot: number, reason: number, errno: number): void {
    if (this.table.state[slot] !== SlotState.open) return;
    this.#dropReason[slot] = reason;
    this.#dropErrno[slot] = errno;
    this.counters.drops[reason]++;
    this.#delivery.discarded(slot);
    this.#close(slot, CloseHow.reset);
  }

  /** Ends a connection: in order when everything was sent, else as a drop. */
  disconnect(slot: number): void {
    if (this.table.state[slot] !== SlotState.open) return;
    if (this.buffers.used[slot] > 0) this.drop(slot, Drop.disconnected, 0);
    else this.#close(slot, CloseHow.orderly);
  }

  /** True when no open connection has bytes that the kernel has not. */
  get drained(): boolean {
    return !this.pending && this.waiting.size === 0;
  }

  /** Ends all connections: in order where everything was sent, else as a drop for `reason`. */
  disconnectAll(reason: number): void {
    for (let slot = 0; slot < this.table.slots; slot++) {
      if (this.buffers.used[slot] > 0) this.drop(slot, reason, 0);
      else this.disconnect(slot);
    }
  }

  dropAll(reason: number): void {
    for (let slot = 0; slot < this.table.slots; slot++) this.drop(slot, reason, 0);
  }

  /**
   * Ends everything at once: the sender is destroyed, and what is still open counts as dropped for `reason`. Returns
   * the number of slots that the kernel did not let go of.
   */
  abandon(reason: number, deadlineMs: number): number {
    // What was sent of these may end inside a frame, which only we know: a clean end would lie.
    for (let slot = 0; slot < this.table.slots; slot++) {
      if (this.table.state[slot] === SlotState.open && this.buffers.used[slot] > 0) {
        this.#sender.close(slot, CloseHow.reset);
      }
    }
    const held = this.#sender.destroy(deadlineMs);
    this.buffers.spread.fill(0);
    for (let slot = 0; slot < this.table.slots; slot++) {
      const state = this.table.state[slot];
      if (state === SlotState.free) continue;
      if (state === SlotState.open) {
        this.#dropReason[slot] = reason;
        this.counters.drops[reason]++;
        this.#delivery.discarded(slot);
        this.table.close(slot);
        this.#onClosing(slot);
      }
      this.#end(slot);
    }
    this.dirty.clear();
    this.#refused.clear();
    this.waiting.clear();
    this.owing.clear();
    this.#closing = 0;
    return held;
  }

  /** Bytes that the kernel holds for the peer, or a negative errno. */
  queuedBytes(slot: number): number {
    return this.#sender.queuedBytes(slot);
  }

  /** Gives the pages that a burst has touched back to the system; the buffer must be empty. */
  releasePages(slot: number): void {
    if (this.buffers.spread[slot] === 0) return;
    this.buffers.spread[slot] = 0;
    this.#sender.releasePages(slot);
  }

  #close(slot: number, how: number): void {
    this.table.close(slot);
    this.#onClosing(slot);
    this.dirty.delete(slot);
    this.#refused.delete(slot);
    this.owing.delete(slot);
    this.#closing++;
    this.#sender.close(slot, how);
  }

  /** The buffer looks full: results that wait to be taken, or bytes never handed over, may make room. */
  #makeRoom(slot: number, bytes: number, nowNs: number): boolean {
    // A send covers one piece, and bytes that go around the end of the buffer are two; a call that was interrupted
    // leaves its requests, or their results, for the next.
    for (let looks = 0, taken = 1; looks < 4 && bytes > this.buffers.room(slot); looks++) {
      const flushes = this.dirty.has(slot);
      const interrupted = this.#sender.state[SenderState.submitErrno] === EINTR;
      if (taken === 0 && !flushes && !interrupted) break;
      taken = flushes ? this.flush(nowNs) + 1 : this.reap(nowNs);
    }
    if (this.table.state[slot] !== SlotState.open) return false;
    if (bytes <= this.buffers.room(slot)) return true;
    // Behind a fence nothing makes room any more, and that is nobody's fault.
    this.drop(slot, this.fenced ? Drop.fenced : Drop.overflow, 0);
    return false;
  }

  #appended(slot: number, bytes: number, nowNs: number): void {
    this.counters.bytesAppended += bytes;
    this.appendedTotal[slot] += bytes;
    this.lastAppendNs[slot] = nowNs;
    // A framing of one's own may have empty frames: a send of nothing would look like a peer that takes nothing.
    if (bytes > 0 && this.isClear(slot)) this.dirty.add(slot);
  }

  /** Writes the requests of one flush. */
  #prepare(nowNs: number): number {
    const { requests } = this.#sender;
    const { start, underWay } = this.buffers;
    let at = 0;
    for (let i = 0; i < this.#refused.size; i++) {
      const slot = this.#refused.items[i];
      requests[at + RequestWord.op] = SenderOp.poll;
      requests[at + RequestWord.slot] = slot;
      requests[at + RequestWord.generation] = this.table.generation[slot];
      at += requestWords;
    }
    for (let i = 0; i < this.dirty.size; i++) {
      const slot = this.dirty.items[i];
      const length = this.buffers.sendable(slot);
      requests[at + RequestWord.op] = SenderOp.send;
      requests[at + RequestWord.slot] = slot;
      requests[at + RequestWord.generation] = this.table.generation[slot];
      requests[at + RequestWord.offset] = start[slot];
      requests[at + RequestWord.length] = length;
      underWay[slot] = length;
      // An idle peer is not late: its clock starts with the bytes that it is given.
      if (this.#stuck[slot] === 0) this.lastProgressNs[slot] = nowNs;
      this.waiting.add(slot);
      this.owing.add(slot);
      at += requestWords;
    }
    this.counters.sends += this.dirty.size;
    this.dirty.clear();
    for (let i = 0; i < this.#refused.size; i++) this.waiting.add(this.#refused.items[i]);
    this.#refused.clear();
    return at / requestWords;
  }

  #take(count: number, nowNs: number): number {
    let taken = this.#apply(count, nowNs);
    while (this.#sender.state[SenderState.more] !== 0) {
      const further = this.#sender.reap();
      if (further === 0) break;
      taken += this.#apply(further, nowNs);
    }
    const errno = this.#sender.state[SenderState.submitErrno];
    if (errno !== 0 && errno !== EAGAIN && errno !== EBUSY && errno !== EINTR) {
      // The kernel refuses the ring itself: what it has taken and what not is unknown, and wrong bytes are worse
      // than none.
      throw new AckgateError(
        'ERR_ACKGATE_SUBMIT_FAILED',
        `submitting to the kernel failed with errno ${errno}`,
      );
    }
    return taken;
  }

  #apply(count: number, nowNs: number): number {
    const { results } = this.#sender;
    for (let i = 0, at = 0; i < count; i++, at += resultWords) {
      const slot = results[at + ResultWord.slot];
      if (
        results[at + ResultWord.generation] !== this.table.generation[slot] ||
        this.table.state[slot] === SlotState.free
      ) {
        this.counters.staleResults++;
        continue;
      }
      const op = results[at + ResultWord.op];
      if (op === SenderOp.send) this.#sendResult(slot, results[at + ResultWord.value], nowNs);
      else if (op === SenderOp.poll) this.#writable(slot);
      else this.#closed(slot);
    }
    return count;
  }

  #sendResult(slot: number, value: number, nowNs: number): void {
    const asked = this.buffers.underWay[slot];
    this.buffers.underWay[slot] = 0;
    this.waiting.delete(slot);
    if (value > 0) this.#progress(slot, value, asked, nowNs);
    if (this.table.state[slot] !== SlotState.open) return;
    if (value > 0 || value === -EINTR) {
      if (this.buffers.used[slot] > 0) this.dirty.add(slot);
    } else if (value === 0 || value === -EAGAIN) {
      this.#stuck[slot] = 1;
      this.counters.blockedSends++;
      this.#refused.add(slot);
    } else if (value === -ECANCELED) {
      // Cancelled by a fence: its drop is on the way.
      this.dirty.add(slot);
    } else {
      const errno = -value;
      this.drop(slot, errno === ECONNRESET || errno === EPIPE ? Drop.reset : Drop.sendError, errno);
    }
  }

  #progress(slot: number, value: number, asked: number, nowNs: number): void {
    if (value > asked) {
      throw new AckgateError(
        'ERR_ACKGATE_SUBMIT_FAILED',
        `the kernel reports ${value} of ${asked} bytes sent`,
      );
    }
    if (value < asked) this.counters.shortSends++;
    this.counters.bytesSent += value;
    this.sentTotal[slot] += value;
    this.buffers.sent(slot, value);
    this.lastProgressNs[slot] = nowNs;
    this.#stuck[slot] = 0;
    if (this.buffers.used[slot] === 0) this.owing.delete(slot);
    this.#delivery.delivered(slot);
  }

  #writable(slot: number): void {
    this.waiting.delete(slot);
    if (this.table.state[slot] === SlotState.open && this.buffers.used[slot] > 0) this.dirty.add(slot);
  }

  #closed(slot: number): void {
    this.waiting.delete(slot);
    this.#closing--;
    this.#end(slot);
  }

  #end(slot: number): void {
    const unsent = this.buffers.used[slot];
    this.counters.bytesUnsent += unsent;
    this.buffers.reset(slot);
    this.releasePages(slot);
    this.table.free(slot);
    this.#onEnded(slot, this.table.id[slot], this.#dropReason[slot], this.#dropErrno[slot], unsent);
  }
}
