import { SenderOp } from '../../egress/sender.js';

/** Requests that were accepted and not yet handed to the kernel, in order. A slot has at most a send and a poll. */
export class WaitingRequests {
  /** Twice the slot; one more for a poll. */
  readonly #items: Uint32Array;
  #head = 0;
  #tail = 0;

  constructor(capacity: number) {
    this.#items = new Uint32Array(capacity);
  }

  get size(): number {
    return this.#tail - this.#head;
  }

  get firstOp(): number {
    return opOf(this.#items[this.#head]);
  }

  get firstSlot(): number {
    return this.#items[this.#head] >>> 1;
  }

  push(op: number, slot: number): void {
    if (this.#tail === this.#items.length) {
      this.#items.copyWithin(0, this.#head, this.#tail);
      this.#tail -= this.#head;
      this.#head = 0;
    }
    this.#items[this.#tail++] = slot * 2 + (op === SenderOp.poll ? 1 : 0);
  }

  shift(): void {
    this.#head++;
    if (this.#head === this.#tail) {
      this.#head = 0;
      this.#tail = 0;
    }
  }

  each(visit: (op: number, slot: number) => void): void {
    for (let at = this.#head; at < this.#tail; at++) visit(opOf(this.#items[at]), this.#items[at] >>> 1);
  }

  /** Takes out those of a slot, or all of them (-1). */
  remove(slot: number, removed: (op: number, slot: number) => void): void {
    let kept = this.#head;
    for (let at = this.#head; at < this.#tail; at++) {
      const item = this.#items[at];
      if (slot === -1 || item >>> 1 === slot) removed(opOf(item), item >>> 1);
      else this.#items[kept++] = item;
    }
    this.#tail = kept;
  }
}

function opOf(item: number): number {
  return (item & 1) === 0 ? SenderOp.send : SenderOp.poll;
}
