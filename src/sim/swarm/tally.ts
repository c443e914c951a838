import type { Attempt, Breakage } from '../attempt.js';

/** A seed that failed. `crash`: something threw; `hang`: it came to no end. */
export interface SeedFailure {
  /** All that is needed to run it again. */
  seed: number;
  /** The first one that was broken, or how it failed otherwise. */
  invariant: Breakage | 'hang';
  /** What was seen, in a sentence; of a crash, its stack. */
  message: string;
}

/** What some seeds have come to, added up. Plain data, so that it can be sent between threads. */
export interface Tally {
  seeds: number;
  records: number;
  /** Seeds that failed, and the lowest of them in detail. */
  failed: number;
  failures: SeedFailure[];
  fired: Record<string, number>;
  drops: Record<string, number>;
  reached: Record<string, number>;
  /** Over the traces of all seeds, whatever the order in which they were added. */
  hash: bigint;
}

/** So many failures are kept in detail. */
export const detailsMax = 20;

export function emptyTally(): Tally {
  return { seeds: 0, records: 0, failed: 0, failures: [], fired: {}, drops: {}, reached: {}, hash: 0n };
}

export function addAttempt(tally: Tally, seed: number, { failure, result }: Attempt): void {
  tally.seeds++;
  if (failure !== null) addFailure(tally, { seed, ...pick(failure) });
  if (result === null) return;
  tally.records += result.records;
  addCounts(tally.fired, result.fired);
  addCounts(tally.drops, result.drops);
  addCounts(tally.reached, result.reached);
  addHash(tally, seed, result.hash);
}

/** By the run's number, such as its seed, so that two can't change places. */
export function addHash(tally: Pick<Tally, 'hash'>, number: number, hash: string): void {
  tally.hash = BigInt.asUintN(64, tally.hash + BigInt(`0x${hash}`) * BigInt(2 * number + 1));
}

/** A seed of which nothing is known but that it failed. */
export function addFailure(tally: Tally, failure: SeedFailure): void {
  tally.failed++;
  tally.failures.push(failure);
  keepLowest(tally);
}

export function addTally(sum: Tally, tally: Tally): void {
  sum.seeds += tally.seeds;
  sum.records += tally.records;
  sum.failed += tally.failed;
  sum.failures.push(...tally.failures);
  keepLowest(sum);
  addCounts(sum.fired, tally.fired);
  addCounts(sum.drops, tally.drops);
  addCounts(sum.reached, tally.reached);
  sum.hash = BigInt.asUintN(64, sum.hash + tally.hash);
}

export function hashText(tally: Pick<Tally, 'hash'>): string {
  return tally.hash.toString(16).padStart(16, '0');
}

function keepLowest({ failures }: Tally): void {
  failures.sort((a, b) => a.seed - b.seed);
  if (failures.length > detailsMax) failures.length = detailsMax;
}

export function addCounts(sum: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
}

function pick({ invariant, message }: { invariant: Breakage; message: string }) {
  return { invariant, message };
}
