import { AckgateRangeError } from '../errors.js';
import { checkKeys, integer, wrong } from '../shared/checks.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** What `FileJournal.open` is told. Only `directory` must be given. */
export interface FileJournalOptions {
  /** Where the files are; made when it isn't there. One journal per directory. */
  readonly directory: string;
  /** A new segment file is begun once one has so many bytes, 4 KiB … 1 GiB (default 64 MiB). */
  readonly segmentBytes?: number;
  /** Buffer between the engine's thread and the writer, a power of two, 64 KiB … 256 MiB (default 8 MiB). */
  readonly bufferBytes?: number;
  /** Largest payload, 1 byte … half of the buffer (default 1 MiB, or half of the buffer). */
  readonly recordBytesMax?: number;
  /** Sequence of the first record of a journal that is new, 1 … 2^52 (default 1). An old one goes on where it ended. */
  readonly firstSequence?: number;
  /**
   * Of `createTurnLog`: the writer notes there when its turns begin and end, for `recordDistributions` (default: it notes
   * nothing).
   */
  readonly turns?: SharedArrayBuffer;
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
  checkKeys('options', options, names);
  const { directory, turns } = options;
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
    throw wrong('directory', 'the path of a directory', directory);
  }
  if (turns !== undefined && !(turns instanceof SharedArrayBuffer)) {
    throw wrong('turns', 'what createTurnLog() gives', turns);
  }
  const { segmentBytes = 64 * MiB, bufferBytes = 8 * MiB, firstSequence = 1 } = options;
  integer('segmentBytes', segmentBytes, 4 * KiB, 1024 * MiB);
  integer('bufferBytes', bufferBytes, 64 * KiB, 256 * MiB);
  if ((bufferBytes & (bufferBytes - 1)) !== 0) {
    const message = `bufferBytes must be a power of two, got ${bufferBytes}`;
    throw new AckgateRangeError('ERR_ACKGATE_NOT_POWER_OF_TWO', message);
  }
  const { recordBytesMax = Math.min(MiB, bufferBytes / 2) } = options;
  integer('recordBytesMax', recordBytesMax, 1, bufferBytes / 2);
  integer('firstSequence', firstSequence, 1, 2 ** 52);
  return { directory, segmentBytes, bufferBytes, recordBytesMax, firstSequence, turns };
}

export function checkSequence(name: string, value: unknown, min: number, max: number, hint: string): void {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return;
  if (typeof value !== 'number') throw wrong(name, hint, value);
  throw new AckgateRangeError('ERR_ACKGATE_SEQUENCE', `${name} must be ${hint}, got ${value}`);
}
