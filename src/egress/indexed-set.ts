/** A set of slots with constant-time add and delete and dense iteration; allocates nothing after construction. */
export class IndexedSet {
  /** The members, in `items[0 … size)`, in no particular order. */
  readonly items: Int32Array;
  size = 0;
  readonly #place: Int32Array;

  constructor(slots: number) {
    this.items = new Int32Array(slots);
    this.#place = new Int32Array(slots).fill(-1);
  }

  has(slot: number): boolean {
    return this.#place[slot] >= 0;
  }

  add(slot: number): void {
    if (this.#place[slot] >= 0) return;
    this.#place[slot] = this.size;
    this.items[this.size++] = slot;
  }

  delete(slot: number): void {
    const place = this.#place[slot];
    if (place < 0) return;
    const last = this.items[--this.size];
    this.items[place] = last;
    this.#place[last] = place;
    this.#place[slot] = -1;
  }

  clear(): void {
    for (let i = 0; i < this.size; i++) this.#place[this.items[i]] = -1;
    this.size = 0;
  }
}
