import { AckgateError, AckgateRangeError } from '../errors.js';
import type { Logger } from './logger.js';

export const isFunction = (value: unknown): boolean => typeof value === 'function';

export function optionalFunction<F>(name: string, value: F | undefined): F | null {
  if (value === undefined) return null;
  if (!isFunction(value)) throw argument(name, 'a function');
  return value;
}

export function text(name: string, value: unknown, charsMax: number): string {
  if (typeof value === 'string' && value !== '' && value.length <= charsMax) return value;
  throw argument(name, `a text of 1 to ${charsMax} characters`);
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw argument(name, 'true or false');
}

export function integer(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') throw argument(name, `an integer from ${min} to ${max}`);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new AckgateRangeError(
    'ERR_ACKGATE_OUT_OF_RANGE',
    `${name} must be an integer from ${min} to ${max}, got ${value}`,
  );
}

export function argument(name: string, expected: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `${name} must be ${expected}`);
}

export function checkLogger(logger: unknown): Logger {
  const candidate = logger as Partial<Logger>;
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    if (isFunction(candidate?.[level])) continue;
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `logger must have debug, info, warn and error; ${level} is missing`,
    );
  }
  return candidate as Logger;
}

/** A time that may be infinite. */
export function checkMs(name: string, value: unknown): void {
  if (typeof value === 'number' && value >= 0) return;
  throw new AckgateRangeError(
    'ERR_ACKGATE_OUT_OF_RANGE',
    `${name} must be a number of milliseconds from 0 on, got ${String(value)}`,
  );
}

/** Of a call that changes something only while this revision is in force; undefined: whatever is. */
export function checkIfRevision(value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'number') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'ifRevision must be a revision, a number');
  }
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `ifRevision must be an integer from 0 on, got ${value}`,
    );
  }
}
