import { type LossCounts, noLosses, type RequestCounts, requestCountNames } from '../samples.js';

const examplesMax = 20;
/** An example is for one line of a report. */
const exampleCharsMax = 300;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const zeroCounts = (): Mutable<Omit<LossCounts, 'examples'>> => {
  const { examples: _, ...counts } = noLosses;
  return { ...counts };
};

/** The sums of a run, and the first few examples of what went wrong. */
export class Tally {
  readonly counts = zeroCounts();
  readonly #examples: string[] = [];
  readonly #onExample: ((text: string) => void) | undefined;
  #taken = zeroCounts();

  constructor(onExample?: (text: string) => void) {
    this.#onExample = onExample;
  }

  /** Only the first few are put into words at all. */
  example(text: () => string): void {
    if (this.#examples.length >= examplesMax) return;
    const line = text().slice(0, exampleCharsMax);
    this.#examples.push(line);
    this.#onExample?.(line);
  }

  losses(): LossCounts {
    return { ...this.counts, examples: [...this.#examples] };
  }

  /** Requests since it was called the last time. */
  take(): RequestCounts {
    const { counts } = this;
    const since = requestCountNames.map((name) => [name, counts[name] - this.#taken[name]]);
    this.#taken = { ...counts };
    return Object.fromEntries(since) as RequestCounts;
  }

  /** Goes on from the sums of an earlier run. What that one left open nobody will ever know. */
  restore({ examples, ...sums }: LossCounts): void {
    Object.assign(this.counts, sums);
    this.#examples.splice(0, this.#examples.length, ...examples.slice(0, examplesMax));
    this.counts.abandoned += this.unsettled;
    this.take();
  }

  /** Those that were due and are in none of the other counts. */
  get unsettled(): number {
    const { due, expected, unexpected, timedOut, lost, unsent, abandoned } = this.counts;
    return due - expected - unexpected - timedOut - lost - unsent - abandoned;
  }
}
