import { AckgateError, AckgateRangeError } from '../errors.js';

const KiB = 1024;
const MiB = 1024 * KiB;

export interface FileJournalOptions {
  /** Where the files are; made when it isn't there. One journal per directory. */
  directory: string;
  /** A new segment file is begun once one has so many bytes, 4 KiB … 1 GiB (default 64 MiB). */
  segmentBytes?: number;
  /** Buffer between the engine's thread and the writer, a power of two, 64 KiB … 256 MiB (default 8 MiB). */
  bufferBytes?: number;
  /** Largest payload, 1 byte … half of the buffer (default 1 MiB, or half of the buffer). */
  recordBytesMax?: number;
  /** Sequence of the first record of a journal that is new, 1 … 2^52 (default 1). An old one goes on where it ended. */
  firstSequence?: number;
  /** Of `createTurnLog`: the writer notes there when its turns begin and end, for `recordDistributions`. */
  turns?: SharedArrayBuffer;
}

export interface CheckedOptions {
  directory: string;
  segmentBytes: number;
  bufferBytes: number;
  recordBytesMax: number;
  firstSequence: number;
  turns: SharedArrayBuffer | undefined;
}

const names = ['directory', 'segmentBytes', 'bufferBytes', 'recordBytesMax', 'firstSequence', 'turns'];

export function checkOptions(options: FileJournalOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'an object', options);
  for (const name of Object.keys(options)) if (!names.includes(name)) throw unknownOption(name);

  const { directory, turns } = options;
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
    throw invalid('directory', 'the path of a directory', directory);
  }
  if (turns !== undefined && !(turns instanceof SharedArrayBuffer)) {
    throw invalid('turns', 'what createTurnLog() gives', turns);
  }
  const { segmentBytes = 64 * MiB, bufferBytes = 8 * MiB, firstSequence = 1 } = options;
  checkInteger('segmentBytes', segmentBytes, 4 * KiB, 1024 * MiB);
  checkInteger('bufferBytes', bufferBytes, 64 * KiB, 256 * MiB);
  if ((bufferBytes & (bufferBytes - 1)) !== 0) {
    const message = `bufferBytes must be a power of two, got ${bufferBytes}`;
    throw new AckgateRangeError('ERR_ACKGATE_NOT_POWER_OF_TWO', message);
  }
  const { recordBytesMax = Math.min(MiB, bufferBytes / 2) } = options;
  checkInteger('recordBytesMax', recordBytesMax, 1, bufferBytes / 2);
  checkInteger('firstSequence', firstSequence, 1, 2 ** 52);
  return { directory, segmentBytes, bufferBytes, recordBytesMax, firstSequence, turns };
}

export function checkSequence(name: string, value: unknown, min: number, max: number, hint: string): void {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new AckgateRangeError('ERR_ACKGATE_SEQUENCE', `${name} must be ${hint}, got ${shown(value)}`);
}

function checkInteger(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== 'number') throw invalid(name, 'a number', value);
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const message = `${name} must be an integer from ${min} to ${max}, got ${value}`;
  throw new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', message);
}

export function invalid(name: string, what: string, value: unknown): AckgateError {
  return new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `${name} must be ${what}, got ${shown(value)}`);
}

function unknownOption(name: string): AckgateError {
  const nearest = names.find((known) => distance(name.toLowerCase(), known.toLowerCase()) <= 2);
  const hint = nearest === undefined ? `the options are ${names.join(', ')}` : `did you mean ${nearest}?`;
  return new AckgateError(
    'ERR_ACKGATE_UNKNOWN_OPTION',
    `there is no option ${JSON.stringify(name)}; ${hint}`,
  );
}

/** Number of letters to insert, remove or replace to get from one word to the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}

function shown(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value)
    : value === null
      ? 'null'
      : `${typeof value} ${String(value)}`;
}
