import type { LossCounts, RequestCounts } from '../samples.js';

const examplesMax = 20;
/** An example is for one line of a report. */
const exampleCharsMax = 300;

const requestCountNames = [
  'due',
  'expected',
  'unexpected',
  'timedOut',
  'lost',
  'unsent',
  'abandoned',
] as const satisfies readonly (keyof RequestCounts)[];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const zeroRequests = (): Mutable<RequestCounts> => ({
  due: 0,
  expected: 0,
  unexpected: 0,
  timedOut: 0,
  lost: 0,
  unsent: 0,
  abandoned: 0,
});

const zeroCounts = (): Mutable<Omit<LossCounts, 'examples'>> => ({
  ...zeroRequests(),
  late: 0,
  missing: 0,
  duplicated: 0,
  disordered: 0,
  corrupted: 0,
  connectionsLost: 0,
  connectionsMade: 0,
});

/** The sums of a run, and the first few examples of what went wrong. */
export class Tally {
  readonly counts = zeroCounts();
  readonly #examples: string[] = [];
  readonly #onExample: ((text: string) => void) | undefined;
  #taken = zeroRequests();

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
    const since = zeroRequests();
    for (const name of requestCountNames) since[name] = this.counts[name] - this.#taken[name];
    for (const name of requestCountNames) this.#taken[name] = this.counts[name];
    return since;
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
