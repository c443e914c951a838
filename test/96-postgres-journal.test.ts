import { describe, expect, test } from 'vitest';
import { createTurnLog, readTurns } from '#ackgate/journal/index.js';
import { Committer } from '#ackgate/postgres/committer.js';
import { Connection } from '#ackgate/postgres/connection.js';
import { PostgresJournal } from '#ackgate/postgres/index.js';
import { parseLsn } from '#ackgate/postgres/lsn-map.js';
import { checkServers } from '#ackgate/postgres/servers.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import { journalContract, recordsOf } from './support/journal-contract.js';
import { realPostgres } from './support/real-servers.js';

const cluster = (await realPostgres({ standbys: 0 }))!;
let schemas = 0;

/** A schema for each test: one journal of its own. */
const newSchema = () => `journal_${++schemas}`;

describe.skipIf(cluster === null)('PostgreSQL', () => {
  journalContract('PostgreSQL', async () => {
    const options = { servers: cluster.urls, node: 'one', schema: newSchema(), bufferBytes: 1024 * 1024 };
    return {
      open: () => PostgresJournal.open(options),
      elsewhere: { module: '#ackgate/postgres/index.js', name: 'PostgresJournal', options },
      commits: async () => Number(await cluster.sql(0, `select count(*) from ${options.schema}.journal`)),
      breakIt: async () => {
        await cluster.sql(
          0,
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ackgate one'`,
        );
        return async () => {};
      },
    };
  });

  test('a commit is answered with a position of the log behind its commit record', async () => {
    const schema = newSchema();
    const journal = await PostgresJournal.open({ servers: cluster.urls, node: 'one', schema });
    await journal.close();
    await cluster.sql(0, 'create extension pg_walinspect');
    const { settings } = await checkServers({ servers: cluster.urls });
    const connection = await Connection.open(settings[0]!, { applicationName: 'test' });
    try {
      await connection.query('set synchronous_commit = local');
      const committer = new Committer(connection, schema, journal.epoch);
      const began = await cluster.sql(0, 'select pg_current_wal_lsn()');
      const position = await committer.commit(1, { count: 1, records: Buffer.alloc(5) });
      const commits = await cluster.sql(
        0,
        `select end_lsn from pg_get_wal_records_info_till_end_of_wal('${began}') where record_type = 'COMMIT' and
          xid = (select xmin from ${schema}.journal where first = 1)`,
      );
      expect(position).toBeGreaterThanOrEqual(parseLsn(commits));
      // In another generation nothing is written.
      const other = new Committer(connection, schema, journal.epoch + 1);
      expect(await other.commit(2, { count: 1, records: Buffer.alloc(5) })).toBeNull();
      expect(await cluster.sql(0, `select count(*) from ${schema}.journal`)).toBe('1');
    } finally {
      await connection.end();
    }
  });

  test('the view has a row for each record, for people who look with psql', async () => {
    const schema = newSchema();
    const journal = await PostgresJournal.open({ servers: cluster.urls, node: 'one', schema });
    journal.appendBatch(['one', '', 'three'].map((text) => Buffer.from(text)));
    journal.append(Buffer.alloc(70_000, 7));
    await journal.flush();
    await journal.close();
    const rows = await cluster.sql(
      0,
      `select sequence, goes_on, length(payload), left(convert_from(payload, 'utf8'), 5) from ${schema}.records where sequence < 4`,
    );
    expect(rows.split('\n')).toEqual(['1|t|3|one', '2|t|0|', '3|f|5|three']);
    expect(await cluster.sql(0, `select length(payload) from ${schema}.records where sequence = 4`)).toBe(
      '70000',
    );
  });

  test('replay says which records of a batch go on, and what is missing', async () => {
    const schema = newSchema();
    const journal = await PostgresJournal.open({ servers: cluster.urls, node: 'one', schema });
    for (let group = 0; group < 3; group++) {
      journal.appendBatch([payloadOf(1), payloadOf(2)]);
      await journal.flush();
    }
    const records = await recordsOf(journal);
    expect(records.map(({ goesOn = false }) => goesOn)).toEqual([true, false, true, false, true, false]);
    await cluster.sql(0, `delete from ${schema}.journal where first = 3`);
    await expect(recordsOf(journal)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_JOURNAL_DAMAGED',
      message: expect.stringContaining('sequences 3 to 4 are missing'),
    });
    await cluster.sql(0, `update ${schema}.journal set records = substring(records for 6) where first = 5`);
    await expect(recordsOf(journal, 5)).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_DAMAGED' });
    await journal.close();
  });

  test('the turns that are noted are its commits, one after the other', async () => {
    const turns = createTurnLog(10);
    const options = { servers: cluster.urls, node: 'one', schema: newSchema(), turns };
    const journal = await PostgresJournal.open(options);
    journal.append(payloadOf(1));
    await journal.flush();
    journal.appendBatch([payloadOf(2), payloadOf(3)]);
    await journal.flush();
    await journal.close();
    const noted = readTurns(turns);
    expect(noted.map(({ lastSequence }) => lastSequence)).toEqual([1, 3]);
    const times = noted.flatMap(({ beganNs, endedNs }) => [beganNs, endedNs]);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(new Set(times).size).toBe(4);
    const wrong = { ...options, turns: 10 as never };
    await expect(PostgresJournal.open(wrong)).rejects.toMatchObject({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' });
  });

  test('replay of rows that are large brings all of them', async () => {
    const limits = { bufferBytes: 16 * 1024 * 1024, recordBytesMax: 5 * 1024 * 1024 };
    const options = { servers: cluster.urls, node: 'one', schema: newSchema(), ...limits };
    const journal = await PostgresJournal.open(options);
    const sizes = [3_000_000, 3_000_000, 5_000_000, 10, 20];
    for (const [i, size] of sizes.entries()) {
      journal.append(Buffer.alloc(size, i));
      await journal.flush();
    }
    const records = await recordsOf(journal);
    expect(records.map(({ payload }) => [payload.length, payload.at(-1)])).toEqual(
      sizes.map((size, i) => [size, i]),
    );
    await journal.close();
  });

  test('a session is not ended for being idle, and a question that is not answered has failed', async () => {
    const limits = ['idle_session_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout'];
    for (const name of limits) await cluster.sql(0, `alter role ackgate set ${name} = '10s'`);
    const { settings } = await checkServers({ servers: cluster.urls });
    const connection = await Connection.open(settings[0]!, { applicationName: 'test' });
    try {
      for (const name of limits) {
        const { rows } = await connection.query(`select current_setting('${name}') as value`);
        expect(rows[0]).toEqual({ value: '0' });
      }
      await expect(connection.query('select pg_sleep(60)', [], 100)).rejects.toThrow('within 100 ms');
      await connection.lost;
    } finally {
      await connection.end();
      await cluster.sql(0, 'alter role ackgate reset all');
    }
  });

  test('a server that hangs with a commit has the journal fail in time', async () => {
    const options = { servers: cluster.urls, node: 'one', schema: newSchema(), commitTimeoutMs: 1000 };
    const journal = await PostgresJournal.open(options);
    cluster.freeze(0);
    try {
      journal.append(payloadOf(1));
      expect((await journal.failed).message).toContain('within 1000 ms');
      await expect(journal.close()).rejects.toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_FAILED' });
    } finally {
      cluster.thaw(0);
    }
  });

  test('truncation is for the generation that is in force', async () => {
    const schema = newSchema();
    const journal = await PostgresJournal.open({ servers: cluster.urls, node: 'one', schema });
    for (let group = 0; group < 2; group++) {
      journal.append(payloadOf(1));
      await journal.flush();
    }
    await cluster.sql(0, `update ${schema}.generation set generation = generation + 1`);
    await expect(journal.truncateBefore(2)).rejects.toMatchObject({ code: 'ERR_ACKGATE_SUPERSEDED' });
    expect(await cluster.sql(0, `select count(*) from ${schema}.journal`)).toBe('2');
    await journal.close();
  });

  test('truncation keeps the last group, so that the sequences go on', async () => {
    const schema = newSchema();
    const options = { servers: cluster.urls, node: 'one', schema, firstSequence: 101 };
    const journal = await PostgresJournal.open(options);
    for (let group = 0; group < 3; group++) {
      journal.appendBatch([payloadOf(1), payloadOf(2)]);
      await journal.flush();
    }
    expect([journal.firstSequence, journal.lastSequence]).toEqual([101, 106]);
    expect(await journal.truncateBefore(104)).toBe(103);
    expect(await journal.truncateBefore(107)).toBe(105);
    await expect(journal.truncateBefore(108)).rejects.toMatchObject({ code: 'ERR_ACKGATE_SEQUENCE' });
    expect(() => journal.replay(104)).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_SEQUENCE' }));
    await journal.close();
    const again = await PostgresJournal.open({ ...options, firstSequence: 1 });
    expect([again.firstSequence, again.lastSequence]).toEqual([105, 106]);
    expect((await recordsOf(again)).map(({ sequence }) => sequence)).toEqual([105, 106]);
    await again.close();
  });
});
