import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AckgateError } from '../errors.js';
import { ensureDirectory, writeFileDurably } from '../journal/files.js';

const promiseFile = 'promised-term';

/**
 * The highest term that this node has promised to somebody who takes office: also after a restart it follows no earlier
 * primary. 0: none.
 */
export function readPromise(directory: string): number {
  const path = join(directory, promiseFile);
  let written: string;
  try {
    written = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw new AckgateError(
      'ERR_ACKGATE_JOURNAL_FAILED',
      `${path} can't be read: ${(error as Error).message}`,
    );
  }
  const term = /^\d{1,16}\n$/.test(written) ? Number(written) : Number.NaN;
  if (Number.isSafeInteger(term)) return term;
  throw new AckgateError('ERR_ACKGATE_JOURNAL_DAMAGED', `${path} is damaged: it is not a number`);
}

/** In force, also after a power cut, when this returns. */
export function writePromise(directory: string, term: number): void {
  const path = join(directory, promiseFile);
  try {
    ensureDirectory(directory);
    writeFileDurably(path, Buffer.from(`${term}\n`));
  } catch (error) {
    throw new AckgateError(
      'ERR_ACKGATE_JOURNAL_FAILED',
      `${path} can't be written: ${(error as Error).message}`,
    );
  }
}
