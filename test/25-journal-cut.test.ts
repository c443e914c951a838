import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { cutJournal, cutLocked } from '#ackgate/journal/cut.js';
import { FileJournal } from '#ackgate/journal/index.js';
import { recover } from '#ackgate/journal/recover.js';
import { replay } from '#ackgate/journal/replay.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import { type DiskCall, withDisk } from './support/crashing-fs.js';
import {
  appendGroup,
  appendWholeGroup,
  expectRecords,
  runFixture,
  segmentNames,
  temporaryDirectory,
} from './support/journal.js';

// Hundreds of recoveries: in memory where there is such a place, as durability is not what is tested here.
const fast = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Segments of batches; returns the last sequence of each batch. */
async function makeJournal(directory: string, batches = [5, 1, 3, 1, 4], segments = 5): Promise<number[]> {
  const ends: number[] = [];
  for (let segment = 0; segment < segments; segment++) {
    const journal = await FileJournal.open({ directory });
    for (const count of batches) {
      await appendWholeGroup(journal, count);
      ends.push(journal.lastSequence);
    }
    await journal.close();
  }
  return ends;
}

/** One with five segments and 70 records, and where its batches end. Only copied. */
const specimen = { directory: '', ends: [0] };

beforeAll(async () => {
  specimen.directory = mkdtempSync(join(fast, 'ackgate-cut-'));
  specimen.ends.push(...(await makeJournal(specimen.directory)));
  expect(specimen.ends.at(-1)).toBe(70);
  return () => rmSync(specimen.directory, { recursive: true });
});

function copyOf(directory = specimen.directory): string {
  const copy = temporaryDirectory(fast);
  cpSync(directory, copy, { recursive: true });
  return copy;
}

/** Recovers it, as opening does, and checks every record. Returns the last sequence. */
function recoverWhole(directory: string, first = 1): number {
  const { recovered } = recover(directory, 1);
  expect(recovered.firstSequence).toBe(first);
  let next = first;
  for (const { sequence, payload } of replay(directory, first, recovered.lastSequence)) {
    if (sequence !== next || !payloadOf(sequence).equals(payload)) expect.fail(`record ${next} is wrong`);
    next++;
  }
  expect(next - 1).toBe(recovered.lastSequence);
  return recovered.lastSequence;
}

/** The same with all that belongs to it; appends more, and checks again. */
async function openWhole(directory: string, first = 1): Promise<number> {
  const journal = await FileJournal.open({ directory });
  expect(journal.firstSequence).toBe(first);
  const last = expectRecords(journal);
  await appendGroup(journal, 3);
  expectRecords(journal);
  await journal.close();
  return last;
}

const keptOf = (after: number) => specimen.ends.findLast((end) => end <= after)!;

test('what is above the cut is gone, what is not is there, and a batch is kept or cut whole', () => {
  for (let after = 0; after <= 72; after++) {
    const copy = copyOf();
    expect(cutLocked(copy, after)).toBe(keptOf(after));
    // Nothing but a journal is left.
    expect(readdirSync(copy).filter((name) => !name.endsWith('.segment'))).toEqual(['journal', 'lock']);
    expect(cutLocked(copy, after)).toBe(keptOf(after));
    expect(recoverWhole(copy)).toBe(keptOf(after));
    rmSync(copy, { recursive: true });
  }
});

test.each([70, 45, 28, 0])('a journal cut at %i is opened, and goes on', async (after) => {
  const copy = copyOf();
  expect(await cutJournal(copy, after)).toBe(keptOf(after));
  expect(await openWhole(copy)).toBe(keptOf(after));
});

test('group commit: a cut in the middle of a group of many batches', async () => {
  const directory = temporaryDirectory(fast);
  const journal = await FileJournal.open({ directory });
  // Stopped, so that all of them make one group.
  await journal.pause();
  for (let i = 1; i <= 50; i++) expect(journal.append(payloadOf(i))).toBe(i);
  journal.resume();
  await journal.flush();
  await journal.close();
  for (const after of [49, 31, 30, 1, 0]) {
    expect(cutLocked(directory, after)).toBe(after);
    expect(recoverWhole(directory)).toBe(after);
  }
});

test('another history can be written behind a cut', async () => {
  const directory = copyOf();
  expect(await cutJournal(directory, 33)).toBe(33);
  const journal = await FileJournal.open({ directory });
  const others = Array.from({ length: 40 }, (_, i) => Buffer.from(`another ${i}`));
  expect(journal.appendBatch(others)).toEqual({ first: 34, last: 73 });
  await journal.close();
  const again = await FileJournal.open({ directory });
  const found = Array.from(again.replay(30), ({ sequence, payload }) => [sequence, Buffer.from(payload)]);
  expect(found).toEqual([
    ...[30, 31, 32, 33].map((sequence) => [sequence, payloadOf(sequence)]),
    ...others.map((payload, i) => [34 + i, payload]),
  ]);
  await again.close();
});

test('the torn tail of a process that was killed is cut with the rest, or off where the rest is kept', async () => {
  const directory = temporaryDirectory(fast);
  await makeJournal(directory, [10], 2);
  const last = join(directory, segmentNames(directory).at(-1)!);
  truncateSync(last, readFileSync(last).length - 60);
  const copy = copyOf(directory);
  expect(cutLocked(directory, 99)).toBe(10);
  expect(recoverWhole(directory)).toBe(10);
  expect(cutLocked(copy, 7)).toBe(0);
  expect(recoverWhole(copy)).toBe(0);
});

describe('refused', () => {
  test('before the oldest record; a journal that was pruned can be emptied', async () => {
    const directory = copyOf();
    const journal = await FileJournal.open({ directory });
    expect(await journal.truncateBefore(31)).toBe(29);
    await journal.close();
    for (const after of [27, 0, -1, 28.5, Number.NaN]) {
      await expect(cutJournal(directory, after)).rejects.toMatchObject({
        code: 'ERR_ACKGATE_SEQUENCE',
        message: expect.stringContaining('28 (before the oldest kept) or more'),
      });
    }
    expect(recoverWhole(directory, 29)).toBe(70);
    expect(await cutJournal(directory, 28)).toBe(28);
    expect(await openWhole(directory, 29)).toBe(28);
  });

  test('while somebody has it open', async () => {
    const directory = temporaryDirectory(fast);
    const journal = await FileJournal.open({ directory });
    await appendGroup(journal, 3);
    await expect(cutJournal(directory, 1)).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_LOCKED' });
    expect(expectRecords(journal)).toBe(3);
    await journal.close();
    // The lock was given back, also after it was refused.
    await expect(cutJournal(directory, -1)).rejects.toMatchObject({ code: 'ERR_ACKGATE_SEQUENCE' });
    expect(await cutJournal(directory, 1)).toBe(1);
  });

  test('where there is no journal, and none is made', async () => {
    const directory = temporaryDirectory(fast);
    for (const path of [directory, join(directory, 'missing')]) {
      await expect(cutJournal(path, 0)).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
    }
    expect(readdirSync(directory)).toEqual([]);
  });

  test('damage, with every file as it was', async () => {
    const directory = copyOf();
    const damagedFile = join(directory, segmentNames(directory)[1]!);
    const bytes = readFileSync(damagedFile);
    bytes[200]! ^= 1;
    writeFileSync(damagedFile, bytes);
    const filesOf = () => readdirSync(directory).map((name) => readFileSync(join(directory, name), 'latin1'));
    const before = filesOf();
    // Also behind the cut: a journal with damage is not to be trusted with a cut.
    for (const after of [10, 40]) {
      await expect(cutJournal(directory, after)).rejects.toMatchObject({
        code: 'ERR_ACKGATE_JOURNAL_DAMAGED',
      });
    }
    const isLock = (i: number) => readdirSync(directory)[i] === 'lock';
    expect(filesOf().filter((_, i) => !isLock(i))).toEqual(before.filter((_, i) => !isLock(i)));
  });
});

/** From the end of segment 3 into the middle of 3, the whole of 3, into 1, everything, and nothing. */
const cuts = [42, 36, 28, 6, 0, 70];

test.each(cuts)(
  'ended at any call on the disk, on the way to %i: a journal, never with more, and cut again',
  async (after) => {
    const directory = temporaryDirectory(fast);
    const ends = [0, ...(await makeJournal(directory))];
    const kept = ends.findLast((end) => end <= after)!;
    const { length } = await withDisk(async () => cutLocked(copyOf(), after));
    expect(length).toBeGreaterThan(after === 70 ? 3 : 6);
    let before = 70;
    for (let crashAt = 0; crashAt < length; crashAt++) {
      const copy = copyOf();
      const { length: done } = await withDisk(async () => cutLocked(copy, after), crashAt);
      expect(done).toBe(crashAt);
      const other = copyOf(copy);
      // As opening finds it: less and less, and at no time less than what is to be kept.
      const left = recoverWhole(copy);
      expect(left).toBeGreaterThanOrEqual(kept);
      expect(left).toBeLessThanOrEqual(before);
      before = left;
      expect(cutLocked(other, after)).toBe(kept);
      expect(recoverWhole(other)).toBe(kept);
      rmSync(copy, { recursive: true });
      rmSync(other, { recursive: true });
    }
    expect(before).toBe(kept);
  },
);

test('a power cut: nothing is changed before what was changed before it is durable', async () => {
  const directory = copyOf();
  const segments = segmentNames(directory);
  const calls = await withDisk(async () => cutLocked(directory, 34));
  const text = ({ name, file }: DiskCall) => `${name.replace('Sync', '')} ${file}`;
  const directoryName = directory.slice(directory.lastIndexOf('/') + 1);
  const empty = '00000000000000000071.segment';
  const made = (name: string) => [
    `open ${name}.tmp`,
    `writev ${name}.tmp`,
    `fsync ${name}.tmp`,
    `rename ${name}.tmp`,
    `fsync ${directoryName}`,
  ];
  const removed = (name: string) => [`unlink ${name}`, `fsync ${directoryName}`];
  expect(calls.map(text)).toEqual([
    // Recovery: the last group once more, and an empty segment.
    `writev ${segments[4]}`,
    `fsync ${segments[4]}`,
    ...made(empty),
    ...removed(empty),
    ...removed(segments[4]!),
    ...removed(segments[3]!),
    `ftruncate ${segments[2]}`,
    `fsync ${segments[2]}`,
    ...made('00000000000000000035.segment'),
  ]);
});

test('kill -9 at any call on the disk', async () => {
  let before = 70;
  let kills = 0;
  for (let call = 1; ; call += 3) {
    const copy = copyOf();
    const { lines, signal, errors } = await runFixture('journal-cut.mjs', [copy, '34', String(call)])
      .finished;
    expect(errors).toBe('');
    const left = recoverWhole(copy);
    expect(left).toBeLessThanOrEqual(before);
    expect(left).toBeGreaterThanOrEqual(34);
    before = left;
    if (signal === null) {
      expect(lines).toEqual(['cut 34']);
      expect(left).toBe(34);
      break;
    }
    expect(signal).toBe('SIGKILL');
    kills++;
  }
  expect(kills).toBeGreaterThan(4);
});

describe('what a replay says of batches', () => {
  test('which records go on, also in the middle of one and from another segment on', async () => {
    const directory = temporaryDirectory(fast);
    const ends = await makeJournal(directory, [3, 1, 2], 2);
    const journal = await FileJournal.open({ directory });
    for (const from of [1, 2, 3, 4, 8, 12]) {
      for (const { sequence, ...record } of journal.replay(from)) {
        expect(record.goesOn).toBe(ends.includes(sequence) ? undefined : true);
        expect('goesOn' in record).toBe(!ends.includes(sequence));
      }
    }
    await journal.close();
  });

  test('a replay during appends never ends within a batch', async () => {
    const directory = temporaryDirectory(fast);
    await using journal = await FileJournal.open({ directory });
    for (let i = 0; i < 200; i++) {
      journal.appendBatch(Array.from({ length: 7 }, () => Buffer.from('x')));
      let last: boolean | undefined;
      for (const { goesOn } of journal.replay(Math.max(1, journal.primaryCursor - 3))) last = goesOn;
      expect(last).toBeUndefined();
      if (i % 20 === 0) await journal.flush();
    }
    expect(journal.primaryCursor).toBeGreaterThan(0);
  });
});
