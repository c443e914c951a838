import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  writevSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AckgateError } from '../errors.js';

export const journalFile = 'journal';
export const lockFile = 'lock';
export const temporarySuffix = '.tmp';
const segmentName = /^(\d{20})\.segment$/;

export interface SegmentFile {
  path: string;
  /** Sequence of the first record, as the name says. */
  first: number;
}

export function segmentPath(directory: string, first: number): string {
  return join(directory, `${String(first).padStart(20, '0')}.segment`);
}

/** The segments of a journal, oldest first. */
export function listSegments(directory: string): SegmentFile[] {
  const segments: SegmentFile[] = [];
  for (const name of readdirSync(directory)) {
    const match = segmentName.exec(name);
    if (match !== null) segments.push({ path: join(directory, name), first: Number(match[1]) });
  }
  return segments.sort((a, b) => a.first - b.first);
}

/** Makes the directory so that a power cut can't take it away again, together with the records in it. */
export function ensureDirectory(path: string): void {
  const directory = resolve(path);
  const firstMade = makeDirectories(directory);
  let made = directory;
  // One level at least: an earlier run may have made the directory and died before it was synced.
  do {
    syncParent(dirname(made), firstMade !== undefined);
    if (firstMade === undefined || made === firstMade) return;
    made = dirname(made);
  } while (made !== dirname(made));
}

/**
 * Makes what is missing of a path, and returns the first that was. One by one: Node's own `recursive` never returns
 * where a file system refuses with ENOENT below a folder that is there, as /proc does.
 */
function makeDirectories(directory: string): string | undefined {
  const missing: string[] = [];
  for (let path = directory; !existsSync(path); path = dirname(path)) missing.unshift(path);
  for (const path of missing) {
    try {
      mkdirSync(path);
    } catch (error) {
      // Somebody else was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  return missing[0];
}

function syncParent(path: string, isOurs: boolean): void {
  try {
    syncDirectory(path);
  } catch (error) {
    // A parent that we may not even read was made, and made durable, by somebody else.
    const { code } = error as NodeJS.ErrnoException;
    if (isOurs || (code !== 'EACCES' && code !== 'EPERM')) throw error;
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a file with this content, or replaces one: a power cut leaves the old or the new, never a part. */
export function writeFileDurably(path: string, content: Uint8Array): void {
  const temporary = path + temporarySuffix;
  const fd = openSync(temporary, 'w');
  try {
    writeFully(fd, [content], 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** Writes all of it. A short write is not a failure and is continued; the error that stopped it then shows itself. */
export function writeFully(fd: number, parts: readonly Uint8Array[], position: number): void {
  let left = parts;
  let at = position;
  while (left.length > 0) {
    const written = writevSync(fd, left, at);
    if (written === 0) throw new Error('the file takes no more bytes');
    at += written;
    left = after(left, written);
  }
}

function after(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  let skip = bytes;
  for (const part of parts) {
    if (skip < part.length) left.push(part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return left;
}

export function damaged(path: string, offset: number, reason: string): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_JOURNAL_DAMAGED',
    `${path} is damaged at byte ${offset}: ${reason}. Nothing was changed; take the journal from a replica or a copy`,
  );
}
