import { constants } from 'node:os';
import {
  CloseHow,
  RequestWord,
  ResultWord,
  requestWords,
  resultWords,
  type Sender,
  SenderOp,
  SenderState,
  sendBufferBytes,
  senderStateWords,
} from '../../egress/sender.js';
import type { Timeline } from '../timeline.js';
import type { KernelFaults } from './kernel-faults.js';
import type { SimulatedSocket } from './socket.js';

const { EAGAIN, EBADF, EBUSY, ECANCELED, EFAULT, EINVAL } = constants.errno;
const pollOut = 4;
const pageBytes = 4096;

export interface SimulatedSenderParts {
  timeline: Timeline;
  arena: Uint8Array;
  slots: number;
  /** One word; non-zero: nothing may be submitted any more. */
  fence: Int32Array;
  /** The socket behind a descriptor; undefined: there is none. */
  socketOf: (fd: number) => SimulatedSocket | undefined;
  faults: KernelFaults;
  /**
   * `wait`: a send to a full socket stays under way until the peer has made room, as io_uring does it; `refuse`: it is
   * answered with `-EAGAIN`, as a send that must not wait is.
   */
  whenFull: 'wait' | 'refuse';
  /** Requests that one submission takes. */
  ringEntries?: number;
  /** Rows of the result table. */
  resultRows?: number;
  /** What a call costs, in virtual nanoseconds, and each of its requests. */
  callNs?: number;
  requestNs?: number;
  /** Told of every request as it is handed over and of every result, for a trace. */
  observer?: SenderObserver;
}

export interface SenderObserver {
  /** Told of every call. */
  called(): void;
  submitted(op: number, slot: number, offset: number, length: number): void;
  answered(op: number, slot: number, value: number): void;
  closing(slot: number, how: number, underWay: boolean): void;
}

/** A slot's place in the kernel. */
class SlotWork {
  socket: SimulatedSocket | null = null;
  generation = 0;
  closing = false;
  /** The request under way, 0: none. */
  op = 0;
  offset = 0;
  length = 0;
  /** Of the bytes under way as they were handed over; -1: not looked at. */
  checksum = -1;
  /** Counts requests, so that a cancelled one is not answered later. */
  request = 0;
}

/** A sender over virtual sockets, in virtual time: the third kernel that the stage runs on. */
export class SimulatedSender implements Sender {
  readonly backend = 'simulated';
  readonly features: readonly string[];
  readonly requests: Uint32Array;
  readonly results: Int32Array;
  readonly state = new Int32Array(senderStateWords);
  /** Calls so far: a stage that waits in a loop is known by them. */
  calls = 0;
  readonly #parts: SimulatedSenderParts;
  readonly #timeline: Timeline;
  readonly #arena: Uint8Array;
  readonly #work: SlotWork[];
  readonly #ringEntries: number;
  readonly #callNs: number;
  readonly #requestNs: number;
  readonly #queue: number[] = [];
  readonly #ready: number[][] = [];
  #underWay = 0;
  #openSlots = 0;
  #woken = false;
  #destroyed = false;
  /** Results that wait although a submission was interrupted: they show at the next call. */
  #hidden = false;

  constructor(parts: SimulatedSenderParts) {
    const { slots, ringEntries = 4096, resultRows = 4096, callNs = 700, requestNs = 150 } = parts;
    this.#parts = parts;
    this.#timeline = parts.timeline;
    this.#arena = parts.arena;
    this.features = [parts.whenFull];
    this.requests = new Uint32Array(2 * slots * requestWords);
    this.results = new Int32Array(resultRows * resultWords);
    this.#work = Array.from({ length: slots }, () => new SlotWork());
    this.#ringEntries = ringEntries;
    this.#callNs = callNs;
    this.#requestNs = requestNs;
  }

  /** Slots that hold a socket, open or closing. */
  get openSlots(): number {
    return this.#openSlots;
  }

  /** Whether the kernel, or the queue in front of it, has a request of the slot. */
  isBusy(slot: number): boolean {
    return this.#work[slot].op !== 0 || this.#isQueued(slot);
  }

  /** The socket of an open slot. */
  socket(slot: number): SimulatedSocket | null {
    return this.#work[slot].socket;
  }

  open(slot: number, generation: number, fd: number): number {
    const socket = this.#parts.socketOf(fd);
    if (socket === undefined || socket.closed) return -EBADF;
    const work = this.#work[slot];
    if (work === undefined || work.socket !== null || this.#destroyed) {
      socket.closed = true;
      if (work?.socket) this.#parts.faults.violated('I06', `slot ${slot} was opened before it was free`);
      return work === undefined ? -EINVAL : -EBUSY;
    }
    work.socket = socket;
    work.generation = generation;
    work.closing = false;
    work.op = 0;
    this.#openSlots++;
    return 0;
  }

  flush(count: number): number {
    const fenced = this.#fenced;
    if (fenced && count > 0) {
      this.#parts.faults.violated('I10', `${count} requests were submitted behind a fence`);
    }
    this.#enter(count);
    const words = count * requestWords;
    for (let i = 0; i < words; i++) this.#queue.push(this.requests[i]);
    return this.#run();
  }

  reap(): number {
    this.#enter(0);
    return this.#run();
  }

  close(slot: number, how: number): void {
    const work = this.#work[slot];
    const { socket } = work;
    if (socket === null || work.closing) return;
    this.#parts.observer?.closing(slot, how, work.op !== 0 || this.#isQueued(slot));
    work.closing = true;
    this.#forgetQueued(slot);
    socket.unwatch();
    if (how === CloseHow.orderly) socket.endWrites();
    else socket.reset();
    const delayNs = this.#parts.faults.cancelDelayNs();
    const end = () => {
      if (work.op !== 0) this.#answer(slot, -ECANCELED);
      socket.closed = true;
      work.socket = null;
      this.#openSlots--;
      this.#result(SenderOp.closed, slot, work.generation, 0);
    };
    if (delayNs === 0) end();
    else {
      const { generation } = work;
      this.#timeline.after(delayNs, () => {
        if (work.socket === socket && work.generation === generation) end();
      });
    }
  }

  queuedBytes(slot: number): number {
    const { socket } = this.#work[slot];
    if (socket === null) return -EBADF;
    socket.settle();
    return socket.queued;
  }

  releasePages(slot: number): void {
    const work = this.#work[slot];
    if (work.op !== 0)
      this.#parts.faults.violated('I07', `pages of slot ${slot} were given back while in use`);
    this.#arena.fill(0, slot * sendBufferBytes + pageBytes, (slot + 1) * sendBufferBytes);
  }

  park(timeoutMs: number): void {
    const deadlineNs = this.#timeline.nowNs + timeoutMs * 1e6;
    while (!this.#woken && this.#ready.length === 0 && this.#timeline.nextNs <= deadlineNs) {
      this.#timeline.runNext();
    }
    if (!this.#woken && this.#ready.length === 0) this.#timeline.run(deadlineNs);
    this.#woken = false;
  }

  /** What writing the wake descriptor does. */
  wake(): void {
    this.#woken = true;
  }

  destroy(deadlineMs: number): number {
    if (this.#destroyed) return 0;
    this.#destroyed = true;
    this.#queue.length = 0;
    for (let slot = 0; slot < this.#work.length; slot++) this.close(slot, CloseHow.reset);
    const deadlineNs = this.#timeline.nowNs + deadlineMs * 1e6;
    while (this.#openSlots > 0 && this.#timeline.nextNs <= deadlineNs) this.#timeline.runNext();
    return this.#openSlots;
  }

  get #fenced(): boolean {
    return Atomics.load(this.#parts.fence, 0) !== 0;
  }

  /** Time passes in every call, and with it the rest of the world goes on. */
  #enter(count: number): void {
    this.calls++;
    this.#parts.observer?.called();
    this.#timeline.spend(this.#callNs + count * this.#requestNs);
  }

  /** Hands over what is queued, and collects the results that are there. */
  #run(): number {
    const { state } = this;
    state[SenderState.submitErrno] = 0;
    const queue = this.#queue;
    if (queue.length > 0) {
      if (this.#fenced) this.#cancelQueued();
      else this.#submit();
    }
    state[SenderState.unsubmitted] = queue.length / requestWords;
    state[SenderState.underWay] = this.#underWay;
    if (this.#hidden) {
      this.#hidden = false;
      state[SenderState.more] = 0;
      return 0;
    }
    return this.#collect();
  }

  #submit(): void {
    const queue = this.#queue;
    let at = 0;
    while (at < queue.length) {
      const count = Math.min(this.#ringEntries, (queue.length - at) / requestWords);
      const stop = this.#parts.faults.submission(count);
      const end = at + (stop === null ? count : stop.taken) * requestWords;
      for (; at < end; at += requestWords) {
        this.#take(queue[at], queue[at + 1], queue[at + 2], queue[at + 3], queue[at + 4]);
      }
      if (stop !== null) {
        this.state[SenderState.submitErrno] = stop.errno;
        this.#hidden = stop.hidden;
        break;
      }
    }
    queue.splice(0, at);
  }

  /** One request, as the kernel takes it. */
  #take(op: number, slot: number, generation: number, offset: number, length: number): void {
    this.#parts.observer?.submitted(op, slot, offset, length);
    const work = this.#work[slot];
    const refused = this.#refusal(work, op, generation, offset, length);
    if (refused !== 0) {
      this.#result(op, slot, generation | 0, refused);
      return;
    }
    work.op = op;
    work.offset = slot * sendBufferBytes + offset;
    work.length = length;
    work.request++;
    work.checksum = -1;
    this.#underWay++;
    const delayNs = this.#parts.faults.completionDelayNs();
    if (delayNs === 0) this.#attempt(slot);
    else {
      if (op === SenderOp.send) work.checksum = this.#checksum(work);
      this.#later(slot, delayNs);
    }
  }

  #refusal(
    work: SlotWork | undefined,
    op: number,
    generation: number,
    offset: number,
    length: number,
  ): number {
    if (op !== SenderOp.send && op !== SenderOp.poll) return -EINVAL;
    if (work === undefined || work.socket === null || work.closing || work.generation !== (generation | 0)) {
      return -EBADF;
    }
    if (op === SenderOp.send && offset + length > sendBufferBytes) return -EFAULT;
    return work.op === 0 ? 0 : -EBUSY;
  }

  #later(slot: number, delayNs: number): void {
    const work = this.#work[slot];
    const { request } = work;
    this.#timeline.after(delayNs, () => {
      if (work.request === request && work.op !== 0 && !work.closing) this.#attempt(slot);
    });
  }

  /** Does what is under way, if the socket lets it. */
  #attempt(slot: number): void {
    const work = this.#work[slot];
    const socket = work.socket as SimulatedSocket;
    if (work.op === SenderOp.poll) {
      if (socket.writable) this.#answer(slot, pollOut);
      else this.#watch(slot);
      return;
    }
    const { faults, whenFull } = this.#parts;
    const forced = socket.failed ? null : faults.sendResult(slot);
    if (forced !== null) {
      this.#answer(slot, forced);
      return;
    }
    this.#checkUnchanged(slot);
    const value = socket.send(this.#arena, work.offset, faults.sendLimit(work.length));
    if (value !== -EAGAIN || whenFull === 'refuse') this.#answer(slot, value);
    else {
      if (work.checksum < 0) work.checksum = this.#checksum(work);
      this.#watch(slot);
    }
  }

  #watch(slot: number): void {
    const work = this.#work[slot];
    const { request } = work;
    work.socket?.whenWritable(() => {
      if (work.request === request && work.op !== 0 && !work.closing) this.#attempt(slot);
    });
  }

  /** The kernel reads when it sends, which may be long after it was asked to. */
  #checkUnchanged(slot: number): void {
    const work = this.#work[slot];
    if (work.checksum < 0 || work.checksum === this.#checksum(work)) return;
    this.#parts.faults.violated('I07', `bytes of slot ${slot} were changed while the kernel had them`);
  }

  #checksum({ offset, length }: SlotWork): number {
    let sum = length;
    for (let at = offset; at < offset + length; at++) sum = (Math.imul(sum, 31) + this.#arena[at]) | 0;
    return sum >>> 0;
  }

  #answer(slot: number, value: number): void {
    const work = this.#work[slot];
    const { op } = work;
    work.op = 0;
    this.#underWay--;
    this.#parts.observer?.answered(op, slot, value);
    this.#result(op, slot, work.generation, value);
  }

  #result(op: number, slot: number, generation: number, value: number): void {
    const ready = this.#ready;
    const row = [0, 0, 0, 0];
    row[ResultWord.op] = op;
    row[ResultWord.slot] = slot;
    row[ResultWord.generation] = generation;
    row[ResultWord.value] = value;
    // A slot's last result comes after all others of it.
    const place = op === SenderOp.closed ? ready.length : this.#parts.faults.resultPlace(ready.length);
    if (place >= ready.length) ready.push(row);
    else ready.splice(place, 0, row);
  }

  #collect(): number {
    const ready = this.#ready;
    const rows = this.results.length / resultWords;
    const count = Math.min(ready.length, rows);
    for (let i = 0; i < count; i++) {
      const row = ready[i];
      const at = i * resultWords;
      this.results[at] = row[0];
      this.results[at + 1] = row[1];
      this.results[at + 2] = row[2];
      this.results[at + 3] = row[3];
    }
    const more = ready.length > count;
    if (more) {
      ready.splice(0, count);
      this.state[SenderState.overflows]++;
    } else ready.length = 0;
    this.state[SenderState.more] = more ? 1 : 0;
    return count;
  }

  #cancelQueued(): void {
    const queue = this.#queue;
    for (let at = 0; at < queue.length; at += requestWords) {
      this.#result(
        queue[at + RequestWord.op],
        queue[at + RequestWord.slot],
        queue[at + RequestWord.generation] | 0,
        -ECANCELED,
      );
    }
    queue.length = 0;
  }

  #isQueued(slot: number): boolean {
    const queue = this.#queue;
    for (let at = 0; at < queue.length; at += requestWords) {
      if (queue[at + RequestWord.slot] === slot) return true;
    }
    return false;
  }

  #forgetQueued(slot: number): void {
    const queue = this.#queue;
    for (let at = queue.length - requestWords; at >= 0; at -= requestWords) {
      if (queue[at + RequestWord.slot] !== slot) continue;
      this.#result(queue[at + RequestWord.op], slot, queue[at + RequestWord.generation] | 0, -ECANCELED);
      queue.splice(at, requestWords);
    }
  }
}
