import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cutJournal } from '#ackgate/journal/cut.js';
import { FileJournal } from '#ackgate/journal/index.js';
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

/** Five segments of batches; returns the last sequence of each batch. */
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

/** Opens it, checks every record, appends more, and checks again. Returns the last sequence that was there. */
async function expectWhole(directory: string, first = 1): Promise<number> {
  const journal = await FileJournal.open({ directory });
  expect(journal.firstSequence).toBe(first);
  const last = expectRecords(journal);
  await appendGroup(journal, 3);
  expectRecords(journal);
  await journal.close();
  return last;
}

function copyOf(directory: string): string {
  const copy = temporaryDirectory(fast);
  cpSync(directory, copy, { recursive: true });
  return copy;
}

test('what is above the cut is gone, what is not is there, and a batch is kept or cut whole', async () => {
  const directory = temporaryDirectory(fast);
  const ends = [0, ...(await makeJournal(directory))];
  expect(ends.at(-1)).toBe(70);
  for (let after = 0; after <= 72; after++) {
    const copy = copyOf(directory);
    const kept = ends.findLast((end) => end <= after)!;
    expect(await cutJournal(copy, after)).toBe(kept);
    // Nothing but a journal is left.
    expect(readdirSync(copy).filter((name) => !name.endsWith('.segment'))).toEqual(['journal', 'lock']);
    expect(await cutJournal(copy, after)).toBe(kept);
    expect(await expectWhole(copy)).toBe(kept);
    rmSync(copy, { recursive: true });
  }
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
    expect(await cutJournal(directory, after)).toBe(after);
    const again = await FileJournal.open({ directory });
    expect(expectRecords(again)).toBe(after);
    await again.close();
  }
});

test('another history can be written behind a cut', async () => {
  const directory = temporaryDirectory(fast);
  await makeJournal(directory);
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
  expect(await cutJournal(directory, 99)).toBe(10);
  expect(await expectWhole(directory)).toBe(10);
  expect(await cutJournal(copy, 7)).toBe(0);
  expect(await expectWhole(copy)).toBe(0);
});

describe('refused', () => {
  test('before the oldest record; a journal that was pruned can be emptied', async () => {
    const directory = temporaryDirectory(fast);
    await makeJournal(directory);
    const journal = await FileJournal.open({ directory });
    expect(await journal.truncateBefore(31)).toBe(29);
    await journal.close();
    for (const after of [27, 0, -1, 28.5, Number.NaN]) {
      await expect(cutJournal(directory, after)).rejects.toMatchObject({
        code: 'ERR_ACKGATE_SEQUENCE',
        message: expect.stringContaining('28 (before the oldest kept) or more'),
      });
    }
    expect(await expectWhole(directory, 29)).toBe(70);
    expect(await cutJournal(directory, 28)).toBe(28);
    expect(await expectWhole(directory, 29)).toBe(28);
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
    const directory = temporaryDirectory(fast);
    await makeJournal(directory);
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
    const { length } = await withDisk(() => cutJournal(copyOf(directory), after));
    expect(length).toBeGreaterThan(after === 70 ? 3 : 6);
    let before = 70;
    for (let crashAt = 0; crashAt < length; crashAt++) {
      const copy = copyOf(directory);
      const { length: done } = await withDisk(() => cutJournal(copy, after), crashAt);
      expect(done).toBe(crashAt);
      const other = copyOf(copy);
      // As opening finds it: less and less, and at no time less than what is to be kept.
      const left = await expectWhole(copy);
      expect(left).toBeGreaterThanOrEqual(kept);
      expect(left).toBeLessThanOrEqual(before);
      before = left;
      expect(await cutJournal(other, after)).toBe(kept);
      expect(await expectWhole(other)).toBe(kept);
      rmSync(copy, { recursive: true });
      rmSync(other, { recursive: true });
    }
    expect(before).toBe(kept);
  },
);

test('a power cut: nothing is changed before what was changed before it is durable', async () => {
  const directory = temporaryDirectory(fast);
  await makeJournal(directory);
  const segments = segmentNames(directory);
  const calls = await withDisk(() => cutJournal(directory, 34));
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
  const directory = temporaryDirectory(fast);
  await makeJournal(directory, [5, 1, 3], 3);
  let before = 27;
  let kills = 0;
  for (let call = 0; ; call += 2) {
    const copy = copyOf(directory);
    const { lines, signal, errors } = await runFixture('journal-cut.mjs', [copy, '10', String(call)])
      .finished;
    expect(errors).toBe('');
    const left = await expectWhole(copy);
    expect(left).toBeLessThanOrEqual(before);
    expect(left).toBeGreaterThanOrEqual(9);
    before = left;
    if (signal === null) {
      expect(lines).toEqual(['cut 9']);
      expect(left).toBe(9);
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
