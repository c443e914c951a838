import type { OrderList } from './own-order.js';
import { type RejectReason, type Request, RequestTag } from './protocol.js';

/** A request that was sent and not wholly answered. */
export interface Outstanding {
  readonly request: Request;
  /** When it should have been sent, in milliseconds; latency counts from here. */
  readonly intendedAtMs: number;
  /** It is wrong on purpose, and to be rejected for this reason. */
  readonly mustFailFor: RejectReason | null;
  answered: boolean;
  /** Why it was rejected, if it was. */
  rejectedFor: number | null;
  /** In an answer to a request for all open orders. */
  list: OrderList | null;
}

/** The requests that were sent and not wholly answered, in the order in which answers must come. */
export class OutstandingRequests {
  readonly #requests: Outstanding[] = [];
  #head = 0;

  get count(): number {
    return this.#requests.length - this.#head;
  }

  get oldest(): Outstanding | undefined {
    return this.#requests[this.#head];
  }

  add(request: Request, intendedAtMs: number, mustFailFor: RejectReason | null): void {
    const unanswered = { answered: false, rejectedFor: null, list: null };
    this.#requests.push({ request, intendedAtMs, mustFailFor, ...unanswered });
  }

  /** The oldest with this id, or null. Those before it are given up: their answers were lost. */
  answeredBy(requestId: number, givenUp: (lost: Outstanding) => void): Outstanding | null {
    for (let i = this.#head; i < this.#requests.length; i++) {
      const { request } = this.#requests[i];
      if ((request.tag === RequestTag.logon ? 0 : request.requestId) !== requestId) continue;
      while (this.#head < i) givenUp(this.#requests[this.#head++]);
      return this.#requests[i];
    }
    return null;
  }

  removeOldest(): void {
    this.#head++;
    if (this.#head === this.#requests.length) {
      this.clear();
    } else if (this.#head >= 4096) {
      this.#requests.splice(0, this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#requests.length = this.#head = 0;
  }
}
