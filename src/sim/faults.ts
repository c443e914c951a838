import { constants } from 'node:os';
import { SimulationFailure } from './failure.js';
import type { KernelFaults } from './kernel/kernel-faults.js';
import type { Random } from './random.js';

const { EAGAIN, EBUSY, EINTR, EINVAL } = constants.errno;

/** Everything that can go wrong in a run, and what it means. */
export const faults = {
  'short-send': 'the kernel takes part of a send',
  blocked: 'the kernel takes nothing for now, though the peer reads',
  'zero-window': 'a peer stops reading for good',
  trickle: 'a peer reads a few bytes at a time',
  'slow-reader': 'a peer reads too slowly for what it is sent, or stops for a while',
  reset: 'a peer resets its connection',
  'broken-pipe': 'a peer goes away; sends fail with other errors than a reset',
  'result-zero': 'sends report that nothing was sent, for a while or for good',
  'eintr-before': 'a submission is interrupted before the kernel has taken it',
  'eintr-after': 'a submission is interrupted after the kernel has taken it',
  'submit-eagain': 'the kernel is short of memory for a submission',
  'submit-ebusy': 'the kernel takes no submission before its completions are reaped',
  'submit-fatal': 'the kernel refuses the ring itself',
  'small-ring': 'the submission ring is smaller than the number of connections',
  'completion-overflow': 'more completions come than are collected at once',
  'reordered-results': 'results come in another order',
  'late-completion': 'requests are answered late, also after their connection was dropped',
  'delayed-cancel': 'the kernel lets go of a slot late',
  'fd-reuse': 'descriptor numbers are used again at once',
  'ring-full': 'the producer finds the output ring full',
  'encoder-throws': 'the encoder throws, or says that it wrote more than it may',
  'oversize-frame': 'a payload is larger than a slot of the ring',
  'corrupt-mode': 'a mode byte that means nothing',
  'mode-swap': 'the durability mode is changed',
  fence: 'a later primary takes over',
  shutdown: 'the stage is closed at some moment',
  exit: 'the process ends while the stage is running',
  'clock-jump': 'the clock jumps forward',
  'stage-pause': 'the stage does not run for a while',
  'torn-cursor': 'a cursor changes while it is read, or is read while it changes',
  'control-full': 'the control ring is full',
  'journal-stall': 'a sync takes long',
  'journal-error': 'a sync fails and is done again',
  'replica-flap': 'a replica disconnects and comes back',
  'replica-behind': 'a replica comes back with less than it had',
  'replica-lost': 'a replica is gone for a long time',
  'foreign-tail': 'a replica comes back with a tail from another history',
  churn: 'connections come and go',
  burst: 'many answers at once',
  'large-batch': 'answers as large as they may be',
  'frame-lost': 'a cursor frame is lost',
  'frame-late': 'a cursor frame comes much later, also after its node has died or begun anew',
  'frame-doubled': 'a cursor frame comes twice, also long after',
  'frame-stale': 'frames of an earlier life of a node come after those of its present one',
  'frame-backward': 'a cursor frame says less than an earlier one of the same life',
  'node-frozen': 'a node says nothing for longer than it may, while its machine goes on or has died',
} as const;

/** Name of a fault; `faults` says what happens with it. */
export type Fault = keyof typeof faults;
/** Every fault, in the order of `faults`. */
export const faultNames = Object.keys(faults) as readonly Fault[];

/** Those of nodes that tell their cursors by frames. */
export const frameFaults: readonly Fault[] = [
  'frame-lost',
  'frame-late',
  'frame-doubled',
  'frame-stale',
  'frame-backward',
  'node-frozen',
];

/** How much of each fault, 0 … 1; one that is missing does not happen. */
export type FaultRates = Partial<Record<Fault, number>>;

/** Decides when faults happen and counts them. Once it is calmed nothing goes wrong any more. */
export class FaultBox implements KernelFaults {
  /** How often each fault has happened. */
  readonly fired: Partial<Record<Fault, number>> = {};
  readonly #rates: FaultRates;
  readonly #random: Random;
  readonly #zeroUntil: Float64Array;
  readonly #nowNs: () => number;
  readonly #quick: boolean;
  #calm = false;

  constructor(rates: FaultRates, random: Random, slots: number, nowNs: () => number) {
    this.#rates = rates;
    this.#random = random;
    this.#nowNs = nowNs;
    this.#zeroUntil = new Float64Array(slots);
    this.#quick = !kernelFaults.some((fault) => (rates[fault] ?? 0) > 0);
  }

  get calm(): boolean {
    return this.#calm;
  }

  has(fault: Fault): boolean {
    return !this.#calm && (this.#rates[fault] ?? 0) > 0;
  }

  /** Whether it happens now: with its rate times `scale`. */
  strikes(fault: Fault, scale = 1): boolean {
    const rate = this.#rates[fault] ?? 0;
    if (rate === 0 || this.#calm || !this.#random.chance(rate * scale)) return false;
    this.count(fault);
    return true;
  }

  count(fault: Fault): void {
    this.counted(fault, 1);
  }

  /** It has happened so often, if it may happen at all: somebody else has counted. */
  counted(fault: Fault, times: number): void {
    if (times > 0 && this.#rates[fault] !== undefined) this.fired[fault] = (this.fired[fault] ?? 0) + times;
  }

  stop(): void {
    this.#calm = true;
    this.#zeroUntil.fill(0);
  }

  sendLimit(length: number): number {
    if (this.#quick || length < 2 || !this.strikes('short-send')) return length;
    return this.#random.between(1, length - 1);
  }

  sendResult(slot: number): number | null {
    if (this.#quick || this.#calm) return null;
    if (this.#zeroUntil[slot] > this.#nowNs()) return 0;
    if (this.strikes('result-zero', 0.3)) {
      // Mostly for a moment; sometimes for longer than any client may be blocked.
      const ns = this.#random.chance(0.4) ? 1e10 : this.#random.exponential(2e6);
      this.#zeroUntil[slot] = this.#nowNs() + ns;
      return 0;
    }
    if (this.strikes('blocked')) return -EAGAIN;
    return null;
  }

  /** A new connection has a kernel of its own. */
  opened(slot: number): void {
    this.#zeroUntil[slot] = 0;
  }

  completionDelayNs(): number {
    if (this.#quick || !this.strikes('late-completion')) return 0;
    return Math.ceil(this.#random.exponential(this.#random.chance(0.1) ? 2e7 : 1e5));
  }

  cancelDelayNs(): number {
    if (this.#quick || !this.strikes('delayed-cancel')) return 0;
    return Math.ceil(this.#random.exponential(5e6));
  }

  submission(count: number): { taken: number; errno: number; hidden: boolean } | null {
    if (this.#quick || this.#calm) return null;
    if (this.strikes('eintr-before'))
      return { taken: this.#random.below(count), errno: EINTR, hidden: false };
    if (this.strikes('eintr-after')) return { taken: count, errno: EINTR, hidden: true };
    if (this.strikes('submit-eagain')) {
      return { taken: this.#random.below(count), errno: EAGAIN, hidden: false };
    }
    if (this.strikes('submit-ebusy')) return { taken: 0, errno: EBUSY, hidden: false };
    if (this.strikes('submit-fatal', 0.01)) {
      return { taken: this.#random.below(count), errno: EINVAL, hidden: false };
    }
    return null;
  }

  resultPlace(count: number): number {
    if (this.#quick || count === 0 || !this.strikes('reordered-results')) return count;
    return this.#random.below(count);
  }

  violated(invariant: SimulationFailure['invariant'], message: string): never {
    throw new SimulationFailure(invariant, message);
  }
}

/** Those that strike between a sender and its kernel. */
const kernelFaults: readonly Fault[] = [
  'short-send',
  'blocked',
  'result-zero',
  'late-completion',
  'delayed-cancel',
  'eintr-before',
  'eintr-after',
  'submit-eagain',
  'submit-ebusy',
  'submit-fatal',
  'reordered-results',
];
