import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AckgateError } from '../errors.js';
import { damaged, journalFile, writeFileDurably } from '../journal/files.js';
import { decodeFileHeader } from '../journal/format.js';
import { describe } from '../shared/describe.js';
import type { History, Term } from './history.js';

const historyFile = 'history.json';
const format = 1;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const keys = ['format', 'lineage', 'terms', 'incarnation', 'ledFrom'];

/**
 * What is written down in a journal's directory; null: nothing. Only for who has the directory's lock.
 *
 * The file names the journal that it is about: beside the records of another one it would make them pass for what they
 * are not.
 *
 * @throws ERR_ACKGATE_JOURNAL_DAMAGED when it is not a history, or not of the journal that is there;
 *   ERR_ACKGATE_JOURNAL_FAILED when it can't be read
 */
export function readHistory(directory: string): History | null {
  const path = join(directory, historyFile);
  const bytes = readIfThere(path);
  if (bytes === null) return null;
  const written = parse(bytes.toString(), ['journal', ...keys]);
  const fault = typeof written === 'string' ? written : journalFault(written.journal);
  if (fault !== null) {
    const message = `${path} is damaged: ${fault}. Nothing was changed; take the directory from a replica or a copy`;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_DAMAGED', message);
  }
  const { journal, ...history } = written as Written;
  const there = journalIdOf(directory);
  if (journal === there) return plain(history);
  const what = there === null ? 'there is no journal beside it' : `the journal beside it is ${there}`;
  const message =
    `${path} is of journal ${journal}, but ${what}: the files are from different directories. Nothing was changed; ` +
    'take the whole directory from a copy, or, for a replica, begin with an empty one';
  throw new AckgateError('ERR_ACKGATE_JOURNAL_DAMAGED', message);
}

/**
 * In force, also after a power cut, when this returns; before that, the old one is. Beside a journal, and not while the journal of that
 * directory is being opened, which clears away what was never finished.
 *
 * @throws ERR_ACKGATE_JOURNAL_FAILED
 */
export function writeHistory(directory: string, history: History): void {
  const path = join(directory, historyFile);
  const isWrong = decodeHistory(encodeHistory(history));
  if (typeof isWrong === 'string') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `this is not a history: ${isWrong}`);
  }
  const journal = journalIdOf(directory);
  if (journal === null) throw failed(path, 'written', new Error('there is no journal beside it'));
  try {
    writeFileDurably(path, Buffer.from(`${JSON.stringify({ format, journal, ...plain(history) })}\n`));
  } catch (cause) {
    throw failed(path, 'written', cause);
  }
}

/** As nodes tell each other. */
export function encodeHistory(history: History): string {
  return `${JSON.stringify({ format, ...plain(history) })}\n`;
}

/** The history, or in words what is wrong with the text. */
export function decodeHistory(text: string): History | string {
  const parsed = parse(text, keys);
  return typeof parsed === 'string' ? parsed : plain(parsed);
}

interface Written extends History {
  readonly journal: unknown;
}

function plain({ lineage, terms, incarnation, ledFrom }: History): History {
  return { lineage, terms: terms.map(({ term, first }) => ({ term, first })), incarnation, ledFrom };
}

function parse(text: string, known: readonly string[]): Written | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `it is not JSON (${(error as Error).message})`;
  }
  return faultOf(value, known) ?? (value as Written);
}

function faultOf(value: unknown, known: readonly string[]): string | null {
  if (!isPlain(value)) return 'it is not an object';
  if (value.format !== format) return `its format is ${describe(value.format)}, this version reads ${format}`;
  const wrongKey = wrongKeyOf(value, known);
  if (wrongKey !== null) return wrongKey;
  const { lineage, terms, incarnation, ledFrom } = value;
  if (typeof lineage !== 'string' || !uuid.test(lineage)) return 'lineage is not a UUID in small letters';
  if (!isCount(incarnation, 0)) return 'incarnation is not an integer from 0 to 2^53-1';
  if (ledFrom !== null && !isCount(ledFrom, 1))
    return 'ledFrom is neither null nor an integer from 1 to 2^53-1';
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

function journalFault(journal: unknown): string | null {
  return typeof journal === 'string' && /^[0-9a-f]{32}$/.test(journal)
    ? null
    : 'journal is not an id of 32 hexadecimal digits';
}

/** The id that every journal has; null: there is no journal. */
function journalIdOf(directory: string): string | null {
  const path = join(directory, journalFile);
  const bytes = readIfThere(path);
  if (bytes === null) return null;
  const header = decodeFileHeader('journal', bytes);
  if (typeof header === 'string') throw damaged(path, 0, header);
  return header.journalId.toString('hex');
}

function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw failed(path, 'read', cause);
  }
}

function failed(path: string, what: string, cause: unknown): AckgateError {
  const message = `${path} can't be ${what}: ${(cause as Error).message}`;
  return new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause });
}
