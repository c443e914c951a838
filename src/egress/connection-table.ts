/** What a slot is doing. `closing` lasts until the kernel holds nothing of it any more. */
export const SlotState = { free: 0, open: 1, closing: 2 } as const;

const noSlot = -1;

/**
 * Who is in which slot: connection ids outside, slot and generation inside.
 *
 * Finding a slot by its id happens for every record, so it is an open-addressing table over typed arrays, twice
 * as large as it can get full, with linear probing.
 */
export class ConnectionTable {
  readonly slots: number;
  /** Connection id of each slot; kept until the slot is free again. */
  readonly id: Float64Array;
  /** Counts the connections that the slot has had: a result of an earlier one is told by it. */
  readonly generation: Int32Array;
  readonly state: Uint8Array;
  /** Open and closing slots. */
  count = 0;
  readonly #keys: Float64Array;
  readonly #values: Int32Array;
  readonly #mask: number;

  constructor(slots: number) {
    this.slots = slots;
    this.id = new Float64Array(slots);
    this.generation = new Int32Array(slots);
    this.state = new Uint8Array(slots);
    const size = 2 ** Math.ceil(Math.log2(slots * 2 + 1));
    this.#keys = new Float64Array(size);
    this.#values = new Int32Array(size).fill(noSlot);
    this.#mask = size - 1;
  }

  /** The open slot of a connection, or -1. */
  find(id: number): number {
    let at = this.#home(id);
    for (;;) {
      const slot = this.#values[at];
      if (slot === noSlot || this.#keys[at] === id) return slot;
      at = (at + 1) & this.#mask;
    }
  }

  /** Puts a connection into a free slot, under a new generation. */
  open(slot: number, id: number): void {
    this.state[slot] = SlotState.open;
    this.id[slot] = id;
    this.generation[slot] = (this.generation[slot] + 1) & 0x7fffffff;
    this.count++;
    let at = this.#home(id);
    while (this.#values[at] !== noSlot) at = (at + 1) & this.#mask;
    this.#keys[at] = id;
    this.#values[at] = slot;
  }

  /** Ends a connection: it is not found any more, its slot is not free yet. */
  close(slot: number): void {
    this.state[slot] = SlotState.closing;
    let at = this.#home(this.id[slot]);
    while (this.#values[at] !== slot) at = (at + 1) & this.#mask;
    this.#remove(at);
  }

  free(slot: number): void {
    this.state[slot] = SlotState.free;
    this.count--;
  }

  /** Moves later entries of the same run back over the gap, so that no search ends too early. */
  #remove(at: number): void {
    let gap = at;
    let next = (gap + 1) & this.#mask;
    while (this.#values[next] !== noSlot) {
      const home = this.#home(this.#keys[next]);
      if (((next - home) & this.#mask) >= ((next - gap) & this.#mask)) {
        this.#keys[gap] = this.#keys[next];
        this.#values[gap] = this.#values[next];
        gap = next;
      }
      next = (next + 1) & this.#mask;
    }
    this.#values[gap] = noSlot;
  }

  #home(id: number): number {
    // Ids are mostly consecutive; those that an application chooses may use all 53 bits.
    const folded = (id | 0) ^ ((id / 2 ** 32) | 0);
    return (Math.imul(folded, 0x9e3779b1) >>> 7) & this.#mask;
  }
}
