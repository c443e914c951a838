import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AckgateError } from '../errors.js';
import { writeFileDurably } from '../journal/files.js';
import { describe } from '../shared/describe.js';
import type { History, Term } from './history.js';

export const historyFile = 'history.json';
const format = 1;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const keys = ['format', 'lineage', 'terms', 'incarnation'];

/**
 * What is written down in a journal's directory; null: nothing. Only for who has the directory's lock.
 *
 * @throws ERR_ACKGATE_JOURNAL_DAMAGED when it is not a history; ERR_ACKGATE_JOURNAL_FAILED when it can't be read
 */
export function readHistory(directory: string): History | null {
  const path = join(directory, historyFile);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw failed(path, 'read', cause);
  }
  const decoded = decodeHistory(text);
  if (typeof decoded === 'string') {
    const message = `${path} is damaged: ${decoded}. Nothing was changed; take the directory from a replica or a copy`;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_DAMAGED', message);
  }
  return decoded;
}

/**
 * In force, also after a power cut, when this returns; before that, the old one is. Not while the journal of that
 * directory is being opened, which clears away what was never finished.
 *
 * @throws ERR_ACKGATE_JOURNAL_FAILED
 */
export function writeHistory(directory: string, history: History): void {
  const path = join(directory, historyFile);
  const text = encodeHistory(history);
  const isWrong = decodeHistory(text);
  if (typeof isWrong === 'string') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `this is not a history: ${isWrong}`);
  }
  try {
    writeFileDurably(path, Buffer.from(text));
  } catch (cause) {
    throw failed(path, 'written', cause);
  }
}

/** As it is kept, and as nodes tell each other. */
export function encodeHistory({ lineage, terms, incarnation }: History): string {
  const plain = terms.map(({ term, first }) => ({ term, first }));
  return `${JSON.stringify({ format, lineage, terms: plain, incarnation })}\n`;
}

/** The history, or in words what is wrong with the text. */
export function decodeHistory(text: string): History | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `it is not JSON (${(error as Error).message})`;
  }
  const fault = faultOf(value);
  if (fault !== null) return fault;
  const { lineage, terms, incarnation } = value as History;
  return { lineage, terms, incarnation };
}

function faultOf(value: unknown): string | null {
  if (!isPlain(value)) return 'it is not an object';
  if (value.format !== format) return `its format is ${describe(value.format)}, this version reads ${format}`;
  const wrongKey = wrongKeyOf(value, keys);
  if (wrongKey !== null) return wrongKey;
  const { lineage, terms, incarnation } = value;
  if (typeof lineage !== 'string' || !uuid.test(lineage)) return 'lineage is not a UUID in small letters';
  if (!isCount(incarnation, 0)) return 'incarnation is not an integer from 0 to 2^53-1';
  if (!Array.isArray(terms)) return 'terms is not a list';
  let before: Term = { term: 0, first: 1 };
  for (const [i, term] of terms.entries()) {
    const fault = termFault(term, before);
    if (fault !== null) return `terms[${i}]${fault}`;
    before = term;
  }
  return null;
}

function termFault(value: unknown, before: Term): string | null {
  if (!isPlain(value)) return ' is not an object';
  const wrongKey = wrongKeyOf(value, ['term', 'first']);
  if (wrongKey !== null) return `: ${wrongKey}`;
  if (!isCount(value.term, before.term + 1)) {
    return `.term must be an integer from ${before.term + 1} on, got ${describe(value.term)}`;
  }
  if (!isCount(value.first, before.first)) {
    return `.first must be an integer from ${before.first} on, got ${describe(value.first)}`;
  }
  return null;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrongKeyOf(value: object, known: readonly string[]): string | null {
  const missing = known.find((key) => !Object.hasOwn(value, key));
  if (missing !== undefined) return `it has no ${missing}`;
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  return unknown === undefined ? null : `it has ${JSON.stringify(unknown)}, which is unknown`;
}

function isCount(value: unknown, min: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min;
}

function failed(path: string, what: string, cause: unknown): AckgateError {
  const message = `${path} can't be ${what}: ${(cause as Error).message}`;
  return new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause });
}
