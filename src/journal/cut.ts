import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, unlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AckgateError } from '../errors.js';
import { damaged, journalFile, listSegments, type SegmentFile, syncDirectory } from './files.js';
import { decodeFileHeader } from './format.js';
import { lockDirectory } from './lock.js';
import { checkSequence } from './options.js';
import { recover } from './recover.js';
import { SegmentScanner } from './scanner.js';
import { createSegment } from './segment-writer.js';

/**
 * Removes the newest records of a journal that nobody has open: all with a sequence above `after`, and with them the
 * rest of a batch that would be split. For a copy that has what its original lost.
 *
 * It recovers the journal first, as opening does. A process that ends in between, or a power cut, leaves a journal that
 * ends somewhere between the two: cutting again finishes it.
 *
 * @param after a sequence that is kept, or the one before the oldest, which empties the journal
 * @returns the last sequence that is kept: `after`, or a lower one when the journal ended before or a batch was removed
 * @throws (rejects with) ERR_ACKGATE_SEQUENCE when `after` is before that; ERR_ACKGATE_JOURNAL_LOCKED, _DAMAGED, _FAILED
 */
export async function cutJournal(directory: string, after: number): Promise<number> {
  const path = resolve(directory);
  try {
    if (!existsSync(join(path, journalFile))) throw new Error('there is none');
    const lock = await lockDirectory(path);
    try {
      return cutLocked(path, after);
    } finally {
      await lock.release();
    }
  } catch (cause) {
    if (cause instanceof AckgateError) throw cause;
    const message = `journal ${path} can't be cut: ${(cause as Error).message}`;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause });
  }
}

/** The same for who has the directory's lock; at once, and with the file system's own errors. */
export function cutLocked(directory: string, after: number): number {
  const { journalId, recovered } = recover(directory, 1);
  const { firstSequence, lastSequence } = recovered;
  const hint = `${firstSequence - 1} (before the oldest kept) or more`;
  checkSequence('after', after, firstSequence - 1, Number.MAX_SAFE_INTEGER, hint);
  if (after >= lastSequence) return lastSequence;

  // Recovery has left an empty segment behind the last record, so there always is one to remove.
  const segments = listSegments(directory);
  const last = segments.findLastIndex(({ first }) => first <= Math.max(after, firstSequence));
  const end = findEnd(segments[last]!, after);
  // From the end: what is left is a journal after each, if the next one is not gone before.
  for (const { path } of segments.slice(last + 1).reverse()) {
    unlinkSync(path);
    syncDirectory(directory);
  }
  if (end.sequence < segments[last + 1]!.first - 1) truncate(segments[last]!.path, end.offset);
  // It says that everything before it is durable, so that damage can't pass for a torn tail.
  createSegment(directory, journalId, end.sequence + 1);
  return end.sequence;
}

/** Where the last batch ends that has nothing above `after`. */
function findEnd({ path }: SegmentFile, after: number): { offset: number; sequence: number } {
  const file = readFileSync(path);
  const header = decodeFileHeader('segment', file);
  if (typeof header === 'string') throw damaged(path, 0, header);
  const scanner = new SegmentScanner(file, header);
  while (scanner.sequence < after && scanner.next());
  if (scanner.fault !== null) throw damaged(path, scanner.fault.offset, scanner.fault.reason);
  return { offset: scanner.wholeEnd, sequence: scanner.wholeSequence };
}

function truncate(path: string, bytes: number): void {
  const fd = openSync(path, 'r+');
  try {
    ftruncateSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
