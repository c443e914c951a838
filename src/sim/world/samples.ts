import type { RecordableHistogram } from 'node:perf_hooks';
import { type TimingHistograms, type TimingName, timingNames } from '../../stage/timings.js';
import { SimulationFailure } from '../failure.js';
import type { Records } from '../model/ledger.js';

/**
 * Histograms that look at what is recorded: an end-to-end sample belongs to an answer that the kernel has, and there is
 * one for each at most. The time at which its request was received tells which.
 */
export class Samples {
  readonly histograms: TimingHistograms;
  readonly #records: Records;
  /** What the stage was last told by its clock. */
  readonly #clockNs: () => number;
  readonly #byReceivedNs = new Map<number, number>();
  readonly #sampled = new Set<number>();
  #seen = 0;

  constructor(records: Records, clockNs: () => number) {
    this.#records = records;
    this.#clockNs = clockNs;
    this.histograms = Object.fromEntries(
      timingNames.map((name) => [name, this.#histogram(name)]),
    ) as TimingHistograms;
  }

  get count(): number {
    return this.#sampled.size;
  }

  #histogram(name: TimingName): RecordableHistogram {
    const record = (ns: number) => {
      if (!Number.isInteger(ns) || ns < 1) throw new SimulationFailure('I11', `${name} of ${ns} ns`);
      if (name === 'serverEndToEnd') this.#endToEnd(ns);
    };
    return { record } as unknown as RecordableHistogram;
  }

  #endToEnd(ns: number): void {
    const records = this.#records;
    for (; this.#seen < records.count; this.#seen++) {
      this.#byReceivedNs.set(records.receivedNs[this.#seen], this.#seen);
    }
    const number = this.#byReceivedNs.get(this.#clockNs() - ns);
    if (number === undefined || this.#sampled.has(number)) {
      throw new SimulationFailure(
        'I11',
        `a sample of ${ns} ns belongs to no answer, or to one that has its own`,
      );
    }
    this.#sampled.add(number);
    const client = records.client[number];
    client.skipSilent();
    const { expected, next } = client;
    // Its number is at or behind the place up to which the client's answers have been taken.
    if (next < expected.length && expected[next] <= number) {
      throw new SimulationFailure('I11', `answer ${number} was sampled before the kernel had it`);
    }
  }
}
