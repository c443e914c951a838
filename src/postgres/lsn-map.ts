/** A position in the write-ahead log, from its text `16/B374D848`, as the number of bytes before it. */
export function parseLsn(text: string): number {
  const [high, low] = text.split('/');
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16);
}

const pairsMax = 4096;

/**
 * Which position in the log means that a standby has which sequence: pairs of a sequence and a position at or past the
 * end of the commit that wrote it.
 *
 * Bounded: when it is full, older pairs go, so that the distance between two grows with their age. What is left is right
 * all the same, only coarser for standbys that are far behind: these count as having less than they may have, never more.
 */
export class LsnMap {
  readonly #max: number;
  readonly #finest: number;
  readonly #sequences: Float64Array;
  readonly #positions: Float64Array;
  #count = 0;

  /** `max`: pairs that are kept, a power of two from 64 on. */
  constructor(max = pairsMax) {
    this.#max = max;
    // Two pairs in a row that stay make the age grow by a factor of 1 + 1/finest, and no log is older than 2^53 bytes: so
    // a thinned map is never more than two thirds full.
    this.#finest = max / 128;
    this.#sequences = new Float64Array(max);
    this.#positions = new Float64Array(max);
  }

  get count(): number {
    return this.#count;
  }

  /** Highest sequence of which a position is known. */
  get lastSequence(): number {
    return this.#count === 0 ? 0 : this.#sequences[this.#count - 1];
  }

  /** Whoever has the log up to `position` has every sequence up to this one. Neither ever goes back. */
  add(sequence: number, position: number): void {
    if (this.#count === this.#max) this.#thin();
    this.#sequences[this.#count] = sequence;
    this.#positions[this.#count] = position;
    this.#count++;
  }

  /** Highest sequence that is certainly there where the log is there up to `position`; 0 below the oldest pair. */
  upTo(position: number): number {
    let from = 0;
    let to = this.#count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#positions[middle] <= position) from = middle + 1;
      else to = middle;
    }
    return from === 0 ? 0 : this.#sequences[from - 1];
  }

  /** Of the older three quarters those pairs go whose neighbours are close together for their age. */
  #thin(): void {
    const positions = this.#positions;
    const sequences = this.#sequences;
    const last = positions[this.#count - 1];
    let kept = this.#count - this.#max / 4;
    for (let i = kept - 1; i >= 0; i--) {
      const newer = positions[kept];
      if (i > 0 && newer - positions[i - 1] <= (last - newer) / this.#finest) continue;
      kept--;
      positions[kept] = positions[i];
      sequences[kept] = sequences[i];
    }
    positions.copyWithin(0, kept);
    sequences.copyWithin(0, kept);
    this.#count -= kept;
  }
}
