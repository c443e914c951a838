import { constants } from 'node:os';
import { SenderOp, sendBufferBytes } from '../../egress/sender.js';
import type { Timeline } from '../timeline.js';
import type { KernelFaults } from './kernel-faults.js';
import { ResultQueue } from './result-queue.js';
import type { SenderObserver, SimulatedSenderParts } from './sender-parts.js';
import { At, Life, SlotWork } from './slot-work.js';
import type { SimulatedSocket } from './socket.js';

const { EAGAIN, ECANCELED } = constants.errno;

/** What happens to requests once they were handed over. */
export class SimulatedKernel {
  readonly works: readonly SlotWork[];
  readonly results = new ResultQueue();
  /** Closing slots that it holds nothing of any more. */
  readonly released: number[] = [];
  /** Requests that it has and has not answered. */
  underWay = 0;
  readonly #timeline: Timeline;
  readonly #arena: Uint8Array;
  readonly #faults: KernelFaults;
  readonly #observer: SenderObserver | undefined;
  readonly #waits: boolean;

  constructor(parts: SimulatedSenderParts) {
    this.#timeline = parts.timeline;
    this.#arena = parts.arena;
    this.#faults = parts.faults;
    this.#observer = parts.observer;
    this.#waits = parts.whenFull === 'wait';
    this.works = Array.from({ length: parts.slots }, (_, slot) => new SlotWork(() => this.#look(slot)));
  }

  takeSend(slot: number): void {
    const work = this.works[slot];
    this.#observer?.submitted(SenderOp.send, slot, work.offset - slot * sendBufferBytes, work.length);
    this.underWay++;
    const delayNs = this.#waits ? this.#faults.completionDelayNs() : 0;
    if (delayNs === 0) this.#attemptSend(slot, work);
    else {
      work.send = At.delayed;
      work.guard(this.#arena);
      this.#later(work, delayNs, () => this.#attemptSend(slot, work));
    }
  }

  takePoll(slot: number): void {
    const work = this.works[slot];
    this.#observer?.submitted(SenderOp.poll, slot, 0, 0);
    this.underWay++;
    const delayNs = this.#waits ? this.#faults.completionDelayNs() : 0;
    if (delayNs === 0) this.#attemptPoll(slot, work);
    else {
      work.poll = At.delayed;
      this.#later(work, delayNs, () => this.#attemptPoll(slot, work));
    }
  }

  /** Answers what it has of a slot whose connection was ended, at once or later, and lets go of it. */
  cancel(slot: number): void {
    const work = this.works[slot];
    work.ticket++;
    (work.socket as SimulatedSocket).unwatch();
    const letGo = () => {
      this.#checkUnchanged(slot, work);
      if (work.send !== At.nowhere) this.#answerSend(slot, work, -ECANCELED);
      if (work.poll !== At.nowhere) this.#answerPoll(slot, work, -ECANCELED);
      this.released.push(slot);
    };
    const delayNs = this.#waits ? this.#faults.cancelDelayNs() : 0;
    if (delayNs === 0) letGo();
    else this.#timeline.after(delayNs, letGo);
  }

  #later(work: SlotWork, delayNs: number, attempt: () => void): void {
    const { ticket } = work;
    this.#timeline.after(delayNs, () => {
      if (work.ticket === ticket) attempt();
    });
  }

  /** The socket may have room again. */
  #look(slot: number): void {
    const work = this.works[slot];
    if (work.life !== Life.open) return;
    if (work.send === At.socket) this.#attemptSend(slot, work);
    if (work.poll === At.socket) this.#attemptPoll(slot, work);
  }

  #attemptSend(slot: number, work: SlotWork): void {
    const socket = work.socket as SimulatedSocket;
    this.#checkUnchanged(slot, work);
    const forced = socket.failed ? null : this.#faults.sendResult(slot);
    if (forced !== null) {
      this.#answerSend(slot, work, forced);
      return;
    }
    const value = socket.send(this.#arena, work.offset, this.#faults.sendLimit(work.length));
    if (value !== -EAGAIN || !this.#waits) {
      this.#answerSend(slot, work, value);
      return;
    }
    work.send = At.socket;
    work.guard(this.#arena);
    socket.whenWritable(work.onWritable);
  }

  #attemptPoll(slot: number, work: SlotWork): void {
    const socket = work.socket as SimulatedSocket;
    if (socket.writable) this.#answerPoll(slot, work, socket.pollEvents);
    else {
      work.poll = At.socket;
      socket.whenWritable(work.onWritable);
    }
  }

  #answerSend(slot: number, work: SlotWork, value: number): void {
    if (value > 0) work.cutShort = value !== work.length;
    work.endSend();
    this.#answer(SenderOp.send, slot, work.generation, value);
  }

  #answerPoll(slot: number, work: SlotWork, value: number): void {
    work.poll = At.nowhere;
    this.#answer(SenderOp.poll, slot, work.generation, value);
  }

  #answer(op: number, slot: number, generation: number, value: number): void {
    this.underWay--;
    this.#observer?.answered(op, slot, value);
    const { size } = this.results;
    this.results.insert(this.#faults.resultPlace(size), op, slot, generation, value);
  }

  /** It reads when it sends, which may be long after it was asked to. */
  #checkUnchanged(slot: number, work: SlotWork): void {
    const at = work.firstChange(this.#arena);
    if (at < 0) return;
    this.#faults.violated(
      'I07',
      `byte ${at - slot * sendBufferBytes} of slot ${slot} was changed while the kernel had it`,
    );
  }
}
