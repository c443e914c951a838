import { readFileSync } from 'node:fs';
import { AckgateError } from '../errors.js';
import { damaged, listSegments, type SegmentFile } from './files.js';
import { decodeFileHeader } from './format.js';
import type { JournalRecord } from './journal.js';
import { SegmentScanner } from './scanner.js';

/** The records `from … to`, both durable and kept, read from the files one segment at a time. */
export function* replay(directory: string, from: number, to: number): IterableIterator<JournalRecord> {
  let next = from;
  const segments = listSegments(directory);
  for (const [i, segment] of segments.entries()) {
    if (next > to) return;
    const following = segments[i + 1];
    if (following !== undefined && following.first <= next) continue;
    if (segment.first > next) throw damaged(segment.path, 40, `the segment with sequence ${next} is missing`);
    next = yield* replaySegment(segment, next, to);
  }
}

/** Returns the sequence to go on with. */
function* replaySegment(segment: SegmentFile, from: number, to: number): Generator<JournalRecord, number> {
  const file = readSegment(segment);
  const header = decodeFileHeader('segment', file);
  if (typeof header === 'string') throw damaged(segment.path, 0, header);
  const scanner = new SegmentScanner(file, header);
  while (scanner.next()) {
    const { sequence, payload, goesOn } = scanner;
    if (sequence >= from) yield goesOn ? { sequence, payload, goesOn } : { sequence, payload };
    // What follows is not durable yet and may be half written.
    if (sequence === to) return to + 1;
  }
  if (scanner.fault !== null) throw damaged(segment.path, scanner.fault.offset, scanner.fault.reason);
  return scanner.sequence + 1;
}

function readSegment({ path }: SegmentFile): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const message = `${path} can't be read: ${(cause as Error).message}`;
    throw new AckgateError('ERR_ACKGATE_JOURNAL_FAILED', message, { cause });
  }
}
