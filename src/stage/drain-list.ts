import type { Egress } from '../egress/egress.js';
import { IndexedSet } from '../egress/indexed-set.js';

/** Connections that are to end once every record published for them before the request has gone. */
export class DrainList {
  readonly #slots: IndexedSet;
  readonly #position: Int32Array;
  readonly #drainedAt: Int32Array;
  readonly #farewell: (Uint8Array | null)[] = [];
  readonly #onFarewell: (slot: number) => void;

  /** `onFarewell`: nothing may follow this connection's last frame. */
  constructor(slots: number, onFarewell: (slot: number) => void = () => {}) {
    this.#onFarewell = onFarewell;
    this.#slots = new IndexedSet(slots);
    this.#position = new Int32Array(slots);
    this.#drainedAt = new Int32Array(slots);
  }

  get size(): number {
    return this.#slots.size;
  }

  /**
   * `position`: place in the output ring up to which the connection's records go first. `drainedAt`: the place behind
   * the last of them. `farewell`: its last frame.
   */
  add(slot: number, position: number, drainedAt: number, farewell: Uint8Array | null): void {
    if (this.#slots.has(slot)) return;
    this.#slots.add(slot);
    this.#position[slot] = position;
    this.#drainedAt[slot] = drainedAt;
    this.#farewell[slot] = farewell;
  }

  /** Whether a record at this place in the output ring came too late for its connection, which is leaving. */
  isPast(slot: number, position: number): boolean {
    return slot >= 0 && this.#slots.has(slot) && ((position - this.#position[slot]) | 0) >= 0;
  }

  /** The last frame of a connection on the list that it was not sent yet, or null. */
  farewellOf(slot: number): Uint8Array | null {
    return this.#slots.has(slot) ? this.#farewell[slot] : null;
  }

  remove(slot: number): void {
    this.#slots.delete(slot);
  }

  /** Ends those that are through. `consumed`: the stage's place in the output ring. Returns how many moved on. */
  sweep(consumed: number, egress: Egress, nowNs: number): number {
    let moved = 0;
    for (let i = this.#slots.size - 1; i >= 0; i--) {
      const slot = this.#slots.items[i];
      // A farewell that finds no room may end others of the list, whose places move then.
      if (i >= this.#slots.size) continue;
      if (((consumed - this.#drainedAt[slot]) | 0) < 0) continue;
      const farewell = this.#farewell[slot];
      if (farewell !== null) {
        this.#farewell[slot] = null;
        this.#onFarewell(slot);
        moved++;
        egress.appendBytes(slot, farewell, nowNs);
      } else if (egress.buffers.used[slot] === 0) {
        this.#slots.delete(slot);
        moved++;
        egress.disconnect(slot);
      }
    }
    return moved;
  }
}
