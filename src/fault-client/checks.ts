import { AckgateRangeError } from '../errors.js';

/** @throws ERR_ACKGATE_OUT_OF_RANGE unless `value` is an integer from `low` to `high`, both included */
export function checkInteger(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new AckgateRangeError(
    'ERR_ACKGATE_OUT_OF_RANGE',
    `${name} must be an integer from ${low} to ${high}, got ${String(value)}`,
  );
}
