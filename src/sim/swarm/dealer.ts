import type { Block } from './block.js';

/** Hands out seeds in blocks, in order, so that what was run is always a whole range. */
export class Dealer {
  readonly #endSeed: number;
  readonly #blockSeeds: number;
  readonly #deadlineMs: number;
  readonly #returned: Block[] = [];
  #nextSeed: number;

  /** @param deadlineMs as of `performance.now()`; no new block is begun then */
  constructor(firstSeed: number, seeds: number, blockSeeds: number, deadlineMs: number) {
    this.#nextSeed = firstSeed;
    this.#endSeed = firstSeed + seeds;
    this.#blockSeeds = blockSeeds;
    this.#deadlineMs = deadlineMs;
  }

  /** The next block; null when there is none. */
  next(): Block | null {
    const returned = this.#returned.pop();
    if (returned !== undefined) return returned;
    const seeds = Math.min(this.#blockSeeds, this.#endSeed - this.#nextSeed);
    if (seeds <= 0 || performance.now() >= this.#deadlineMs) return null;
    const block = { firstSeed: this.#nextSeed, seeds };
    this.#nextSeed += seeds;
    return block;
  }

  /** Takes back a block without one of its seeds: what the others have come to is lost. */
  giveBack({ firstSeed, seeds }: Block, without: number): void {
    const before = { firstSeed, seeds: without - firstSeed };
    const behind = { firstSeed: without + 1, seeds: firstSeed + seeds - without - 1 };
    this.#returned.push(...[before, behind].filter((block) => block.seeds > 0));
  }
}
