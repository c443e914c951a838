import { availableParallelism } from 'node:os';
import { AckgateError } from '../../errors.js';
import { checkKeys, integer, outOfRange } from '../../shared/checks.js';
import { checkFaultChoice, type FaultChoice } from '../fault-list.js';
import type { Fault } from '../faults.js';

/** How far a swarm has come. */
export interface SwarmProgress {
  /** Seeds done so far. */
  done: number;
  /** Of how many; null: as many as the time allows. */
  of: number | null;
  /** Those of them that failed. */
  failed: number;
}

/** What `runSwarm` is to run. */
export interface SwarmOptions {
  /** The first seed, 0 … 2^53-1 (default 1). */
  readonly firstSeed?: number;
  /** How many seeds, one after the other, from 1 on (default 1,000, without end when `minutes` is given). */
  readonly seeds?: number;
  /** No new seeds are begun after so many minutes, above 0. */
  readonly minutes?: number;
  /** Faults that may be drawn (default all). */
  readonly faults?: FaultChoice;
  /** Threads, 1 … 256 (default: one per core). What comes out does not depend on it. */
  readonly workers?: number;
  /** A seed that takes longer than so many seconds counts as one that comes to no end (default 120). */
  readonly seedSecondsMax?: number;
  /** Called every 100 ms, and once at the end. */
  readonly onProgress?: (progress: SwarmProgress) => void;
  /** Ends the run; what it rejects with is the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface CheckedSwarm {
  firstSeed: number;
  seeds: number;
  milliseconds: number;
  faults: readonly Fault[];
  workers: number;
  seedMsMax: number;
}

const known = [
  'firstSeed',
  'seeds',
  'minutes',
  'faults',
  'workers',
  'seedSecondsMax',
  'onProgress',
  'signal',
] as const satisfies readonly (keyof SwarmOptions)[];

export function checkSwarmOptions(options: SwarmOptions): CheckedSwarm {
  checkKeys('options', options, known);
  const { minutes, workers = availableParallelism(), seedSecondsMax = 120, onProgress } = options;
  const firstSeed = integer('firstSeed', options.firstSeed ?? 1, 0, Number.MAX_SAFE_INTEGER);
  const left = Number.MAX_SAFE_INTEGER - firstSeed + 1;
  if (minutes !== undefined && !(typeof minutes === 'number' && minutes > 0)) {
    throw outOfRange('minutes', 'a number above 0', minutes);
  }
  if (typeof seedSecondsMax !== 'number' || !(seedSecondsMax > 0)) {
    throw outOfRange('seedSecondsMax', 'a number above 0', seedSecondsMax);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'onProgress must be a function');
  }
  const withoutEnd = options.seeds === undefined && minutes !== undefined;
  return {
    firstSeed,
    seeds: withoutEnd ? left : integer('seeds', options.seeds ?? 1000, 1, left),
    milliseconds: minutes === undefined ? Number.POSITIVE_INFINITY : minutes * 60_000,
    faults: checkFaultChoice(options.faults ?? 'all'),
    workers: integer('workers', workers, 1, 256),
    seedMsMax: seedSecondsMax * 1000,
  };
}
