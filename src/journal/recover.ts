import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  damaged,
  journalFile,
  listSegments,
  type SegmentFile,
  syncDirectory,
  temporarySuffix,
  writeFileDurably,
  writeFully,
} from './files.js';
import { decodeFileHeader, encodeFileHeader, type FileHeader, fileHeaderBytes } from './format.js';
import { SegmentScanner } from './scanner.js';
import { createSegment, type Segment } from './segment-writer.js';

/** What was found when a journal was opened. */
export interface Recovered {
  /** Oldest sequence that is kept; `lastSequence + 1` when there is none. */
  firstSequence: number;
  /** Highest sequence on disk, durable by now. */
  lastSequence: number;
  /** Number of records. */
  records: number;
  /** Bytes of a torn tail that were cut off. They belonged to records that were never persisted. */
  truncatedBytes: number;
  /** Number of segment files that hold records. */
  segments: number;
}

export interface Recovery {
  journalId: Buffer;
  /** Where to go on. */
  segment: Segment;
  recovered: Recovered;
}

/**
 * Brings a journal's directory into the state in which it can be appended to: a torn tail is cut, what is left is
 * durable, and the last segment is a new and empty one. Changes nothing before it knows that nothing is damaged.
 *
 * @param firstSequence where a new journal starts
 * @throws ERR_ACKGATE_JOURNAL_DAMAGED
 */
export function recover(directory: string, firstSequence: number): Recovery {
  const journal = readJournalFile(directory);
  const present = listSegments(directory);
  if (journal === null) return create(directory, present, firstSequence);

  // Older ones were being pruned: the file that says so comes first, the unlinking after it.
  const pruned = present.filter((segment) => segment.first < journal.sequence);
  const segments = present.slice(pruned.length);
  if (segments[0]?.first !== journal.sequence) {
    const what = `the segment that starts with sequence ${journal.sequence} is missing`;
    throw damaged(join(directory, journalFile), 40, what);
  }

  const { journalId } = journal;
  const ends = segments.map((segment, i) => scanSegment(segment, segments[i + 1], journalId));
  const end = ends[ends.length - 1]!;
  for (const segment of pruned) unlinkSync(segment.path);
  removeTemporaries(directory);
  const truncatedBytes = Math.max(0, end.fileBytes - end.wholeEnd);
  if (end.lastSequence >= end.first) makeTailDurable(end, truncatedBytes > 0);
  // Over the last one, if that holds no record: the name is the same.
  const segment = createSegment(directory, journalId, end.lastSequence + 1);
  const records = end.lastSequence + 1 - journal.sequence;
  const withRecords = end.lastSequence >= end.first ? segments.length : segments.length - 1;
  return {
    journalId,
    segment,
    recovered: {
      firstSequence: journal.sequence,
      lastSequence: end.lastSequence,
      records,
      truncatedBytes,
      segments: withRecords,
    },
  };
}

/** The segment comes first: where the journal file is, a segment is missing or there. */
function create(directory: string, present: readonly SegmentFile[], firstSequence: number): Recovery {
  const holdsData = present.find((segment) => readFileSync(segment.path).length > fileHeaderBytes);
  if (present.length > 1 || holdsData !== undefined) {
    throw damaged(join(directory, journalFile), 0, 'the file is missing, but there are segments');
  }
  for (const segment of present) unlinkSync(segment.path);
  removeTemporaries(directory);
  const journalId = randomBytes(16);
  const segment = createSegment(directory, journalId, firstSequence);
  writeFileDurably(join(directory, journalFile), encodeJournalFile(journalId, firstSequence));
  const lastSequence = firstSequence - 1;
  const recovered = { firstSequence, lastSequence, records: 0, truncatedBytes: 0, segments: 0 };
  return { journalId, segment, recovered };
}

/** @param oldest sequence of the oldest record that must be there */
export function encodeJournalFile(journalId: Buffer, oldest: number): Buffer {
  return encodeFileHeader('journal', { journalId, salt: Buffer.alloc(8), sequence: oldest });
}

function readJournalFile(directory: string): FileHeader | null {
  const path = join(directory, journalFile);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const header = decodeFileHeader('journal', bytes);
  if (typeof header === 'string') throw damaged(path, 0, header);
  return header;
}

interface SegmentEnd {
  path: string;
  first: number;
  lastSequence: number;
  fileBytes: number;
  wholeEnd: number;
  /** The last group that is kept; nothing but a later group says that its sync had succeeded. */
  lastGroup: { offset: number; bytes: Buffer };
}

/** @param next the segment after it; none: this is the last, and may have a torn tail */
function scanSegment(segment: SegmentFile, next: SegmentFile | undefined, journalId: Buffer): SegmentEnd {
  const { path, first } = segment;
  const file = readFileSync(path);
  const header = decodeFileHeader('segment', file);
  if (typeof header === 'string') {
    // Nothing is written into a segment before its header is durable, so there is nothing to lose in this one.
    if (next === undefined && isTornHeader(file)) return emptyEnd(segment, file.length);
    throw damaged(path, 0, header);
  }
  if (!header.journalId.equals(journalId)) throw damaged(path, 16, 'it belongs to another journal');
  if (header.sequence !== first) throw damaged(path, 40, `it starts with sequence ${header.sequence}`);

  const scanner = new SegmentScanner(file, header);
  while (scanner.next());
  const { fault, wholeEnd, wholeSequence } = scanner;
  if (next !== undefined) {
    if (fault !== null) throw damaged(path, fault.offset, fault.reason);
    if (scanner.sequence + 1 !== next.first) {
      const what = `its last sequence is ${scanner.sequence}, but the next segment starts with ${next.first}`;
      throw damaged(path, file.length, what);
    }
  } else if (fault !== null) {
    const proof = scanner.groupAfterFault();
    if (proof !== 0) {
      throw damaged(
        path,
        fault.offset,
        `${fault.reason}, and the group at byte ${proof} says it was durable`,
      );
    }
  }
  const lastGroup = { offset: scanner.wholeGroup, bytes: file.subarray(scanner.wholeGroup, wholeEnd) };
  return { path, first, lastSequence: wholeSequence, fileBytes: file.length, wholeEnd, lastGroup };
}

function isTornHeader(file: Buffer): boolean {
  return file.length < fileHeaderBytes || file.every((byte) => byte === 0);
}

function emptyEnd({ path, first }: SegmentFile, fileBytes: number): SegmentEnd {
  const lastGroup = { offset: 0, bytes: Buffer.alloc(0) };
  return { path, first, lastSequence: first - 1, fileBytes, wholeEnd: 0, lastGroup };
}

/**
 * The records of the last group may be in the page cache only. If their sync failed, the kernel may even hold their
 * pages for clean, and a second sync would succeed without writing anything: so they are written once more.
 */
function makeTailDurable(end: SegmentEnd, isTorn: boolean): void {
  const fd = openSync(end.path, 'r+');
  try {
    if (isTorn) ftruncateSync(fd, end.wholeEnd);
    writeFully(fd, [end.lastGroup.bytes], end.lastGroup.offset);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function removeTemporaries(directory: string): void {
  const left = readdirSync(directory).filter((name) => name.endsWith(temporarySuffix));
  for (const name of left) unlinkSync(join(directory, name));
  if (left.length > 0) syncDirectory(directory);
}
