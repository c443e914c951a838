import type { Ledger } from './ledger.js';
import { marketPrice, Side } from './order-book.js';
import { type Request, RequestTag } from './protocol.js';

/** More orders out than this and a client cancels before it places another: the book stays bounded. */
const restingMax = 24;
const middlePrice = 10_000;
const orderQuantityMax = 100;

/** A seeded generator of uniform numbers in [0, 1): xorshift, 32 bits of state. */
export function randomFrom(seed: number): () => number {
  // A zero state would stay zero; mixing keeps neighbouring seeds apart.
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}

/** Draws one client's requests: mostly limit orders around one price, some market orders, cancels and queries. */
export class OrderMix {
  readonly #random: () => number;
  readonly #ledger: Ledger;
  /** Limit orders that were placed and not cancelled yet, oldest first. Some may be filled by now. */
  readonly #resting: number[] = [];

  constructor(seed: number, ledger: Ledger) {
    this.#random = randomFrom(seed);
    this.#ledger = ledger;
  }

  next(): Request {
    const requestId = this.#ledger.nextRequestId;
    const draw = this.#random();
    this.#dropClosed();
    const [oldest] = this.#resting;
    if (oldest !== undefined && (draw < 0.22 || this.#resting.length > restingMax)) {
      this.#resting.shift();
      return { tag: RequestTag.cancel, requestId, target: oldest };
    }
    if (oldest !== undefined && draw < 0.27) return { tag: RequestTag.query, requestId, target: oldest };
    const side = this.#random() < 0.5 ? Side.buy : Side.sell;
    const quantity = 1 + Math.floor(this.#random() * orderQuantityMax);
    if (draw > 0.92) return { tag: RequestTag.market, requestId, side, price: marketPrice, quantity };
    // About a third of the limit orders reach over the middle and find somebody.
    const away = Math.floor((this.#random() + this.#random()) * 20) - 12;
    const price = middlePrice + (side === Side.buy ? -away : away);
    this.#resting.push(requestId);
    return { tag: RequestTag.limit, requestId, side, price, quantity };
  }

  /** The client has logged on again: cancels that were under way may be lost, so all that may be open counts anew. */
  resume(): void {
    this.#resting.length = 0;
    for (const requestId of this.#ledger.open.keys()) this.#resting.push(requestId);
  }

  #dropClosed(): void {
    while (this.#resting.length > 0 && !this.#ledger.open.has(this.#resting[0])) this.#resting.shift();
  }
}
