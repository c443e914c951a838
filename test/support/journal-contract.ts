import { randomInt } from 'node:crypto';
import { setTimeout as passed } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startStage } from '#ackgate/index.js';
import { type Journal, type JournalRecord, journalFull } from '#ackgate/journal/index.js';
import { payloadOf } from '../fixtures/journal-payload.mjs';
import { lastPersisted, type Program, runFixture } from './journal.js';

/** One journal on its engine, as the contract opens it, again and again: with a buffer of 1 MiB. */
export interface ContractJournal {
  open(): Promise<Journal>;
  /** The same in another process: plain data. */
  readonly elsewhere: { readonly module: string; readonly name: string; readonly options: object };
  /** Commits that the engine has seen so far; left out where it can't be told. */
  commits?(): Promise<number>;
  /** From here on the engine refuses what the open journal writes; resolves to what makes it whole again. */
  breakIt(): Promise<() => Promise<void>>;
}

/** A time to wait for what is certain to happen: only to end a test that would hang. */
const boundMs = 60_000;
const largeBytes = 256 * 1024;

/** What every journal keeps to. `make` gives a new and empty one to each test. */
export function journalContract(engine: string, make: () => Promise<ContractJournal>): void {
  describe(`journal on ${engine}`, { timeout: boundMs }, () => {
    const opened: Journal[] = [];
    const open = async (journal: ContractJournal): Promise<Journal> => {
      const one = await journal.open();
      opened.push(one);
      return one;
    };
    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close().catch(() => {});
    });

    test('sequences follow one another, and every record is replayed as it was appended', async () => {
      const journal = await open(await make());
      expect([journal.firstSequence, journal.lastSequence, journal.primaryCursor]).toEqual([1, 0, 0]);
      expect(await recordsOf(journal)).toEqual([]);
      expect([1, 2, 3].map((sequence) => journal.append(payloadOf(sequence)))).toEqual([1, 2, 3]);
      expect(journal.appendBatch([4, 5, 6].map(payloadOf))).toEqual({ first: 4, last: 6 });
      expect(journal.append(new Uint8Array(0))).toBe(7);
      await journal.whenPersisted(3);
      expect(journal.primaryCursor).toBeGreaterThanOrEqual(3);
      await journal.flush();
      expect(journal.primaryCursor).toBe(7);
      const records = await recordsOf(journal);
      expect(records.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect(records.at(-1)!.payload).toHaveLength(0);
      expectPayloads(records.slice(0, -1));
    });

    test('replay begins at any sequence, and ends at what was durable', async () => {
      const journal = await open(await make());
      for (let group = 0; group < 5; group++) {
        journal.appendBatch(Array.from({ length: 7 }, (_, i) => payloadOf(journal.lastSequence + 1 + i)));
        await journal.flush();
      }
      for (const from of [1, 2, 7, 8, 20, 34, 35]) {
        const records = await recordsOf(journal, from);
        expectPayloads(records);
        expect([records[0]!.sequence, records.length]).toEqual([from, 36 - from]);
      }
      expect(await recordsOf(journal, 36)).toEqual([]);
      expect(() => journal.replay(0)).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_SEQUENCE' }));
    });

    test('many appends are few commits', async () => {
      const contract = await make();
      const journal = await open(contract);
      const before = (await contract.commits?.()) ?? 0;
      for (let i = 1; i <= 2000; i++) expect(journal.append(payloadOf(i))).toBe(i);
      await journal.flush();
      expect(((await contract.commits?.()) ?? 1) - before).toBeLessThan(500);
      expectPayloads(await recordsOf(journal));
    });

    test('a full buffer refuses for a while, and nothing is lost', async () => {
      const journal = await open(await make());
      const payload = new Uint8Array(largeBytes);
      let refused = 0;
      for (let last = 0; last < 64; ) {
        payload.fill(last + 1);
        const sequence = journal.append(payload);
        if (sequence !== journalFull) {
          last = sequence;
        } else {
          refused++;
          await journal.whenPersisted(journal.lastSequence);
        }
      }
      expect(refused).toBeGreaterThan(0);
      await journal.flush();
      const records = await recordsOf(journal);
      expect(records).toHaveLength(64);
      for (const { sequence, payload } of records) {
        expect(payload.length === largeBytes && payload.every((byte) => byte === sequence)).toBe(true);
      }
    });

    test('a record or batch that never fits is an error', async () => {
      const journal = await open(await make());
      const tooLarge = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_RECORD_TOO_LARGE' });
      expect(() => journal.append(new Uint8Array(1024 * 1024))).toThrow(tooLarge);
      const batch = Array.from({ length: 5 }, () => new Uint8Array(largeBytes));
      expect(() => journal.appendBatch(batch)).toThrow(tooLarge);
      expect(journal.append(payloadOf(1))).toBe(1);
    });

    test('what was durable is there when it is opened again, and it goes on from there', async () => {
      const contract = await make();
      const first = await open(contract);
      for (let i = 1; i <= 20; i++) first.append(payloadOf(i));
      // Closing persists the rest.
      await first.close();
      expect(first.primaryCursor).toBe(20);
      const second = await open(contract);
      expect([second.firstSequence, second.lastSequence, second.primaryCursor]).toEqual([1, 20, 20]);
      expect(second.epoch).toBeGreaterThanOrEqual(first.epoch);
      expect(second.append(payloadOf(21))).toBe(21);
      await second.flush();
      const records = await recordsOf(second);
      expect(records).toHaveLength(21);
      expectPayloads(records);
    });

    test('kill -9: everything that was said to be persisted is there, batches whole', async () => {
      const contract = await make();
      const batch = 5;
      let last = 0;
      for (const window of [batch, 50, 500]) {
        const setup = { ...contract.elsewhere, batch, window };
        const program: Program = runFixture('journal-contract-append.mjs', [JSON.stringify(setup)]);
        await program.line('persisted');
        await passed(randomInt(60));
        program.kill();
        const { lines, errors } = await program.finished;
        expect(errors).toBe('');
        const journal = await open(contract);
        expect(journal.lastSequence).toBeGreaterThanOrEqual(Math.max(lastPersisted(lines), last));
        expect(journal.lastSequence % batch).toBe(0);
        const records = await recordsOf(journal);
        expect(records).toHaveLength(journal.lastSequence);
        expectPayloads(records);
        last = journal.lastSequence;
        await journal.close();
      }
    });

    test('a failure is final: waiters are told, nothing more is taken, what was durable stays', async () => {
      const contract = await make();
      const journal = await open(contract);
      for (let i = 1; i <= 10; i++) journal.append(payloadOf(i));
      await journal.flush();
      const makeWhole = await contract.breakIt();
      const failed = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
      // It may be that it only notices when it writes.
      while (journal.failure === null) {
        if (journal.append(payloadOf(journal.lastSequence + 1)) === journalFull) await passed(1);
        else await journal.whenPersisted(journal.lastSequence).catch(() => {});
      }
      expect(journal.failure).toEqual(failed);
      expect(await journal.failed).toBe(journal.failure);
      expect(() => journal.append(payloadOf(1))).toThrow(failed);
      expect(() => journal.appendBatch([payloadOf(1)])).toThrow(failed);
      const { lastSequence, primaryCursor } = journal;
      if (primaryCursor < lastSequence) {
        await expect(journal.whenPersisted(lastSequence)).rejects.toEqual(failed);
        await expect(journal.close()).rejects.toEqual(failed);
      } else {
        await journal.close();
      }
      await makeWhole();
      const again = await open(contract);
      expect(again.lastSequence).toBeGreaterThanOrEqual(primaryCursor);
      expectPayloads(await recordsOf(again));
    });

    test('a closed journal refuses', async () => {
      const journal = await open(await make());
      await journal.close();
      const closed = expect.objectContaining({ code: 'ERR_ACKGATE_JOURNAL_CLOSED' });
      expect(() => journal.append(payloadOf(1))).toThrow(closed);
      expect(() => journal.appendBatch([payloadOf(1)])).toThrow(closed);
      expect(() => journal.replay()).toThrow(closed);
      await journal.close();
    });

    test('moves the primary cursor of the stage that it drives', async () => {
      const journal = await open(await make());
      for (let i = 1; i <= 3; i++) journal.append(payloadOf(i));
      await journal.flush();
      const stage = await startStage({ epoch: journal.epoch, policy: 'local' });
      // One that could not be fenced by who supersedes this journal.
      const later = await startStage({ epoch: journal.epoch + 1, policy: 'local' });
      try {
        const drivesLater =
          journal.epoch > 0 ? journal.drive(later) : Promise.reject(new Error('has no epochs'));
        await expect(drivesLater).rejects.toThrow(/epoch/);
        await journal.drive(stage);
        expect(stage.cursors.primary.persisted).toBe(3);
        journal.append(payloadOf(4));
        await journal.flush();
        expect(stage.cursors.primary.persisted).toBe(4);
        await expect(journal.drive(stage)).rejects.toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
      } finally {
        await journal.close();
        await stage.close();
        await later.close();
      }
    });
  });
}

export async function recordsOf(journal: Journal, from?: number): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for await (const record of journal.replay(from)) records.push(record);
  return records;
}

/** Each has the bytes of its sequence, without a gap. */
function expectPayloads(records: readonly JournalRecord[]): void {
  records.forEach(({ sequence, payload }, i) => {
    const expected = records[0]!.sequence + i;
    if (sequence === expected && payloadOf(sequence).equals(payload)) return;
    expect({ sequence, payload }).toEqual({ sequence: expected, payload: payloadOf(expected) });
  });
}
