import { AckgateError, AckgateRangeError } from '../errors.js';
import { describe } from './describe.js';
import type { Logger } from './logger.js';

/**
 * Refuses anything but an object of known options, and suggests what a misspelt one may have meant: an option that got
 * lost in a slip of the pen must not look like one that was left out. Allocates nothing when all is well.
 */
export function checkKeys(what: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw argument(what, 'an object');
  for (const key in value) {
    if (!known.includes(key) && Object.hasOwn(value, key)) throw unknownOption(what, key, known);
  }
}

function unknownOption(what: string, key: string, known: readonly string[]): AckgateError {
  const close = closest(key, known);
  const hint = close === undefined ? `known are ${known.join(', ')}` : `did you mean ${close}?`;
  const message = `unknown option ${JSON.stringify(key)} in ${what}: ${hint}`;
  return new AckgateError('ERR_ACKGATE_UNKNOWN_OPTION', message);
}

/** The one that this is most likely a misspelling of, if any. */
function closest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = 3;
  for (const name of known) {
    // As many edits as letters make any word of any other.
    const most = Math.min(least, name.length, word.length);
    if (Math.abs(name.length - word.length) >= most) continue;
    const edits = editDistance(name.toLowerCase(), word.toLowerCase());
    if (edits >= most) continue;
    best = name;
    least = edits;
  }
  return best;
}

/** Number of letters to insert, remove, replace, or swap with the next one, to get from one word to the other. */
function editDistance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = rows[i - 1][j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwap ? rows[i - 2][j - 2] + 1 : replaced;
      row.push(Math.min(replaced, swapped, rows[i - 1][j] + 1, row[j - 1] + 1));
    }
    rows.push(row);
  }
  return rows[from.length][to.length];
}

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
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw outOfRange(name, `an integer from ${min} to ${max}`, value);
}

/** What was to be a number of some range; what is none at all is the wrong kind of thing. */
export function outOfRange(name: string, expected: string, value: unknown): AckgateError | AckgateRangeError {
  if (typeof value !== 'number') return wrong(name, expected, value);
  return new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', `${name} must be ${expected}, got ${value}`);
}

/** For a value that may be shown; `argument` is for the others. */
export function wrong(name: string, expected: string, value: unknown): AckgateError {
  return argument(name, `${expected}, got ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  // An empty list has no text of its own.
  return Array.isArray(value) ? `[${describe(value)}]` : describe(value);
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
  throw outOfRange(name, 'a number of milliseconds from 0 on', value);
}

/** Of a call that changes something only while this revision is in force; undefined: whatever is. */
export function checkedIfRevision(options: { readonly ifRevision?: number }): number | undefined {
  // A misspelt condition would be none.
  checkKeys('publish options', options, ['ifRevision']);
  const { ifRevision } = options;
  checkIfRevision(ifRevision);
  return ifRevision;
}

export function checkIfRevision(value: unknown): void {
  if (value === undefined) return;
  integer('ifRevision', value, 0, Number.MAX_SAFE_INTEGER);
}
