import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchMessage, type BatchRecord, decodeBatch, encodeBatch } from '#ackgate/nats/batch-codec.js';
import { FetchServer } from '#ackgate/nats/fetch-server.js';
import { Following } from '#ackgate/nats/following.js';
import { Recent } from '#ackgate/nats/recent.js';
import { ReplicaStream } from '#ackgate/nats/replica-stream.js';

const lone = '6f1c8f6e-4a52-4f0b-9a53-0d9f1c7f8a10';

/** A primary's journal: the payload says which sequence it is, batches are of the sizes given. */
function journalOf(batchSizes: readonly number[]): BatchRecord[] {
  const records: BatchRecord[] = [];
  for (const size of batchSizes) {
    for (let i = 0; i < size; i++) {
      records.push({ payload: Uint8Array.of(records.length + 1), goesOn: i < size - 1 });
    }
  }
  return records;
}

function part(journal: readonly BatchRecord[], first: number, count: number) {
  const records = journal.slice(first - 1, first - 1 + count);
  return { first, last: first + records.length - 1, records };
}

/** A replica that keeps what it appends; `rooms` says for each append whether there is room. */
function replica(last: number, rooms: Iterator<boolean> | null = null, aheadBytesMax = 1_000) {
  const appended: number[][] = [];
  const stream = new ReplicaStream(
    last,
    (payloads) => {
      if (rooms?.next().value === false) return false;
      appended.push(payloads.map(([sequence]) => sequence!));
      return true;
    },
    aheadBytesMax,
  );
  return { stream, appended };
}

const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 });

describe('what a replica appends', () => {
  test('is always a beginning of the journal, batch by batch, whatever is lost, doubled, late or out of order', () => {
    const message = fc.record({
      first: fc.integer({ min: 1, max: 60 }),
      count: fc.integer({ min: 0, max: 12 }),
    });
    const full = fc.infiniteStream(fc.boolean());
    fc.assert(
      fc.property(
        sizes,
        fc.nat(20),
        fc.array(message, { maxLength: 60 }),
        full,
        fc.integer({ min: 60, max: 900 }),
        (batchSizes, from, messages, rooms, aheadMax) => {
          const journal = journalOf(batchSizes);
          const begins = journal.flatMap(({ goesOn }, i) => (goesOn ? [] : [i + 1]));
          const start = [0, ...begins][from % (begins.length + 1)]!;
          const { stream, appended } = replica(start, rooms[Symbol.iterator](), aheadMax);
          for (const { first, count } of messages) {
            if (first > journal.length) continue;
            const before = stream.last;
            stream.take(part(journal, first, count));
            expect(stream.last).toBeGreaterThanOrEqual(before);
            expect(stream.missingFrom === 0 || stream.missingFrom > stream.last).toBe(true);
          }
          expect(appended.flat()).toEqual(journal.slice(start, stream.last).map((_, i) => start + 1 + i));
          for (const batch of appended) expect(journal[batch.at(-1)! - 1]!.goesOn).toBe(false);
          for (const batch of appended)
            expect(batch.slice(0, -1).every((sequence) => journal[sequence - 1]!.goesOn)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('is all of it, once what is said to be missing was fetched', () => {
    const message = fc.record({
      first: fc.integer({ min: 1, max: 60 }),
      count: fc.integer({ min: 1, max: 12 }),
    });
    fc.assert(
      fc.property(
        sizes,
        fc.array(message, { maxLength: 30 }),
        fc.integer({ min: 1, max: 7 }),
        (batchSizes, messages, chunk) => {
          const journal = journalOf(batchSizes);
          const { stream, appended } = replica(0);
          for (const { first, count } of messages)
            if (first <= journal.length) stream.take(part(journal, first, count));
          // The beacon.
          stream.take({ first: journal.length + 1, last: journal.length, records: [] });
          for (let fetches = 0; stream.missingFrom > 0; fetches++) {
            expect(fetches).toBeLessThanOrEqual(journal.length);
            stream.take(part(journal, stream.missingFrom, chunk));
          }
          expect(appended.flat()).toEqual(journal.map((_, i) => i + 1));
        },
      ),
    );
  });

  test('waits behind a gap, and needs only the gap to be fetched', () => {
    const journal = journalOf([1, 1, 1, 1, 1, 1]);
    const { stream, appended } = replica(0);
    stream.take(part(journal, 1, 1));
    stream.take(part(journal, 3, 2));
    stream.take(part(journal, 5, 2));
    expect([stream.last, stream.missingFrom, stream.primaryLast]).toEqual([1, 2, 6]);
    stream.take(part(journal, 2, 1));
    expect([stream.last, stream.missingFrom]).toEqual([6, 0]);
    expect(appended.flat()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('is nothing of a batch whose end has not come', () => {
    const journal = journalOf([1, 4]);
    const { stream, appended } = replica(0);
    stream.take(part(journal, 1, 3));
    expect([stream.last, stream.missingFrom]).toEqual([1, 0]);
    stream.take(part(journal, 4, 2));
    expect(appended).toEqual([[1], [2, 3, 4, 5]]);
  });

  test('with no room in its journal, is fetched once more, from the last whole batch on', () => {
    const journal = journalOf([1, 2, 1]);
    const { stream, appended } = replica(0, [true, false, true, true][Symbol.iterator]());
    stream.take(part(journal, 1, 4));
    expect([stream.last, stream.missingFrom]).toEqual([1, 2]);
    stream.take(part(journal, 2, 3));
    expect(appended).toEqual([[1], [2, 3], [4]]);
  });
});

describe('what a replica is given of what was published last', () => {
  const bytesMax = 4_000;
  const published = (journal: readonly BatchRecord[]) => {
    const recent = new Recent(1_000_000);
    journal.forEach(({ payload, goesOn }, i) => {
      const sequence = i + 1;
      const message = { term: 1, primaryId: lone, first: sequence, last: sequence };
      recent.add({ ...message, bytes: encodeBatch({ ...message, records: [{ payload, goesOn }] }) });
    });
    return recent;
  };

  test('is as much as a message takes: many small ones take a few fetches', () => {
    const journal = journalOf(Array.from({ length: 200 }, () => 1));
    const server = new FetchServer({
      ...{ directory: '/nowhere', term: 1, primaryId: lone },
      recent: published(journal),
      persisted: () => 0,
      messageBytesMax: () => bytesMax,
      now: () => 0,
    });
    const { stream, appended } = replica(3);
    stream.take({ first: 201, last: 200, records: [] });
    let fetches = 0;
    while (stream.missingFrom > 0) {
      const answer = server.answer({ node: 'r1', instance: lone, from: stream.missingFrom }) as Buffer;
      expect(answer.length).toBeLessThanOrEqual(bytesMax);
      stream.take(decodeBatch(answer) as BatchMessage);
      fetches++;
    }
    expect(appended.flat()).toEqual(journal.slice(3).map((_, i) => i + 4));
    // 61 bytes each as they were published.
    expect(fetches).toBe(Math.ceil(197 / Math.floor(bytesMax / 61)));
  });

  test('is nothing when it is not kept, and a message that is larger alone', () => {
    const recent = published(journalOf([1, 1, 1]));
    const has = (sequence: number, most: number) => recent.from(sequence, most).map(({ first }) => first);
    expect(has(4, bytesMax)).toEqual([]);
    expect(has(2, bytesMax)).toEqual([2, 3]);
    expect(has(1, 122)).toEqual([1, 2]);
    expect(has(1, 10)).toEqual([1]);
    const behind = { first: 9, last: 9, bytes: Buffer.alloc(61) };
    recent.add(behind);
    expect(has(2, bytesMax)).toEqual([]);
    expect(has(9, bytesMax)).toEqual([9]);
  });
});

describe('whom a replica follows', () => {
  const [a, b] = ['a', 'b'] as const;

  test('the primary of the latest term, and of two in a term the first that it heard of', () => {
    const following = new Following(3);
    expect(following.hear(2, a)).toBe('over');
    expect(following.hear(3, a)).toBe('new');
    expect(following.hear(3, a)).toBe('current');
    expect(following.hear(3, b)).toBe('second');
    expect(following.hear(4, b)).toBe('new');
    expect(following.hear(3, a)).toBe('over');
    expect([following.term, following.primaryId]).toEqual([4, b]);
  });

  test('never an earlier one again, in any order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.constantFrom(a, b))), (heard) => {
        const following = new Following(0);
        const followed = heard.flatMap(([term, id]) => (following.hear(term, id) === 'new' ? [term] : []));
        expect(followed).toEqual([...new Set(followed)].sort((x, y) => x - y));
      }),
    );
  });
});
