import { availableParallelism } from 'node:os';
import { AckgateError, AckgateRangeError } from '../../errors.js';
import { checkKeys } from '../../stage/options.js';
import { checkFaultChoice, type FaultChoice } from '../fault-list.js';
import type { Fault } from '../faults.js';

export interface SwarmProgress {
  /** Seeds done so far, and of how many; null: as many as the time allows. */
  done: number;
  of: number | null;
  failed: number;
}

export interface SwarmOptions {
  /** 0 … 2^53-1 (default 1). */
  firstSeed?: number;
  /** How many, one after the other (default 1,000, without end when `minutes` is given). */
  seeds?: number;
  /** No new seeds are begun after so many minutes, above 0. */
  minutes?: number;
  /** Faults that may be drawn (default all). */
  faults?: FaultChoice;
  /** Threads, 1 … 256 (default: one per core). What comes out does not depend on it. */
  workers?: number;
  /** A seed that takes longer than so many seconds counts as one that comes to no end (default 120). */
  seedSecondsMax?: number;
  /** Told from time to time. */
  onProgress?: (progress: SwarmProgress) => void;
  /** Ends the run; what it rejects with is the signal's reason. */
  signal?: AbortSignal | undefined;
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
  const firstSeed = whole('firstSeed', options.firstSeed ?? 1, 0, Number.MAX_SAFE_INTEGER);
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
    seeds: withoutEnd ? left : whole('seeds', options.seeds ?? 1000, 1, left),
    milliseconds: minutes === undefined ? Number.POSITIVE_INFINITY : minutes * 60_000,
    faults: checkFaultChoice(options.faults ?? 'all'),
    workers: whole('workers', workers, 1, 256),
    seedMsMax: seedSecondsMax * 1000,
  };
}

function whole(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw outOfRange(name, `an integer from ${min} to ${max}`, value);
}

function outOfRange(name: string, what: string, value: unknown): AckgateRangeError {
  return new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', `${name} must be ${what}, got ${String(value)}`);
}
