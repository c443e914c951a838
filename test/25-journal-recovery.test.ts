import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { AppendBuffer } from '#ackgate/journal/append-buffer.js';
import { listSegments } from '#ackgate/journal/files.js';
import { recordSeed } from '#ackgate/journal/format.js';
import { FileJournal } from '#ackgate/journal/index.js';
import { createMemory } from '#ackgate/journal/memory.js';
import { RecordReader } from '#ackgate/journal/record-reader.js';
import { type Recovered, recover } from '#ackgate/journal/recover.js';
import { replay } from '#ackgate/journal/replay.js';
import { SegmentWriter } from '#ackgate/journal/segment-writer.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import {
  appendGroup,
  appendWholeGroup,
  expectRecords,
  fileHeader,
  groupHeader,
  recordSize,
  segmentNames,
  temporaryDirectory,
} from './support/journal.js';

// Thousands of recoveries: in memory where there is such a place, as durability is not what is tested here.
const fast = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** The files of a journal that was open when its process died, and how the last segment's groups lie in it. */
interface Specimen {
  files: Map<string, Buffer>;
  /** Name of the last segment, and its bytes. */
  last: string;
  bytes: Buffer;
  /** First sequence of the last segment. */
  first: number;
  groups: { start: number; end: number; recordEnds: number[] }[];
}

/** @param sizes records of each group of the last segment; two other segments come before it */
async function specimen(sizes: number[]): Promise<Specimen> {
  const directory = temporaryDirectory(fast);
  for (let i = 0; i < 2; i++) {
    const earlier = await FileJournal.open({ directory });
    await appendWholeGroup(earlier, 5);
    await appendWholeGroup(earlier, 5);
    await earlier.close();
  }
  const first = 21;
  writeGroups(directory, sizes);
  const last = segmentNames(directory).at(-1)!;
  const files = new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))]));
  let at = fileHeader;
  let sequence = first;
  const groups = sizes.map((size) => {
    const start = at;
    at += groupHeader;
    const recordEnds = Array.from({ length: size }, () => {
      at += recordSize(payloadOf(sequence++).length);
      return at;
    });
    return { start, end: at, recordEnds };
  });
  const bytes = files.get(last)!;
  expect(at).toBe(bytes.length);
  return { files, last, bytes, first, groups };
}

/** What the writer's thread does, at a pace of our own: one group of single records after the other. */
function writeGroups(directory: string, sizes: number[]): void {
  const { segment, recovered } = recover(directory, 1);
  const memory = createMemory(65_536);
  const buffer = new AppendBuffer(memory);
  const reader = new RecordReader(memory);
  const writer = new SegmentWriter(segment);
  let sequence = recovered.lastSequence;
  for (const size of sizes) {
    const first = sequence + 1;
    for (let i = 0; i < size; i++) buffer.put(++sequence, payloadOf(sequence), false);
    buffer.publish();
    writer.write(reader.take(first, recordSeed(segment.salt)), reader.pieces());
    reader.release();
  }
  writer.close();
}

/** A directory with the files of the specimen. */
function laidOut(from: Specimen): string {
  const directory = temporaryDirectory(fast);
  for (const [name, bytes] of from.files) writeFileSync(join(directory, name), bytes);
  return directory;
}

/** Recovers a copy of the specimen whose last segment holds these bytes. */
function recoverWith(from: Specimen, bytes: Uint8Array): Recovered {
  const directory = laidOut(from);
  try {
    writeFileSync(join(directory, from.last), bytes);
    const { recovered } = recover(directory, 1);
    let next = recovered.firstSequence;
    for (const { sequence, payload } of replay(directory, next, recovered.lastSequence)) {
      expect(sequence).toBe(next);
      if (!payloadOf(next).equals(payload)) expect(payload).toEqual(payloadOf(next));
      next++;
    }
    expect(next - 1).toBe(recovered.lastSequence);
    // Once is enough: what was cut is gone, and nothing else is.
    const again = recover(directory, 1).recovered;
    expect(again).toEqual({ ...recovered, truncatedBytes: 0 });
    return recovered;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function expectDamage(work: () => unknown, file: string, offset: number): void {
  let caught: unknown;
  try {
    work();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(AckgateError);
  const { code, message } = caught as AckgateError;
  expect(code).toBe('ERR_ACKGATE_JOURNAL_DAMAGED');
  expect(message).toContain(`${file} is damaged at byte ${offset}:`);
}

/** Last sequence of which every byte, and every byte before it, lies in front of `offset`. */
function lastBefore(of: Specimen, offset: number): number {
  let last = of.first - 1;
  for (const group of of.groups) last += group.recordEnds.filter((end) => end <= offset).length;
  return last;
}

describe('a torn tail', () => {
  let some: Specimen;
  beforeAll(async () => {
    some = await specimen([3, 1, 4]);
  });

  test('cut at every byte: all records before the cut are kept, and no other', () => {
    for (let size = 0; size <= some.bytes.length; size++) {
      const recovered = recoverWith(some, some.bytes.subarray(0, size));
      expect([size, recovered.lastSequence]).toEqual([size, lastBefore(some, size)]);
      expect(recovered.records).toBe(recovered.lastSequence);
      const keptBytes = size - recovered.truncatedBytes;
      expect(keptBytes).toBeLessThanOrEqual(size);
      if (recovered.lastSequence >= some.first)
        expect(lastBefore(some, keptBytes)).toBe(recovered.lastSequence);
    }
  });

  test('zeros from any byte of the last group on, in a file of any length', () => {
    const { start, end } = some.groups.at(-1)!;
    for (let from = start; from <= end; from++) {
      const bytes = Buffer.alloc(end + (from % 5) * 1000);
      some.bytes.copy(bytes, 0, 0, from);
      // Bytes at the end of a record may be zero anyway.
      const isWhole = (size: number) => some.bytes.subarray(0, size).equals(bytes.subarray(0, size));
      const ends = some.groups.flatMap((group) => group.recordEnds);
      expect(recoverWith(some, bytes).lastSequence).toBe(some.first - 1 + ends.filter(isWhole).length);
    }
  });

  test('anything at all behind the last group is cut', () => {
    const tail = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(tail, (garbage) => {
        const recovered = recoverWith(some, Buffer.concat([some.bytes, garbage]));
        expect(recovered).toMatchObject({
          lastSequence: lastBefore(some, some.bytes.length),
          truncatedBytes: garbage.length,
        });
      }),
    );
  });

  test('what a disk block held before is not taken for a part of the file', async () => {
    // Groups of the same journal, and of the same sequences, but of another segment.
    const other = await specimen([3, 1, 4]);
    const { start } = some.groups[2]!;
    const bytes = Buffer.concat([some.bytes.subarray(0, start), other.bytes.subarray(start)]);
    expect(recoverWith(some, bytes).lastSequence).toBe(lastBefore(some, start));
    // The same inside of a group.
    const [kept] = some.groups[2]!.recordEnds;
    const mixed = Buffer.concat([some.bytes.subarray(0, kept), other.bytes.subarray(kept)]);
    expect(recoverWith(some, mixed).lastSequence).toBe(lastBefore(some, kept!));
    // Groups of the same segment, but from another place of it.
    const moved = Buffer.concat([some.bytes, some.bytes.subarray(fileHeader)]);
    expect(recoverWith(some, moved).lastSequence).toBe(lastBefore(some, some.bytes.length));
  });

  test('a journal goes on after the cut, with the same sequences and other bytes', async () => {
    const directory = laidOut(some);
    truncateSync(join(directory, some.last), some.bytes.length - 1);
    const journal = await FileJournal.open({ directory });
    expect(journal.recovered.lastSequence).toBe(lastBefore(some, some.bytes.length) - 1);
    await appendGroup(journal, 20);
    await journal.close();
    const again = await FileJournal.open({ directory });
    expect(again.recovered.truncatedBytes).toBe(0);
    expectRecords(again);
    await again.close();
  });

  test('a segment that was made last and has nothing in it', () => {
    const size = 10_000;
    for (const bytes of [Buffer.alloc(0), some.bytes.subarray(0, 63), Buffer.alloc(64), Buffer.alloc(size)]) {
      const recovered = recoverWith(some, bytes);
      expect(recovered).toMatchObject({ lastSequence: some.first - 1, truncatedBytes: bytes.length });
    }
  });

  test('files that were never finished are removed', async () => {
    const directory = laidOut(some);
    const temporary = join(directory, '00000000000000000099.segment.tmp');
    writeFileSync(temporary, 'half a head');
    expect(recover(directory, 1).recovered.lastSequence).toBe(lastBefore(some, some.bytes.length));
    expect(existsSync(temporary)).toBe(false);
  });

  test('a journal whose making was interrupted at any point is made again', () => {
    const directory = temporaryDirectory(fast);
    recover(directory, 50);
    // The segment is there, the journal file was not yet.
    rmSync(join(directory, 'journal'));
    expect(recover(directory, 50).recovered).toMatchObject({ firstSequence: 50, lastSequence: 49 });
    truncateSync(listSegments(directory)[0]!.path, 20);
    rmSync(join(directory, 'journal'));
    expect(recover(directory, 50).recovered).toMatchObject({ firstSequence: 50, lastSequence: 49 });
  });
});

describe('one group on disk', () => {
  test('pages of it that are missing are a torn tail; pages missing before it are damage', async () => {
    const page = 4096;
    const some = await specimen([70, 4, 120]);
    const { start, end } = some.groups.at(-1)!;
    const pages = Math.ceil(end / page);
    expect(Math.floor(end / page) - Math.floor(start / page)).toBeGreaterThanOrEqual(4);
    const holes = fc.uniqueArray(fc.nat(pages - 1), { minLength: 1 });
    let tornCount = 0;
    let damagedCount = 0;
    fc.assert(
      fc.property(holes, (missing) => {
        const bytes = Buffer.from(some.bytes);
        // Neither the header of the segment, which was durable long before, nor what other groups say.
        for (const hole of missing)
          bytes.fill(0, Math.max(hole * page, fileHeader), Math.min((hole + 1) * page, end));
        const firstHole = Math.max(Math.min(...missing) * page, fileHeader);
        const isProven = bytes
          .subarray(start, start + groupHeader)
          .equals(some.bytes.subarray(start, start + groupHeader));
        if (firstHole < start && isProven) {
          damagedCount++;
          expect(() => recoverWith(some, bytes)).toThrow(
            expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_DAMAGED' }),
          );
        } else if (firstHole >= start) {
          tornCount++;
          expect(recoverWith(some, bytes).lastSequence).toBe(lastBefore(some, firstHole));
        }
      }),
      { numRuns: 300 },
    );
    expect(tornCount).toBeGreaterThan(5);
    expect(damagedCount).toBeGreaterThan(5);
  });

  test('a batch is all there or not at all, wherever the file is cut', async () => {
    const live = temporaryDirectory(fast);
    const journal = await FileJournal.open({ directory: live });
    await appendWholeGroup(journal, 2);
    await appendWholeGroup(journal, 6);
    const name = segmentNames(live)[0]!;
    const bytes = readFileSync(join(live, name));
    await journal.close();
    const kept = new Set<number>();
    for (let size = fileHeader; size <= bytes.length; size += 3) {
      const directory = temporaryDirectory(fast);
      cpSync(live, directory, { recursive: true });
      writeFileSync(join(directory, name), bytes.subarray(0, size));
      kept.add(recover(directory, 1).recovered.lastSequence);
      rmSync(directory, { recursive: true });
    }
    expect([...kept].sort()).toEqual([0, 2]);
    writeFileSync(join(live, name), bytes);
    expect(recover(live, 1).recovered.lastSequence).toBe(8);
  });
});

describe('damage', () => {
  let some: Specimen;
  beforeAll(async () => {
    some = await specimen([3, 1, 4]);
  });

  test('one bit, anywhere: refused with the offset where a later group proves it, else cut there', () => {
    const { groups } = some;
    const tail = groups.at(-1)!;
    const bit = fc.record({ at: fc.integer({ min: fileHeader, max: tail.end - 1 }), bit: fc.nat(7) });
    fc.assert(
      fc.property(bit, ({ at, bit }) => {
        const bytes = Buffer.from(some.bytes);
        bytes[at]! ^= 1 << bit;
        const group = groups.find(({ end }) => at < end)!;
        const parts = [group.start, group.start + groupHeader, ...group.recordEnds];
        const part = parts.findLast((start) => start <= at)!;
        if (group === tail) {
          expect(recoverWith(some, bytes).lastSequence).toBe(lastBefore(some, part));
        } else {
          expectDamage(() => recoverWith(some, bytes), some.last, part);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a bad bit in the header of the last segment is no torn tail', () => {
    for (let at = 0; at < fileHeader; at++) {
      const bytes = Buffer.from(some.bytes);
      bytes[at]! ^= 1;
      expectDamage(() => recoverWith(some, bytes), some.last, 0);
    }
  });

  test('changes no byte of any file', () => {
    const directory = laidOut(some);
    const path = join(directory, some.last);
    const bytes = Buffer.from(some.bytes);
    bytes[some.groups[1]!.start + groupHeader + 20]! ^= 1;
    writeFileSync(path, bytes);
    const before = segmentNames(directory);
    expectDamage(() => recover(directory, 1), some.last, some.groups[1]!.start + groupHeader);
    expect(segmentNames(directory)).toEqual(before);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test('after an orderly close the very last record is covered, too', async () => {
    const directory = temporaryDirectory(fast);
    const journal = await FileJournal.open({ directory });
    await appendGroup(journal, 3);
    await journal.close();
    const path = join(directory, segmentNames(directory)[0]!);
    const bytes = readFileSync(path);
    bytes[bytes.length - groupHeader - 5]! ^= 1;
    writeFileSync(path, bytes);
    const opening = FileJournal.open({ directory });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_DAMAGED' });
    // The lock was given back.
    await expect(FileJournal.open({ directory })).rejects.toMatchObject({
      code: 'ERR_ACKGATE_JOURNAL_DAMAGED',
    });
  });

  const edits: [string, (directory: string, names: string[]) => void, number, RegExp][] = [
    [
      'a bad record in an earlier segment',
      (d, [first]) => flip(join(d, first!), 200),
      0,
      /damaged at byte \d+/,
    ],
    [
      'an earlier segment that is cut',
      (d, [, second]) => cut(join(d, second!), 500),
      1,
      /damaged at byte \d+/,
    ],
    [
      'an earlier segment without its header',
      (d, [, second]) => cut(join(d, second!), 0),
      1,
      /within its header/,
    ],
    [
      'something behind an earlier segment',
      (d, [first]) => appendFileSync(join(d, first!), 'x'),
      0,
      /no valid group/,
    ],
    [
      'a segment missing from the middle',
      (d, [, second]) => rmSync(join(d, second!)),
      0,
      /next segment starts with 21/,
    ],
    [
      'the first segment missing',
      (d, [first]) => rmSync(join(d, first!)),
      -1,
      /segment that starts with sequence 1 is/,
    ],
    ['all segments missing', (d, names) => names.map((name) => rmSync(join(d, name))), -1, /is missing/],
    ['the journal file missing', (d) => rmSync(join(d, 'journal')), -1, /file is missing/],
    ['a bad journal file', (d) => flip(join(d, 'journal'), 20), -1, /checksum/],
    ['an empty journal file', (d) => cut(join(d, 'journal'), 0), -1, /within its header/],
    [
      'a segment under another name',
      (d, names) => rename(d, names[2]!, 29),
      1,
      /next segment starts with 29/,
    ],
    [
      'a segment in the place of another',
      (d, [, b, c]) => cpSync(join(d, c!), join(d, b!)),
      1,
      /starts with sequence 21/,
    ],
  ];
  test.each(edits)('%s', (_, edit, index, message) => {
    const directory = laidOut(some);
    const names = segmentNames(directory);
    expect(names).toHaveLength(3);
    edit(directory, names);
    let caught: unknown;
    try {
      recover(directory, 1);
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_DAMAGED', message });
    const named = index === -1 ? 'journal' : (segmentNames(directory)[index] ?? names[index]!);
    expect((caught as Error).message).toContain(`${named} is damaged`);
  });

  test('a segment of another journal', async () => {
    const other = await specimen([3, 1, 4]);
    const directory = laidOut(some);
    writeFileSync(join(directory, some.last), other.bytes);
    expectDamage(() => recover(directory, 1), some.last, 16);
  });

  test('found while replaying', async () => {
    const directory = temporaryDirectory(fast);
    const journal = await FileJournal.open({ directory });
    await appendWholeGroup(journal, 3);
    await appendWholeGroup(journal, 3);
    const name = segmentNames(directory)[0]!;
    const second = fileHeader + groupHeader + recordSize(payloadOf(1).length);
    flip(join(directory, name), second + 20);
    const seen: number[] = [];
    expectDamage(
      () => {
        for (const { sequence } of journal.replay(1)) seen.push(sequence);
      },
      name,
      second,
    );
    expect(seen).toEqual([1]);
    await journal.close();
  });
});

test('pruning that was interrupted is finished', async () => {
  const directory = temporaryDirectory(fast);
  const journal = await FileJournal.open({ directory, segmentBytes: 4096 });
  for (let i = 0; i < 10; i++) await appendWholeGroup(journal, 20);
  const names = segmentNames(directory);
  expect(names.length).toBeGreaterThan(5);
  const copy = temporaryDirectory(fast);
  cpSync(directory, copy, { recursive: true });
  const oldest = await journal.truncateBefore(100);
  await journal.close();
  // The journal file already says so; of the segments only one is gone, and not the oldest.
  cpSync(join(directory, 'journal'), join(copy, 'journal'));
  rmSync(join(copy, names[1]!));
  expect(recover(copy, 1).recovered).toMatchObject({ firstSequence: oldest, lastSequence: 200 });
  expect(listSegments(copy)[0]!.first).toBe(oldest);
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 0x10;
  writeFileSync(path, bytes);
}

function cut(path: string, size: number): void {
  expect(statSync(path).size).toBeGreaterThan(size);
  truncateSync(path, size);
}

function rename(directory: string, name: string, first: number): void {
  renameSync(join(directory, name), join(directory, `${String(first).padStart(20, '0')}.segment`));
}
