import { ResultWord, resultWords } from '../../egress/sender.js';

const rowsAtFirst = 64;

/** Results on their way to the stage. */
export class ResultQueue {
  #words = new Int32Array(rowsAtFirst * resultWords);
  #head = 0;
  #tail = 0;

  get size(): number {
    return this.#tail - this.#head;
  }

  push(op: number, slot: number, generation: number, value: number): void {
    this.insert(this.#tail - this.#head, op, slot, generation, value);
  }

  /** `place`: how many of those that wait come before it. */
  insert(place: number, op: number, slot: number, generation: number, value: number): void {
    if (this.#tail * resultWords === this.#words.length) this.#makeRoom();
    const at = (this.#head + place) * resultWords;
    const end = this.#tail * resultWords;
    if (at < end) this.#words.copyWithin(at + resultWords, at, end);
    this.#words[at + ResultWord.op] = op;
    this.#words[at + ResultWord.slot] = slot;
    this.#words[at + ResultWord.generation] = generation;
    this.#words[at + ResultWord.value] = value;
    this.#tail++;
  }

  /** Moves as many as fit into a table. Returns how many. */
  moveInto(table: Int32Array): number {
    const count = Math.min(this.size, Math.floor(table.length / resultWords));
    const from = this.#head * resultWords;
    // Mostly a few: a loop is faster than a view and a copy.
    for (let i = 0; i < count * resultWords; i++) table[i] = this.#words[from + i];
    this.#head += count;
    if (this.#head === this.#tail) this.clear();
    return count;
  }

  clear(): void {
    this.#head = 0;
    this.#tail = 0;
  }

  #makeRoom(): void {
    const { size } = this;
    const from = this.#head * resultWords;
    const to = this.#tail * resultWords;
    if (this.#head > this.#tail / 2) this.#words.copyWithin(0, from, to);
    else {
      const words = new Int32Array(this.#words.length * 2);
      words.set(this.#words.subarray(from, to));
      this.#words = words;
    }
    this.#head = 0;
    this.#tail = size;
  }
}
