import type { RingPeer } from '../ring/producer.js';
import type { Clock } from '../shared/clock.js';
import { Parked, Word } from '../shared/memory.js';
import { StageState } from './state.js';

/** Wakes a parked stage from any thread, and tells a producer when to stop. */
export class Waker implements RingPeer {
  readonly #words: Int32Array;
  #write: () => void;
  readonly #clock: Clock;

  /** `write` makes the stage's wake descriptor readable. */
  constructor(buffer: SharedArrayBuffer, clock: Clock, write: () => void) {
    this.#words = new Int32Array(buffer);
    this.#clock = clock;
    this.#write = write;
  }

  /** Call it after storing what the stage is to see: it looks once more after it has set the word. */
  wake(): void {
    const words = this.#words;
    if (Atomics.load(words, Word.parked) === Parked.awake) return;
    if (Atomics.exchange(words, Word.parked, Parked.awake) !== Parked.awake) this.#rouse();
  }

  /** The descriptor is about to be closed: another one may get its number. */
  mute(): void {
    this.#write = () => {};
  }

  /** As `wake`, for a record that was published. */
  published(): void {
    if (Atomics.load(this.#words, Word.parked) === Parked.forAnything) this.#rouseForRecord();
  }

  stopped(): boolean {
    return Atomics.load(this.#words, Word.state) > StageState.running;
  }

  stampNs(): number {
    return Atomics.load(this.#words, Word.stamps) === 0 ? 0 : this.#clock();
  }

  // Apart from `published`, which has to be small enough to be inlined into the engine's function with the rest.
  #rouseForRecord(): void {
    const { forAnything, awake } = Parked;
    if (Atomics.compareExchange(this.#words, Word.parked, forAnything, awake) === forAnything) this.#rouse();
  }

  #rouse(): void {
    if (Atomics.load(this.#words, Word.state) < StageState.failed) this.#write();
  }
}
