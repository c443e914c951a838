import { constants } from 'node:os';
import {
  CloseHow,
  parkMsMax,
  RequestWord,
  requestWords,
  resultWords,
  type Sender,
  SenderOp,
  SenderState,
  sendBufferBytes,
  senderStateWords,
} from '../../egress/sender.js';
import type { Invariant } from '../failure.js';
import type { Timeline } from '../timeline.js';
import type { ResultQueue } from './result-queue.js';
import type { Misuse, SimulatedSenderParts } from './sender-parts.js';
import { SimulatedKernel } from './simulated-kernel.js';
import { At, Life, refusal, type SlotWork } from './slot-work.js';
import type { SimulatedSocket } from './socket.js';
import { WaitingRequests } from './waiting-requests.js';

const { EBADF, EBUSY, ECANCELED, EINVAL } = constants.errno;
/** Node does not name it. */
const ESHUTDOWN = 108;
const pageBytes = 4096;
/** Sleep while requests wait that the kernel refused: nothing tells when it will take them. */
const refusedParkMs = 1;

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
  readonly #kernel: SimulatedKernel;
  readonly #works: readonly SlotWork[];
  readonly #ready: ResultQueue;
  readonly #queue: WaitingRequests;
  readonly #waits: boolean;
  /** Submissions that took no more than the ring has entries for. */
  fullRings = 0;
  readonly #ringEntries: number;
  readonly #callNs: number;
  readonly #requestNs: number;
  #openSlots = 0;
  #submitErrno = 0;
  #woken = false;
  #destroyed = false;
  /** Results wait although a submission was interrupted: they show at the next call. */
  #hidden = false;

  constructor(parts: SimulatedSenderParts) {
    const { slots, ringEntries = 4096, resultRows = Math.max(4 * slots, 1024) } = parts;
    this.#parts = parts;
    this.#timeline = parts.timeline;
    this.#waits = parts.whenFull === 'wait';
    this.features = [parts.whenFull];
    this.requests = new Uint32Array(2 * slots * requestWords);
    this.results = new Int32Array(resultRows * resultWords);
    this.#kernel = new SimulatedKernel(parts);
    this.#works = this.#kernel.works;
    this.#ready = this.#kernel.results;
    this.#queue = new WaitingRequests(2 * slots);
    this.#ringEntries = ringEntries;
    this.#callNs = parts.callNs ?? 700;
    this.#requestNs = parts.requestNs ?? 150;
  }

  /** Slots that hold a socket, open or closing. */
  get openSlots(): number {
    return this.#openSlots;
  }

  /** Whether the kernel, or the queue in front of it, has a request of the slot. */
  isBusy(slot: number): boolean {
    return this.#works[slot].busy;
  }

  /** The socket of a slot that is open or closing. */
  socket(slot: number): SimulatedSocket | null {
    return this.#works[slot].socket;
  }

  open(slot: number, generation: number, fd: number): number {
    this.#spend(0);
    const socket = this.#parts.socketOf(fd);
    if (socket === undefined || socket.closed) return -EBADF;
    const work = this.#works[slot];
    const refused = this.#openRefusal(slot, work);
    if (refused !== 0) {
      socket.closed = true;
      return refused;
    }
    work.open(socket, generation >>> 0);
    this.#openSlots++;
    return 0;
  }

  flush(count: number): number {
    if (this.#destroyed) return 0;
    const handed = Math.min(count, this.requests.length / requestWords);
    if (handed > 0 && this.#fenced) {
      this.#misused('fenced', 'I10', `${handed} requests were handed over behind a fence`);
    }
    this.#spend(handed);
    const cancels = !this.#waits && handed > 0 && this.#fenced;
    for (let at = 0; at < handed * requestWords; at += requestWords) this.#accept(at, cancels);
    this.#submit();
    this.#finishClosing();
    return this.#collect();
  }

  reap(): number {
    return this.flush(0);
  }

  close(slot: number, how: number): void {
    const work = this.#works[slot];
    if (this.#destroyed || work === undefined || work.life !== Life.open) return;
    this.#spend(0);
    this.#parts.observer?.closing(slot, how, work.busy);
    work.life = Life.closing;
    if (work.send === At.queue || work.poll === At.queue) this.#cancelQueued(slot);
    const socket = work.socket as SimulatedSocket;
    if (how === CloseHow.orderly) socket.endWrites();
    else socket.reset();
    this.#kernel.cancel(slot);
  }

  queuedBytes(slot: number): number {
    const work = this.#works[slot];
    this.#spend(0);
    if (this.#destroyed || work === undefined || work.life !== Life.open) return -EBADF;
    const socket = work.socket as SimulatedSocket;
    socket.settle();
    return socket.queued;
  }

  releasePages(slot: number): void {
    const work = this.#works[slot];
    if (this.#destroyed || work === undefined) return;
    this.#spend(0);
    if (work.busy) {
      this.#misused('pages-in-use', 'I07', `pages of slot ${slot} were given back while in use`);
      return;
    }
    this.#parts.arena.fill(0, slot * sendBufferBytes + pageBytes, (slot + 1) * sendBufferBytes);
  }

  park(timeoutMs: number): void {
    if (this.#destroyed) return;
    this.#submit();
    this.#finishClosing();
    const longestMs = this.#queue.size > 0 ? refusedParkMs : parkMsMax;
    const deadlineNs = this.#timeline.nowNs + (timeoutMs > 0 ? Math.min(timeoutMs, longestMs) : 0) * 1e6;
    while (!this.#roused && this.#timeline.nextNs <= deadlineNs) this.#timeline.runNext();
    if (!this.#roused) this.#timeline.run(deadlineNs);
    this.#finishClosing();
    this.#woken = false;
    this.#publishState();
  }

  /** What writing the wake descriptor does. */
  wake(): void {
    this.#woken = true;
  }

  destroy(deadlineMs: number): number {
    if (this.#destroyed) return this.#openSlots;
    for (let slot = 0; slot < this.#works.length; slot++) {
      const work = this.#works[slot];
      // A clean end inside a frame would lie, and a blocked peer would keep what is queued for it.
      this.close(slot, work.busy || work.cutShort ? CloseHow.reset : CloseHow.orderly);
    }
    this.#destroyed = true;
    const deadlineNs = this.#timeline.nowNs + Math.max(deadlineMs, 0) * 1e6;
    this.#finishClosing();
    // Nothing else goes on while a thread stands still: then the kernel has to be left with what it holds.
    const { frozen } = this.#timeline;
    while (frozen === 0 && this.#openSlots > 0 && this.#timeline.nextNs <= deadlineNs) {
      this.#timeline.runNext();
      this.#finishClosing();
    }
    if (frozen === 0 && this.#openSlots > 0) this.#timeline.run(deadlineNs);
    for (const { socket } of this.#works) if (socket !== null) socket.closed = true;
    this.#ready.clear();
    this.#publishState();
    return this.#openSlots;
  }

  get #fenced(): boolean {
    return Atomics.load(this.#parts.fence, 0) !== 0;
  }

  /** Is there a reason not to sleep? */
  get #roused(): boolean {
    return this.#woken || this.#ready.size > 0 || this.#kernel.released.length > 0;
  }

  /** Time passes in every call, and with it the rest of the world goes on. */
  #spend(requests: number): void {
    this.calls++;
    this.#parts.observer?.called();
    this.#timeline.spend(this.#callNs + requests * this.#requestNs);
  }

  /** What must not be asked; returns only where it may be all the same. */
  #misused(misuse: Misuse, invariant: Invariant, message: string): void {
    if (this.#parts.tolerates?.(misuse) !== true) this.#parts.faults.violated(invariant, message);
  }

  #openRefusal(slot: number, work: SlotWork | undefined): number {
    if (this.#destroyed) return -ESHUTDOWN;
    if (work === undefined) return -EINVAL;
    if (work.life === Life.free) return 0;
    this.#misused('slot-taken', 'I06', `slot ${slot} was opened before it was free`);
    return -EBUSY;
  }

  #accept(at: number, cancels: boolean): void {
    const { requests } = this;
    const op = requests[at + RequestWord.op];
    const slot = requests[at + RequestWord.slot];
    const generation = requests[at + RequestWord.generation];
    const offset = requests[at + RequestWord.offset];
    const length = requests[at + RequestWord.length];
    const refused = refusal(this.#works[slot], op, generation, offset, length) || (cancels ? -ECANCELED : 0);
    if (refused !== 0) {
      this.#ready.push(op, slot, generation, refused);
      return;
    }
    const work = this.#works[slot];
    if (op === SenderOp.send) {
      work.send = At.queue;
      work.offset = slot * sendBufferBytes + offset;
      work.length = length;
    } else work.poll = At.queue;
    if (this.#waits) this.#queue.push(op, slot);
    else this.#take(op, slot);
  }

  /** Hands over what is queued, a ring at a time. */
  #submit(): void {
    const queue = this.#queue;
    this.#submitErrno = 0;
    while (queue.size > 0) {
      if (this.#fenced) {
        this.#cancelQueued(-1);
        return;
      }
      const count = Math.min(this.#ringEntries, queue.size);
      if (count < queue.size) this.fullRings++;
      const stop = this.#parts.faults.submission(count);
      const taken = stop === null ? count : Math.min(stop.taken, count);
      for (let i = 0; i < taken; i++) {
        this.#take(queue.firstOp, queue.firstSlot);
        queue.shift();
      }
      if (stop !== null) {
        this.#submitErrno = stop.errno;
        this.#hidden = stop.hidden;
        this.#guardQueued();
        return;
      }
    }
  }

  #take(op: number, slot: number): void {
    if (op === SenderOp.send) this.#kernel.takeSend(slot);
    else this.#kernel.takePoll(slot);
  }

  /** What stays queued is read later than the stage may think. */
  #guardQueued(): void {
    this.#queue.each((op, slot) => {
      if (op === SenderOp.send) this.#works[slot].guard(this.#parts.arena);
    });
  }

  /** Answers what the kernel has not taken, of a slot or of all (-1). */
  #cancelQueued(which: number): void {
    this.#queue.remove(which, (op, slot) => {
      const work = this.#works[slot];
      if (op === SenderOp.send) work.endSend();
      else work.poll = At.nowhere;
      this.#ready.push(op, slot, work.generation, -ECANCELED);
    });
  }

  /** Frees the slots that the kernel has let go of: the last that is heard of them. */
  #finishClosing(): void {
    const { released } = this.#kernel;
    if (released.length === 0) return;
    for (const slot of released) {
      const work = this.#works[slot];
      (work.socket as SimulatedSocket).closed = true;
      work.socket = null;
      work.life = Life.free;
      this.#openSlots--;
      this.#ready.push(SenderOp.closed, slot, work.generation, 0);
    }
    released.length = 0;
  }

  #collect(): number {
    const hidden = this.#hidden;
    this.#hidden = false;
    const count = hidden ? 0 : this.#ready.moveInto(this.results);
    const left = !hidden && this.#ready.size > 0;
    if (left) this.state[SenderState.overflows]++;
    this.#publishState();
    this.state[SenderState.more] = left ? 1 : 0;
    return count;
  }

  #publishState(): void {
    const { state } = this;
    state[SenderState.submitErrno] = this.#submitErrno;
    state[SenderState.unsubmitted] = this.#queue.size;
    state[SenderState.underWay] = this.#kernel.underWay;
    state[SenderState.more] = this.#ready.size > 0 ? 1 : 0;
  }
}
