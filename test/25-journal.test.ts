import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { FileJournal, type FileJournalOptions, journalFull } from '#ackgate/journal/index.js';
import { startStage } from '#ackgate/stage/start-stage.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import {
  appendGroup,
  appendWholeGroup,
  expectRecords,
  fileHeader,
  groupHeader,
  recordSize,
  runFixture,
  segmentNames,
  temporaryDirectory,
} from './support/journal.js';

const KiB = 1024;

async function using<T>(options: FileJournalOptions, use: (journal: FileJournal) => T): Promise<Awaited<T>> {
  const journal = await FileJournal.open(options);
  try {
    return await use(journal);
  } finally {
    await journal.close();
  }
}

describe('round trip', () => {
  test('a new journal is empty, in a directory that was not there', async () => {
    const directory = join(temporaryDirectory(), 'not', 'yet');
    await using({ directory }, (journal) => {
      expect(journal.recovered).toEqual({
        firstSequence: 1,
        lastSequence: 0,
        records: 0,
        truncatedBytes: 0,
        segments: 0,
      });
      expect([journal.lastSequence, journal.primaryCursor]).toEqual([0, 0]);
      expect([...journal.replay(1)]).toEqual([]);
    });
  });

  test('records come back in order with their bytes, over many segments and wraps of the buffer', async () => {
    const directory = temporaryDirectory();
    const options = { directory, segmentBytes: 16 * KiB, bufferBytes: 64 * KiB };
    const count = 5_000;
    await using(options, async (journal) => {
      for (let sequence = 1; sequence <= count; sequence++) {
        while (journal.append(payloadOf(sequence)) === journalFull);
      }
      await journal.whenPersisted(count);
      expect(expectRecords(journal)).toBe(count);
    });
    expect(segmentNames(directory).length).toBeGreaterThan(3);
    await using(options, (journal) => {
      expect(journal.recovered).toMatchObject({ firstSequence: 1, lastSequence: count, records: count });
      expect(journal.recovered.truncatedBytes).toBe(0);
      expect(journal.primaryCursor).toBe(count);
      expect(expectRecords(journal)).toBe(count);
    });
  });

  test('goes on where it ended, however often it is opened', async () => {
    const directory = temporaryDirectory();
    for (let run = 0; run < 5; run++) {
      await using({ directory }, async (journal) => {
        expect(journal.recovered.lastSequence).toBe(run * 3);
        expect(journal.recovered.segments).toBe(run);
        if (run < 4) await appendGroup(journal, 3);
      });
    }
    const before = segmentNames(directory);
    await using({ directory }, () => {});
    await using({ directory }, () => {});
    // Opening alone leaves nothing behind.
    expect(segmentNames(directory)).toEqual(before);
  });

  test('replays from any sequence', async () => {
    const directory = temporaryDirectory();
    await using({ directory, segmentBytes: 4 * KiB }, async (journal) => {
      for (let group = 0; group < 30; group++) await appendGroup(journal, 4);
      for (let from = 1; from <= 121; from++) {
        const sequences = Array.from(journal.replay(from), (record) => record.sequence);
        expect(sequences).toEqual(Array.from({ length: 121 - from }, (_, i) => from + i));
      }
      expect([...journal.replay(5_000)]).toEqual([]);
    });
  });

  test('payloads from nothing to the largest, and a ring that they only just fit', async () => {
    const directory = temporaryDirectory();
    const options = { directory, bufferBytes: 64 * KiB };
    const sizes = [0, 1, 7, 8, 9, 4095, 32 * KiB - 1, 32 * KiB, 0, 32 * KiB, 3, 32 * KiB];
    const payloads = sizes.map((size, i) => Buffer.alloc(size, i + 1));
    const check = (journal: FileJournal) => {
      const replayed = Array.from(journal.replay(), (record) => Buffer.from(record.payload));
      expect(replayed).toEqual(payloads);
    };
    await using(options, async (journal) => {
      for (const payload of payloads) while (journal.append(payload) === journalFull);
      await journal.whenPersisted(sizes.length);
      check(journal);
    });
    await using(options, check);
  });

  test('a flush is done when everything before it is persisted, at once when it is', async () => {
    await using({ directory: temporaryDirectory() }, async (journal) => {
      await journal.flush();
      for (let sequence = 1; sequence <= 1000; sequence++) journal.append(payloadOf(sequence));
      const flushed = journal.flush();
      journal.append(payloadOf(1001));
      await flushed;
      expect(journal.primaryCursor).toBeGreaterThanOrEqual(1000);
      await Promise.all([journal.flush(), journal.flush()]);
      expect(journal.primaryCursor).toBe(1001);
    });
  });

  test('sequences past 32 bits', async () => {
    const directory = temporaryDirectory();
    const firstSequence = 2 ** 32 - 5;
    await using({ directory, firstSequence }, async (journal) => {
      expect(journal.primaryCursor).toBe(firstSequence - 1);
      for (let i = 0; i < 10; i++) {
        expect(journal.append(payloadOf(firstSequence + i))).toBe(firstSequence + i);
        await journal.whenPersisted(firstSequence + i);
        expect(journal.primaryCursor).toBe(firstSequence + i);
      }
    });
    // An old journal goes on where it ended, whatever the option says.
    await using({ directory, firstSequence: 1 }, (journal) => {
      expect(journal.recovered).toMatchObject({ firstSequence, lastSequence: 2 ** 32 + 4, records: 10 });
      expectRecords(journal, 2 ** 32 - 2);
    });
  });

  test('the file has the documented layout', async () => {
    const directory = temporaryDirectory();
    const journal = await FileJournal.open({ directory });
    await appendWholeGroup(journal, 3);
    const sizes = [1, 2, 3].map((sequence) => recordSize(payloadOf(sequence).length));
    const expected = fileHeader + groupHeader + sizes.reduce((sum, size) => sum + size);
    expect(statSync(join(directory, segmentNames(directory)[0]!)).size).toBe(expected);
    await journal.close();
    // The seal.
    expect(statSync(join(directory, segmentNames(directory)[0]!)).size).toBe(expected + groupHeader);
  });
});

describe('appending', () => {
  test('keeps a copy: the caller may use its buffer again', async () => {
    await using({ directory: temporaryDirectory() }, async (journal) => {
      const buffer = Buffer.from('first');
      journal.append(buffer);
      buffer.write('other');
      await journal.whenPersisted(1);
      expect(Buffer.from([...journal.replay()][0]!.payload).toString()).toBe('first');
    });
  });

  test('a full buffer is a value, and drains', async () => {
    const bufferBytes = 64 * KiB;
    await using({ directory: temporaryDirectory(), bufferBytes }, async (journal) => {
      const payload = Buffer.alloc(8 * KiB - 16);
      const batch = Array.from({ length: 8 }, () => payload);
      let accepted = 0;
      const deadline = Date.now() + 30_000;
      let sawFull = 0;
      while (sawFull < 3 && Date.now() < deadline) {
        if (journal.appendBatch(batch) === 'full') sawFull++;
        else accepted += batch.length;
        const sequence = journal.append(payload);
        if (sequence === journalFull) sawFull++;
        else expect(sequence).toBe(++accepted);
      }
      expect(sawFull).toBeGreaterThanOrEqual(3);
      expect(journal.lastSequence).toBe(accepted);
      await journal.whenPersisted(accepted);
      expect(journal.append(payload)).toBe(accepted + 1);
      expect(Array.from(journal.replay(), (record) => record.sequence)).toHaveLength(accepted);
    });
  });

  test('a batch that fits the buffer exactly', async () => {
    await using({ directory: temporaryDirectory(), bufferBytes: 64 * KiB }, async (journal) => {
      const batch = Array.from({ length: 64 }, () => Buffer.alloc(KiB - 16, 5));
      expect(journal.appendBatch(batch)).toEqual({ first: 1, last: 64 });
      await journal.whenPersisted(64);
      expect([...journal.replay()]).toHaveLength(64);
    });
  });

  test('an engine that never yields sees the cursor move', async () => {
    await using({ directory: temporaryDirectory() }, (journal) => {
      const deadline = Date.now() + 30_000;
      for (let sequence = 1; sequence <= 50; sequence++) {
        journal.append(payloadOf(sequence));
        while (journal.primaryCursor < sequence && Date.now() < deadline);
        expect(journal.primaryCursor).toBe(sequence);
      }
    });
  });

  test('waiters resolve in any order, and together with the cursor', async () => {
    await using({ directory: temporaryDirectory() }, async (journal) => {
      const waits: Promise<void>[] = [journal.whenPersisted(0)];
      const order: number[] = [];
      for (let i = 0; i < 200; i++) journal.append(payloadOf(i + 1));
      for (const sequence of [200, 3, 100, 3, 1, 150]) {
        const wait = journal.whenPersisted(sequence).then(() => {
          expect(journal.primaryCursor).toBeGreaterThanOrEqual(sequence);
          order.push(sequence);
        });
        waits.push(wait);
      }
      await Promise.all(waits);
      expect(order.toSorted((a, b) => a - b)).toEqual([1, 3, 3, 100, 150, 200]);
    });
  });
});

describe('the end', () => {
  test('close persists everything that was appended, and may be called again', async () => {
    const directory = temporaryDirectory();
    const journal = await FileJournal.open({ directory });
    for (let sequence = 1; sequence <= 2_000; sequence++) journal.append(payloadOf(sequence));
    const waits = [journal.whenPersisted(2_000), journal.close(), journal.close()];
    await Promise.all(waits);
    expect(journal.primaryCursor).toBe(2_000);
    await using({ directory }, (again) => expect(expectRecords(again)).toBe(2_000));
  });

  test('close persists what came while the writer was busy', async () => {
    const directory = temporaryDirectory();
    const batch = Array.from({ length: 1024 }, () => Buffer.alloc(KiB - 16));
    let last = 0;
    for (let run = 0; run < 10; run++) {
      const journal = await FileJournal.open({ directory });
      expect(journal.recovered.lastSequence).toBe(last);
      for (let i = 0; i < 5; i++) journal.appendBatch(batch);
      await journal.close();
      last += 5 * batch.length;
      expect(journal.primaryCursor).toBe(last);
      if (run % 3 === 2) await using({ directory }, (again) => again.truncateBefore(last + 1));
    }
  });

  test('every use after close is refused; what is known stays readable', async () => {
    const journal = await FileJournal.open({ directory: temporaryDirectory() });
    await appendGroup(journal, 2);
    const closing = journal.close();
    for (const isClosed of [false, true]) {
      if (isClosed) await closing;
      const closed = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_CLOSED' });
      expect(() => journal.append(payloadOf(3))).toThrow(closed);
      expect(() => journal.appendBatch([payloadOf(3)])).toThrow(closed);
      expect(() => journal.replay()).toThrow(closed);
      await expect(journal.truncateBefore(1)).rejects.toThrow(closed);
      await expect(journal.whenPersisted(2)).resolves.toBeUndefined();
      expect([journal.lastSequence, journal.primaryCursor, journal.failure]).toEqual([2, 2, null]);
    }
  });

  test.each([
    ['nothing more to do', 'go', 0],
    ['process.exit', 'append-and-exit', 7],
    ['an uncaught exception', 'append-and-throw', 1],
  ])('an open journal does not hold up a process that ends by %s', async (_, then, code) => {
    const directory = temporaryDirectory();
    const { finished } = runFixture('journal-open.mjs', [directory, then]);
    expect(await finished).toMatchObject({ code, signal: null, lines: ['opened 0'] });
    await using({ directory }, (journal) => expect(journal.recovered.truncatedBytes).toBe(0));
  });
});

describe('pruning', () => {
  test('removes whole segments from the front, and the journal knows it', async () => {
    const directory = temporaryDirectory();
    const options = { directory, segmentBytes: 4 * KiB };
    await using(options, async (journal) => {
      for (let group = 0; group < 20; group++) await appendWholeGroup(journal, 10);
      const names = segmentNames(directory);
      expect(await journal.truncateBefore(1)).toBe(1);
      const oldest = await journal.truncateBefore(100);
      expect(oldest).toBeGreaterThan(50);
      expect(oldest).toBeLessThanOrEqual(100);
      expect(journal.firstSequence).toBe(oldest);
      expect(segmentNames(directory)).toEqual(names.filter((name) => Number.parseInt(name, 10) >= oldest));
      expectRecords(journal, oldest);
      expect(() => journal.replay(oldest - 1)).toThrow(
        expect.objectContaining({ code: 'ERR_ACKGATE_SEQUENCE' }),
      );
      // The segment that is being written stays.
      await journal.truncateBefore(201);
      await appendGroup(journal, 1);
      expectRecords(journal);
    });
    await using(options, async (journal) => {
      expect(journal.recovered.lastSequence).toBe(201);
      await journal.truncateBefore(202);
    });
    // Also when nothing is left: the sequences go on.
    await using(options, async (journal) => {
      expect(journal.recovered).toMatchObject({ firstSequence: 202, lastSequence: 201, records: 0 });
      await appendGroup(journal, 1);
      expect(journal.lastSequence).toBe(202);
    });
  });

  test('may go on while records are appended and while closing', async () => {
    const directory = temporaryDirectory();
    const options = { directory, segmentBytes: 4 * KiB };
    let oldest = 0;
    await using(options, async (journal) => {
      const prunings: Promise<number>[] = [];
      for (let i = 0; i < 30; i++) {
        await appendWholeGroup(journal, 10);
        prunings.push(
          journal.truncateBefore(journal.primaryCursor - 20 > 0 ? journal.primaryCursor - 20 : 1),
        );
      }
      const closing = journal.close();
      await Promise.allSettled(prunings);
      await closing;
      oldest = journal.firstSequence;
    });
    await using(options, (journal) => {
      expect(journal.recovered).toMatchObject({ firstSequence: oldest, lastSequence: 300 });
      expectRecords(journal);
    });
  });
});

describe('the cursor of a stage', () => {
  test('starts at what was recovered and follows, while the engine never yields', async () => {
    const directory = temporaryDirectory();
    await using({ directory }, (journal) => appendGroup(journal, 5));
    const stage = await startStage({ policy: 'local', connections: 4 });
    try {
      await using({ directory }, async (journal) => {
        await journal.drive(stage);
        expect(stage.cursors.primary.persisted).toBe(5);
        const deadline = Date.now() + 30_000;
        for (let sequence = 6; sequence <= 30; sequence++) {
          journal.append(payloadOf(sequence));
          while (journal.primaryCursor < sequence && Date.now() < deadline);
          expect(stage.cursors.primary.persisted).toBe(sequence);
        }
      });
    } finally {
      await stage.close();
    }
  });

  test('a stage that has ended holds up neither the records nor the close', async () => {
    const directory = temporaryDirectory();
    const stage = await startStage({ policy: 'local', connections: 4 });
    await using({ directory }, async (journal) => {
      await journal.drive(stage);
      await appendGroup(journal, 3);
      await stage.close();
      await appendGroup(journal, 3);
    });
    await using({ directory }, async (journal) => {
      await expect(journal.drive(stage)).rejects.toMatchObject({ code: 'ERR_ACKGATE_STAGE_CLOSED' });
      expect(expectRecords(journal)).toBe(6);
    });
  });

  test('a journal that is behind the cursor is not the one that belongs to it', async () => {
    const stage = await startStage({ policy: 'local', connections: 4 });
    try {
      stage.cursors.primary.advance(1_000);
      const directory = temporaryDirectory();
      await using({ directory }, (journal) => appendGroup(journal, 3));
      await using({ directory }, async (journal) => {
        const refused = { code: 'ERR_ACKGATE_CURSOR_REGRESSED' };
        await expect(journal.drive(stage)).rejects.toMatchObject(refused);
        expect(stage.cursors.primary.persisted).toBe(1_000);
        // It is a journal all the same, and may drive another stage.
        await appendGroup(journal, 1);
        const other = await startStage({ policy: 'local', connections: 4 });
        await journal.drive(other);
        expect(other.cursors.primary.persisted).toBe(4);
        await other.close();
      });
    } finally {
      await stage.close();
    }
  });
});

describe('bad input', () => {
  const directory = '/nonexistent';
  const cases: [string, unknown, string, RegExp][] = [
    ['no options', undefined, 'INVALID_ARGUMENT', /options/],
    ['no directory', {}, 'INVALID_ARGUMENT', /directory/],
    ['an empty directory', { directory: '' }, 'INVALID_ARGUMENT', /directory/],
    ['a misspelt option', { directory, segmentBites: 1 }, 'UNKNOWN_OPTION', /did you mean segmentBytes/],
    ['an unknown option', { directory, colour: 1 }, 'UNKNOWN_OPTION', /colour.*bufferBytes/],
    ['a size in words', { directory, bufferBytes: '1 MiB' }, 'INVALID_ARGUMENT', /bufferBytes.*1 MiB/],
    ['NaN', { directory, segmentBytes: Number.NaN }, 'OUT_OF_RANGE', /segmentBytes/],
    ['a small segment', { directory, segmentBytes: 10 }, 'OUT_OF_RANGE', /segmentBytes/],
    ['a fraction', { directory, recordBytesMax: 10.5 }, 'OUT_OF_RANGE', /recordBytesMax/],
    [
      'records over half of the buffer',
      { directory, bufferBytes: 65536, recordBytesMax: 32769 },
      'OUT_OF_RANGE',
      /recordBytesMax/,
    ],
    ['no power of two', { directory, bufferBytes: 100_000 }, 'NOT_POWER_OF_TWO', /bufferBytes/],
    ['sequence 0', { directory, firstSequence: 0 }, 'OUT_OF_RANGE', /firstSequence/],
  ];
  test.each(cases)('open: %s', async (_, options, code, message) => {
    const opening = FileJournal.open(options as FileJournalOptions);
    await expect(opening).rejects.toMatchObject({ code: `ERR_ACKGATE_${code}`, message });
    await expect(opening).rejects.toBeInstanceOf(AckgateError);
  });

  test('open: a directory that can not be made', async () => {
    const failed = { code: 'ERR_ACKGATE_JOURNAL_FAILED', message: /ENOTDIR/ };
    await expect(FileJournal.open({ directory: '/dev/null/x' })).rejects.toMatchObject(failed);
    const refused = { code: 'ERR_ACKGATE_JOURNAL_FAILED', message: /ENOENT/ };
    await expect(FileJournal.open({ directory: '/proc/nope/x' })).rejects.toMatchObject(refused);
  });

  test('drive: what is no stage, and a second stage', async () => {
    const invalid = { code: 'ERR_ACKGATE_INVALID_ARGUMENT' };
    const fence = async () => {};
    await using({ directory: temporaryDirectory() }, async (journal) => {
      for (const wrong of [undefined, 5, {}, { share: () => ({ memory: 5 }) }])
        await expect(journal.drive(wrong as never)).rejects.toMatchObject(invalid);
      for (const share of [() => ({ memory: 5, timings: {} }), () => ({ timings: () => {} }), () => 5])
        await expect(journal.drive({ share, fence } as never)).rejects.toMatchObject(invalid);
      const stage = await startStage({ policy: 'local', connections: 4 });
      try {
        await journal.drive(stage);
        await expect(journal.drive(stage)).rejects.toMatchObject({ ...invalid, message: /one stage/ });
        await appendGroup(journal, 3);
        expect(stage.cursors.primary.persisted).toBe(3);
      } finally {
        await stage.close();
      }
    });
  });

  test('drive: in a pause', async () => {
    await using({ directory: temporaryDirectory() }, async (journal) => {
      await appendGroup(journal, 3);
      await journal.pause();
      const stage = await startStage({ policy: 'local', connections: 4 });
      try {
        await journal.drive(stage);
        expect(stage.cursors.primary.persisted).toBe(3);
      } finally {
        await stage.close();
      }
    });
  });

  test('of the methods; nothing of it is taken', async () => {
    await using({ directory: temporaryDirectory(), bufferBytes: 64 * KiB }, async (journal) => {
      const invalid = expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
      const tooLarge = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_RECORD_TOO_LARGE' });
      const sequence = expect.objectContaining({ code: 'ERR_ACKGATE_SEQUENCE' });
      const any = (value: unknown) => value as never;
      for (const payload of ['text', null, undefined, 5, [1], new ArrayBuffer(3)]) {
        expect(() => journal.append(any(payload))).toThrow(invalid);
        expect(() => journal.appendBatch([payloadOf(1), any(payload)])).toThrow(invalid);
      }
      for (const batch of [[], 'text', null, payloadOf(1)]) {
        expect(() => journal.appendBatch(any(batch))).toThrow(invalid);
      }
      expect(() => journal.appendBatch([])).toThrow(/at least one payload, got \[\]$/);
      expect(() => journal.append(Buffer.alloc(32 * KiB + 1))).toThrow(tooLarge);
      const large = Buffer.alloc(32 * KiB);
      expect(() => journal.appendBatch([large, large])).toThrow(tooLarge);
      expect(() => journal.append(Buffer.alloc(32 * KiB + 1))).toThrow(RangeError);
      for (const from of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
        expect(() => journal.replay(any(from))).toThrow(sequence);
      }
      for (const from of ['1', null]) expect(() => journal.replay(any(from))).toThrow(invalid);
      for (const wanted of ['0', undefined]) {
        await expect(journal.whenPersisted(any(wanted))).rejects.toThrow(invalid);
        await expect(journal.truncateBefore(any(wanted))).rejects.toThrow(invalid);
      }
      for (const wanted of [1, -1, 0.5, Number.NaN, 2 ** 53]) {
        await expect(journal.whenPersisted(any(wanted))).rejects.toThrow(sequence);
        if (wanted !== 1) await expect(journal.truncateBefore(any(wanted))).rejects.toThrow(sequence);
      }
      expect(journal.lastSequence).toBe(0);
      await appendGroup(journal, 2);
      expectRecords(journal);
    });
  });
});
