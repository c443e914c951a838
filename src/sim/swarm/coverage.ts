import { type DropReason, dropReasons } from '../../egress/counters.js';
import { type Fault, faultNames } from '../faults.js';
import { type Fallback, fallbacks } from '../world/reached.js';
import type { Tally } from './tally.js';

/** So many seeds with every fault allowed have to show everything at least once. */
export const seedsForCoverage = 1000;

/** What has happened at all: a check that never sees its case checks nothing. */
export interface Coverage {
  /** How often each of the faults that were allowed has struck. */
  faults: Partial<Record<Fault, number>>;
  /** How often clients were dropped, by reason. */
  drops: Record<DropReason, number>;
  /** How often each way was taken that only trouble takes. */
  fallbacks: Record<Fallback, number>;
  /** Everything that was never seen, such as `fault fence`. */
  missing: string[];
  /** Whether something missing is a failure: with all faults and 1,000 seeds or more. */
  required: boolean;
}

export function coverageOf(tally: Tally, allowed: readonly Fault[]): Coverage {
  const faults = countsOf(allowed, tally.fired);
  const drops = countsOf(dropReasons, tally.drops);
  const ways = countsOf(Object.keys(fallbacks) as Fallback[], tally.reached);
  return {
    faults,
    drops,
    fallbacks: ways,
    missing: [...missingOf('fault', faults), ...missingOf('drop', drops), ...missingOf('fallback', ways)],
    required: tally.seeds >= seedsForCoverage && faultNames.every((name) => allowed.includes(name)),
  };
}

function countsOf<T extends string>(
  names: readonly T[],
  counts: Readonly<Record<string, number>>,
): Record<T, number> {
  return Object.fromEntries(names.map((name) => [name, counts[name] ?? 0])) as Record<T, number>;
}

function missingOf(kind: string, counts: Readonly<Record<string, number>>): string[] {
  return Object.keys(counts)
    .filter((name) => counts[name] === 0)
    .map((name) => `${kind} ${name}`);
}
