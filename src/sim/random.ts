/**
 * The simulator's only source of chance: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2018), seeded through splitmix32. 32-bit integer arithmetic only, so that a seed gives the same numbers on
 * every machine.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed integer, 0 … 2^53-1 */
  constructor(seed: number) {
    let state = (seed ^ Math.floor(seed / 2 ** 32)) | 0;
    const mixed = () => {
      state = (state + 0x9e3779b9) | 0;
      let word = state ^ (state >>> 16);
      word = Math.imul(word, 0x21f0aaad);
      word ^= word >>> 15;
      word = Math.imul(word, 0x735a2d97);
      return word ^ (word >>> 15);
    };
    this.#a = mixed();
    this.#b = mixed();
    this.#c = mixed();
    this.#d = mixed();
  }

  /** An integer from 0 to 2^32-1. */
  word(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** A number from 0 up to, and without, 1: a multiple of 2^-32. */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** A number with this mean, exponentially distributed. */
  exponential(mean: number): number {
    return -Math.log1p(-this.fraction()) * mean;
  }

  /** An integer between the two, small ones as likely as large ones of each magnitude. `low` is at least 1. */
  magnitude(low: number, high: number): number {
    return Math.min(high, Math.floor(low * ((high + 1) / low) ** this.fraction()));
  }

  /** A generator of its own, so that drawing more or less from it leaves this one as it is. */
  fork(): Random {
    return new Random(this.word());
  }
}
