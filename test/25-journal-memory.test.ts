import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppendBuffer, wakeWriter } from '#ackgate/journal/append-buffer.js';
import { encodeGroupHeader, recordSeed } from '#ackgate/journal/format.js';
import { FileJournal } from '#ackgate/journal/index.js';
import {
  controlWords,
  createMemory,
  readFailure,
  readPersisted,
  Word,
  writeFailure,
  writePersisted,
} from '#ackgate/journal/memory.js';
import { RecordReader } from '#ackgate/journal/record-reader.js';
import { SegmentScanner } from '#ackgate/journal/scanner.js';
import type { WriterData } from '#ackgate/journal/writer.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import { fileHeader, groupHeader, recordSize, temporaryDirectory } from './support/journal.js';

describe('the persisted position', () => {
  test('holds any sequence', () => {
    const words = controlWords(createMemory(65_536));
    for (const value of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      writePersisted(words, value);
      expect(readPersisted(words, -1)).toBe(value);
    }
  });

  test('is never torn, and never goes back, for a reader on another thread', async () => {
    const memory = createMemory(65_536);
    const words = controlWords(memory);
    const step = 2 ** 31 + 12_345;
    const url = new URL('./fixtures/journal-persisted.mjs', import.meta.url);
    const worker = new Worker(url, { workerData: { memory, step } });
    const ended = new Promise((resolve) => worker.once('message', resolve));
    const deadline = Date.now() + 40_000;
    let known = 0;
    for (let different = 0; different < 500 && Date.now() < deadline; ) {
      const value = readPersisted(words, known);
      if (value % step !== 0 || value < known) expect(value).toBe(`a multiple of ${step} from ${known} on`);
      if (value !== known) different++;
      known = value;
    }
    Atomics.store(words, Word.closing, 1);
    expect(await ended).toBe(readPersisted(words, 0));
    expect(known).toBeGreaterThan(0);
  });

  test('a writer that was stopped between two words leaves the last good one', () => {
    const words = controlWords(createMemory(65_536));
    writePersisted(words, 2 ** 32 - 1);
    Atomics.store(words, Word.persisted + 2, 1);
    expect(readPersisted(words, 2 ** 32 - 2)).toBe(2 ** 32 - 2);
  });
});

test('the reason of a failure: the first one stays, however long', () => {
  const memory = createMemory(65_536);
  expect(readFailure(memory)).toBeNull();
  writeFailure(memory, `no room: ${'é'.repeat(5_000)}`);
  writeFailure(memory, 'another');
  expect(readFailure(memory)).toMatch(/^no room: éé/);
});

test('records pass through the buffer whole, wherever they wrap', () => {
  const bufferBytes = 65_536;
  const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(20_000)), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(sizes, fc.nat(2 ** 32 - 1), fc.nat(9), (all, start, groupMax) => {
      const memory = createMemory(bufferBytes);
      const words = controlWords(memory);
      // Wrapping counters: from anywhere, past 32 bits.
      const position = (start & ~7) | 0;
      Atomics.store(words, Word.published, position);
      Atomics.store(words, Word.consumed, position);
      const buffer = new AppendBuffer(memory);
      const reader = new RecordReader(memory);
      const salt = Buffer.from('12345678');
      const parts: Buffer[] = [Buffer.alloc(fileHeader)];
      let offset = fileHeader;
      let first = 1;
      let sequence = 0;
      const drain = () => {
        if (sequence < first) return;
        const group = reader.take(first, recordSeed(salt));
        const header = Buffer.alloc(groupHeader);
        encodeGroupHeader(header, salt, offset, group);
        const pieces = reader.pieces().map((piece) => Buffer.from(piece));
        reader.release();
        parts.push(header, ...pieces);
        expect(group.count).toBe(sequence - first + 1);
        offset += groupHeader + group.bytes;
        first = sequence + 1;
      };
      for (const size of all) {
        if (!buffer.hasRoom(recordSize(size)) || sequence - first >= groupMax) drain();
        expect(buffer.hasRoom(recordSize(size))).toBe(true);
        sequence++;
        buffer.put(sequence, Buffer.alloc(size, sequence), false);
        buffer.publish();
      }
      drain();
      expect(buffer.hasRoom(bufferBytes)).toBe(true);
      expect(buffer.hasRoom(bufferBytes + 1)).toBe(false);

      const file = Buffer.concat(parts);
      const scanner = new SegmentScanner(file, { journalId: Buffer.alloc(16), salt, sequence: 1 });
      for (const [i, size] of all.entries()) {
        expect(scanner.next()).toBe(true);
        expect(scanner.sequence).toBe(i + 1);
        if (!scanner.payload.equals(Buffer.alloc(size, i + 1))) expect(scanner.payload).toEqual(size);
      }
      expect([scanner.next(), scanner.fault]).toEqual([false, null]);
    }),
  );
});

test('a waiter is always told, whenever it begins to wait', async () => {
  // Where a sync costs nothing, the position moves while the waiter looks at it.
  const directory = temporaryDirectory(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const journal = await FileJournal.open({ directory });
  for (let sequence = 1; sequence <= 10_000; sequence++) {
    journal.append(payloadOf(sequence));
    for (let i = 0; i < (sequence * 37) % 3_000; i++) Atomics.load(spun, 0);
    await journal.whenPersisted(sequence);
  }
  await journal.close();
});
const spun = new Int32Array(new SharedArrayBuffer(4));

test('no wake is ever lost: a writer that sleeps for ever otherwise takes every record', async () => {
  const memory = createMemory(65_536);
  const words = controlWords(memory);
  // Where a sync costs nothing, the writer goes to sleep between any two records.
  const directory = temporaryDirectory(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const workerData: WriterData = {
    directory,
    memory,
    segmentBytes: 2 ** 30,
    firstSequence: 1,
    turns: undefined,
    parkMs: Number.POSITIVE_INFINITY,
  };
  const worker = new Worker(new URL(import.meta.resolve('#ackgate/journal/writer.js')), { workerData });
  await new Promise((resolve) => worker.once('message', resolve));
  const buffer = new AppendBuffer(memory);
  const count = 20_000;
  const deadline = Date.now() + 40_000;
  let parked = 0;
  for (let sequence = 1; sequence <= count; sequence++) {
    buffer.put(sequence, payloadOf(sequence), false);
    buffer.publish();
    while (readPersisted(words, 0) < sequence) {
      if (Date.now() > deadline) expect(sequence).toBe('taken');
    }
    // Sometimes before it sleeps, sometimes after, sometimes in between.
    for (let i = 0; i < (sequence * 37) % 2_000; i++) parked += Atomics.load(words, Word.parked);
  }
  expect(parked).toBeGreaterThan(0);
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  Atomics.store(words, Word.closing, 1);
  wakeWriter(words);
  expect(await ended).toBe(0);
});
