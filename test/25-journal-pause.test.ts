import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { FileJournal, type FileJournalOptions, journalFull } from '#ackgate/journal/index.js';
import { createRing, Producer } from '#ackgate/ring/index.js';
import { startStage } from '#ackgate/stage/start-stage.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import {
  appendGroup,
  appendWholeGroup,
  expectRecords,
  runFixture,
  segmentNames,
  temporaryDirectory,
} from './support/journal.js';

const KiB = 1024;
const opened: FileJournal[] = [];

async function open(options: FileJournalOptions): Promise<FileJournal> {
  const journal = await FileJournal.open(options);
  opened.push(journal);
  return journal;
}

afterEach(async () => {
  for (const journal of opened.splice(0)) await journal.close().catch(() => {});
});

/** Everything that a write would change. */
function contents(directory: string): [string, number, Buffer][] {
  return readdirSync(directory)
    .sort()
    .map((name) => {
      const path = join(directory, name);
      return [name, statSync(path).mtimeMs, readFileSync(path)];
    });
}

/** Long enough for the writer's longest sleep to end three times over: it would have written by then. */
const writersChance = () => sleep(300);

/** Appends without waiting. */
function append(journal: FileJournal, count: number): void {
  for (let i = 0; i < count; i++) {
    expect(journal.append(payloadOf(journal.lastSequence + 1))).toBe(journal.lastSequence);
  }
}

describe('while paused', () => {
  test('nothing becomes durable and no file changes; resuming goes on', async () => {
    const directory = temporaryDirectory();
    const journal = await open({ directory });
    await appendGroup(journal, 10);
    expect(await journal.pause()).toBe(true);
    const before = contents(directory);
    append(journal, 20);
    const persisted = journal.whenPersisted(30);
    await writersChance();
    expect(journal.primaryCursor).toBe(10);
    expect(contents(directory)).toEqual(before);
    journal.resume();
    await persisted;
    expect(expectRecords(journal)).toBe(30);
  });

  test('a flush waits for the end of the pause', async () => {
    const journal = await open({ directory: temporaryDirectory() });
    await journal.pause();
    append(journal, 5);
    let flushed = false;
    const flush = journal.flush().then(() => {
      flushed = true;
    });
    await writersChance();
    expect(flushed).toBe(false);
    journal.resume();
    await flush;
    expect(journal.primaryCursor).toBe(5);
  });

  test('the cursor of a stage stands still', async () => {
    const stage = await startStage({
      ring: { capacity: 16, maxPayload: 64 },
      policy: 'local',
    });
    const reaches = async (sequence: number) => {
      while (stage.status().journalCursor < sequence) await sleep(5);
    };
    try {
      const journal = await open({ directory: temporaryDirectory() });
      await journal.drive(stage);
      await appendGroup(journal, 3);
      await reaches(3);
      await journal.pause();
      append(journal, 3);
      await writersChance();
      expect(stage.status().journalCursor).toBe(3);
      journal.resume();
      await reaches(6);
    } finally {
      await stage.close({ drainMs: 0 });
    }
  });

  test('the buffer fills up, and empties afterwards', async () => {
    const directory = temporaryDirectory();
    const journal = await open({ directory, bufferBytes: 64 * KiB });
    await journal.pause();
    while (journal.append(payloadOf(journal.lastSequence + 1)) !== journalFull);
    const last = journal.lastSequence;
    expect(last).toBeGreaterThan(100);
    await writersChance();
    expect(journal.append(payloadOf(last + 1))).toBe(journalFull);
    // Not 0, which would let an answer leave whose request is nowhere.
    const answer = { connectionId: 1, wireSeq: journal.append(payloadOf(last + 1)), payload: payloadOf(1) };
    expect(() => new Producer(createRing()).tryPublish(answer)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_SEQUENCE' }),
    );
    expect(journal.primaryCursor).toBe(0);
    journal.resume();
    await journal.whenPersisted(last);
    expect(expectRecords(journal)).toBe(last);
  });

  test('a copy of the directory is a journal of its own', async () => {
    const directory = temporaryDirectory();
    const copy = join(temporaryDirectory(), 'copy');
    const journal = await open({ directory, segmentBytes: 4 * KiB });
    // Under load, so that the pause has something to stop.
    const load = setInterval(() => append(journal, 20), 1);
    try {
      while (segmentNames(directory).length < 4) await sleep(5);
      await journal.pause();
      const persisted = journal.primaryCursor;
      await sleep(20);
      cpSync(directory, copy, { recursive: true });
      await sleep(20);
      clearInterval(load);
      journal.resume();
      await journal.whenPersisted(journal.lastSequence);

      const copied = await open({ directory: copy });
      expect(copied.recovered).toMatchObject({ lastSequence: persisted, truncatedBytes: 0 });
      expect(expectRecords(copied)).toBe(persisted);
      await appendGroup(copied, 5);
      expect(expectRecords(copied)).toBe(persisted + 5);
    } finally {
      clearInterval(load);
    }
    expect(expectRecords(journal)).toBe(journal.lastSequence);
  });

  test('no file is removed: pruning waits', async () => {
    const directory = temporaryDirectory();
    const journal = await open({ directory, segmentBytes: 4 * KiB });
    for (let group = 0; group < 10; group++) await appendWholeGroup(journal, 40);
    const pruned = journal.truncateBefore(100);
    await journal.pause();
    // That one was asked for before, so it is done.
    const first = await Promise.race([pruned, 'not yet']);
    expect(first).toBeGreaterThan(1);
    const before = segmentNames(directory);
    const later = journal.truncateBefore(300);
    await writersChance();
    expect(segmentNames(directory)).toEqual(before);
    journal.resume();
    expect(await later).toBeGreaterThan(first as number);
    expect(segmentNames(directory).length).toBeLessThan(before.length);
    expect(expectRecords(journal)).toBe(400);
  });
});

describe('the end of a pause', () => {
  test('closing persists everything', async () => {
    const directory = temporaryDirectory();
    const journal = await open({ directory });
    await appendGroup(journal, 5);
    await journal.pause();
    append(journal, 50);
    await journal.close();
    expect(journal.primaryCursor).toBe(55);
    const again = await open({ directory });
    expect(again.recovered).toMatchObject({ lastSequence: 55, truncatedBytes: 0 });
    expect(expectRecords(again)).toBe(55);
  });

  test('a pause that is ended before it began says so', async () => {
    const journal = await open({ directory: temporaryDirectory() });
    const pause = journal.pause();
    journal.resume();
    expect(await pause).toBe(false);
    await appendGroup(journal, 3);

    const last = journal.pause();
    await journal.close();
    expect(await last).toBe(false);
  });

  test('pauses follow each other as closely as they like; each that holds, holds', async () => {
    const journal = await open({ directory: temporaryDirectory() });
    for (let round = 0; round < 300; round++) {
      append(journal, 3);
      const given = journal.pause();
      if (round % 3 === 1) journal.resume();
      if (round % 3 === 2) {
        journal.resume();
        journal.pause();
      }
      const held = await given;
      expect(held).toBe(round % 3 === 0);
      if (held) {
        const cursor = journal.primaryCursor;
        append(journal, 3);
        await sleep(2);
        expect(journal.primaryCursor).toBe(cursor);
        journal.resume();
      }
      journal.resume();
    }
    await journal.whenPersisted(journal.lastSequence);
    expect(expectRecords(journal)).toBe(journal.lastSequence);
  });

  test('who asks twice asks for the same pause', async () => {
    const journal = await open({ directory: temporaryDirectory() });
    expect(await Promise.all([journal.pause(), journal.pause()])).toEqual([true, true]);
    expect(await journal.pause()).toBe(true);
    journal.resume();
    await appendGroup(journal, 3);
    journal.resume();
    await appendGroup(journal, 3);
  });
});

test('a paused journal keeps no process alive', async () => {
  const { code, lines } = await runFixture('journal-open.mjs', [temporaryDirectory(), 'pause']).finished;
  expect(lines).toEqual(['opened 0', 'paused true']);
  expect(code).toBe(0);
});

describe('a journal that can not be paused', () => {
  test('a closed one', async () => {
    const journal = await open({ directory: temporaryDirectory() });
    await journal.close();
    await expect(journal.pause()).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_CLOSED' });
    journal.resume();
  });

  test('a failed one, also when it fails on the way', async () => {
    const directory = temporaryDirectory();
    const journal = await open({ directory, segmentBytes: 4 * KiB });
    await journal.pause();
    append(journal, 100);
    journal.resume();
    await journal.whenPersisted(100);
    // The next group needs a new segment, which finds no directory.
    await journal.pause();
    append(journal, 1);
    rmSync(directory, { recursive: true });
    journal.resume();
    await journal.failed;
    await expect(journal.pause()).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
    journal.resume();
    await expect(journal.truncateBefore(1)).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
    await expect(journal.close()).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
  });
});
