import type { NativeSenderError, NativeSenderOptions } from './native.js';
import { requestWords, resultWords, type SenderOptions, senderStateWords } from './sender.js';

/** A send and a poll each, at most: the stage can ask for no more at once. */
const requestsPerSlot = 2;
const resultsPerSlot = 4;
const resultsMin = 1024;

/** For tests: a result table that is too small. */
export interface TableSizes {
  results?: number;
}

/** The tables of one sender, made once; the addon keeps pointers into them. */
export function withTables(options: SenderOptions, sizes: TableSizes = {}): NativeSenderOptions {
  const results = sizes.results ?? Math.max(options.slots * resultsPerSlot, resultsMin);
  return {
    ...options,
    requests: new Uint32Array(options.slots * requestsPerSlot * requestWords),
    results: new Int32Array(results * resultWords),
    state: new Int32Array(senderStateWords),
  };
}

export function isNativeSenderError(error: unknown): error is NativeSenderError {
  return error instanceof Error && 'errno' in error && 'stage' in error;
}
