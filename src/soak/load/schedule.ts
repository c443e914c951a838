import { AckgateError } from '../../errors.js';
import { Random } from '../../sim/random.js';
import type { SizeClass } from '../config.js';
import { sizeClasses } from '../config.js';
import { type Operation, operations, type SoakDriver } from '../driver.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Of a message, in bytes, both included. */
export const sizeBounds: Readonly<Record<SizeClass, readonly [number, number]>> = {
  small: [1, KiB - 1],
  medium: [KiB, 100 * KiB],
  large: [100 * KiB + 1, 10 * MiB],
  huge: [10 * MiB + 1, 16 * MiB],
};

export interface ScheduleOptions {
  /** Of all clients together. */
  readonly requestsPerSecond: number;
  readonly clients: number;
  readonly mix: Readonly<Record<Operation, number>>;
  readonly sizes: Readonly<Record<SizeClass, number>>;
  readonly driver: Pick<SoakDriver, 'operations' | 'requestBytesMax'>;
  readonly seed: number;
}

/**
 * What is to be sent when, drawn from a seed alone: arrivals of a Poisson process. Each request takes the same five draws,
 * so that one more client or another size doesn't change when requests are due.
 */
export class Schedule {
  /** Of the request at hand: milliseconds from the beginning, … */
  dueMs = 0;
  operation: Operation;
  /** … the size of its message, … */
  bytes = 0;
  /** … and the client to send it. */
  client = 0;
  readonly #random: Random;
  readonly #gapMs: number;
  readonly #clients: number;
  readonly #bytesMax: number;
  readonly #operations: Weighted<Operation>;
  readonly #sizes: Weighted<SizeClass>;

  /** Operations that the driver doesn't have are left out. */
  constructor({ requestsPerSecond, clients, mix, sizes, driver, seed }: ScheduleOptions) {
    this.#random = new Random(seed);
    this.#gapMs = 1000 / requestsPerSecond;
    this.#clients = clients;
    this.#bytesMax = driver.requestBytesMax;
    const known = operations.filter((operation) => driver.operations.includes(operation));
    this.#operations = new Weighted(known, mix, 'mix');
    this.#sizes = new Weighted(sizeClasses, sizes, 'sizes');
    this.operation = known[0];
    this.next();
  }

  /** Goes on to the next request. */
  next(): void {
    this.dueMs += this.#random.exponential(this.#gapMs);
    this.operation = this.#operations.at(this.#random.fraction());
    const [low, high] = sizeBounds[this.#sizes.at(this.#random.fraction())];
    this.bytes = Math.min(this.#bytesMax, this.#random.magnitude(low, high));
    this.client = this.#random.below(this.#clients);
  }
}

/** Some things, each with the share of the chances that its weight has of all. */
class Weighted<T extends string> {
  readonly #items: readonly T[];
  /** Where the share of each ends. */
  readonly #ends: number[] = [];

  constructor(items: readonly T[], weights: Readonly<Record<T, number>>, name: string) {
    this.#items = items.filter((item) => weights[item] > 0);
    const sum = this.#items.reduce((total, item) => total + weights[item], 0);
    if (!(sum > 0)) {
      const message = `${name} gives no weight to anything that can be sent; name one of ${items.join(', ')}`;
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
    }
    let end = 0;
    for (const item of this.#items) {
      end += weights[item] / sum;
      this.#ends.push(end);
    }
  }

  /** @param fraction from 0 up to, and without, 1 */
  at(fraction: number): T {
    let index = 0;
    // The last share takes what rounding has left over.
    while (index < this.#ends.length - 1 && fraction >= this.#ends[index]) index++;
    return this.#items[index];
  }
}
