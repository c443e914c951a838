import {
  RequestWord,
  ResultWord,
  requestWords,
  resultWords,
  type Sender,
  SenderOp,
  SenderState,
  senderStateWords,
} from '../../egress/sender.js';
import type { Distribution } from '../distributions.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';

export interface PromptSenderParts {
  timeline: Timeline;
  random: Random;
  slots: number;
  /** What a native call with requests costs. */
  send: Distribution;
  /** From being woken to going on. */
  wake: Distribution;
  /** The kernel has taken these many bytes more of the slot. */
  onTaken: (slot: number, bytes: number) => void;
}

/**
 * A kernel whose sockets always have room: what-if runs ask how long acknowledgements take, not what clients that don't
 * read do. Calls and sleeps take drawn times, during which the rest of the world goes on.
 */
export class PromptSender implements Sender {
  readonly backend = 'simulated';
  readonly features: readonly string[] = [];
  readonly requests: Uint32Array;
  readonly results: Int32Array;
  readonly state = new Int32Array(senderStateWords);
  readonly #parts: PromptSenderParts;
  #woken = false;

  constructor(parts: PromptSenderParts) {
    this.#parts = parts;
    this.requests = new Uint32Array(2 * parts.slots * requestWords);
    this.results = new Int32Array((2 * parts.slots + 1) * resultWords);
  }

  open(): number {
    return 0;
  }

  flush(count: number): number {
    const { timeline, random, send, onTaken } = this.#parts;
    const { requests, results } = this;
    if (count > 0) timeline.spend(Math.round(send.sampleNs(random)));
    for (let i = 0; i < count; i++) {
      const from = i * requestWords;
      const to = i * resultWords;
      const isSend = requests[from + RequestWord.op] === SenderOp.send;
      const value = isSend ? requests[from + RequestWord.length] : 0;
      results[to + ResultWord.op] = requests[from + RequestWord.op];
      results[to + ResultWord.slot] = requests[from + RequestWord.slot];
      results[to + ResultWord.generation] = requests[from + RequestWord.generation];
      results[to + ResultWord.value] = value;
      if (isSend) onTaken(requests[from + RequestWord.slot], value);
    }
    return count;
  }

  reap(): number {
    this.state[SenderState.more] = 0;
    return 0;
  }

  close(): void {}

  queuedBytes(): number {
    return 0;
  }

  releasePages(): void {}

  park(timeoutMs: number): void {
    const { timeline, random, wake } = this.#parts;
    const deadlineNs = timeline.nowNs + timeoutMs * 1e6;
    while (!this.#woken && timeline.nextNs <= deadlineNs) timeline.runNext();
    if (this.#woken) {
      this.#woken = false;
      timeline.spend(Math.round(wake.sampleNs(random)));
    } else {
      timeline.run(deadlineNs);
    }
  }

  /** What writing the wake descriptor does. */
  wake(): void {
    this.#woken = true;
  }

  destroy(): number {
    return 0;
  }
}
