import { describe, expect, onTestFinished, test } from 'vitest';
import type { AckgateError } from '#ackgate/errors.js';
import { Connection } from '#ackgate/postgres/connection.js';
import { PostgresJournal, type PostgresJournalOptions, postgresStandings } from '#ackgate/postgres/index.js';
import { takeOffice } from '#ackgate/postgres/office.js';
import { checkServers } from '#ackgate/postgres/servers.js';
import { realPostgres } from './support/real-servers.js';

const user = { name: 'clerk', password: 'Korrekt Pferd' };
const cluster = (await realPostgres({ standbys: 2, passwordUser: user }))!;
let schemas = 0;

async function open(options: Partial<PostgresJournalOptions> = {}): Promise<PostgresJournal> {
  const journal = await PostgresJournal.open({ servers: cluster.urls, node: 'one', ...options });
  onTestFinished(() => journal.close());
  return journal;
}

async function refusal(options: Partial<PostgresJournalOptions>): Promise<AckgateError> {
  const journal = await PostgresJournal.open({ servers: cluster.urls, node: 'one', ...options }).catch(
    (error: AckgateError) => error,
  );
  if (!(journal instanceof PostgresJournal)) return journal;
  await journal.close();
  throw new Error('it was opened');
}

describe.skipIf(cluster === null)('opening a journal on PostgreSQL', () => {
  test('finds the primary wherever it is in the list, and counts the generation up', async () => {
    const schema = `open_${++schemas}`;
    const [primary, ...standbys] = cluster.urls;
    const first = await open({ schema, servers: [...standbys, primary] });
    expect(first.server).toBe(`127.0.0.1:${cluster.ports[0]}/ackgate`);
    expect(first.epoch).toBe(1);
    await first.close();
    const second = await open({ schema });
    expect(second.epoch).toBe(2);
  });

  test('a password: the right one, from a function, and the wrong one, which no message has', async () => {
    const servers = cluster.passwordUrls;
    const schema = `open_${++schemas}`;
    const journal = await open({ servers, schema, password: async () => user.password });
    await journal.close();
    const wrong = 'Falsches Pferd';
    for (const options of [
      { servers, password: wrong },
      { servers: servers.map((url) => url.replace('@', `:${encodeURIComponent(wrong)}@`)) },
    ]) {
      const error = await refusal(options);
      expect(error.code).toBe('ERR_ACKGATE_POSTGRES_CREDENTIALS');
      const text = `${error.message} ${error.stack} ${JSON.stringify(error)}`;
      for (const secret of [wrong, encodeURIComponent(wrong)]) expect(text).not.toContain(secret);
      expect(error.message).toContain(`127.0.0.1:${cluster.ports[0]}`);
    }
    expect((await refusal({ servers: cluster.urls.map((url) => `${url}x`) })).code).toBe(
      'ERR_ACKGATE_POSTGRES_CREDENTIALS',
    );
  });

  test('a server that is not there, and a standby as the primary', async () => {
    const error = await refusal({ servers: ['postgres://ackgate@127.0.0.1:1/ackgate'] });
    expect(error.code).toBe('ERR_ACKGATE_POSTGRES_UNREACHABLE');
    expect(error.message).toContain('127.0.0.1:1/ackgate');
    expect((await refusal({ servers: [cluster.urls[1]] })).code).toBe('ERR_ACKGATE_POSTGRES_STANDBY');
  });

  test('one server under two names, and one without TLS where it is asked for, are called that', async () => {
    const [url] = cluster.urls;
    expect(await refusal({ servers: [url, url.replace('127.0.0.1', 'localhost')] })).toMatchObject({
      code: 'ERR_ACKGATE_INVALID_ARGUMENT',
      message: expect.stringContaining('are one server'),
    });
    expect((await refusal({ servers: [url], tls: {} })).message).toContain('has no TLS');
  });

  test('the generation that is taken is higher than any that some server knows of', async () => {
    const schema = `open_${++schemas}`;
    const journal = await open({ schema });
    await journal.close();
    const { settings } = await checkServers({ servers: [cluster.urls[0]] });
    const connection = await Connection.open(settings[0]!, { applicationName: 'test' });
    onTestFinished(() => connection.end());
    const check = () => {};
    const options = { schema, node: 'two', takeOver: false, firstSequence: 1, above: 8, check };
    expect((await takeOffice(connection, options)).generation).toBe(9);
  });

  test('tables of another format, and tables of somebody else', async () => {
    const schema = `open_${++schemas}`;
    await (await open({ schema })).close();
    await cluster.sql(0, `update ${schema}.meta set format = 99`);
    expect(await refusal({ schema })).toMatchObject({
      code: 'ERR_ACKGATE_POSTGRES_SCHEMA',
      message: expect.stringContaining('format 99'),
    });
    await cluster.sql(0, `delete from ${schema}.meta`);
    expect(await refusal({ schema })).toMatchObject({
      code: 'ERR_ACKGATE_POSTGRES_SCHEMA',
      message: expect.stringContaining('"meta" without its row'),
    });
    await cluster.sql(0, `insert into ${schema}.meta values (1)`);
    await cluster.sql(0, `delete from ${schema}.generation`);
    expect(await refusal({ schema })).toMatchObject({
      code: 'ERR_ACKGATE_POSTGRES_SCHEMA',
      message: expect.stringContaining('generation'),
    });
    await cluster.sql(
      0,
      'create schema others; grant usage on schema others to ackgate; create table others.meta (x int)',
    );
    expect((await refusal({ schema: 'others' })).code).toBe('ERR_ACKGATE_POSTGRES_SCHEMA');
  });

  test('a journal that is open is taken only on demand, and its holder writes nothing more', async () => {
    const schema = `open_${++schemas}`;
    const holder = await open({ schema });
    holder.append(Buffer.from('one'));
    await holder.flush();
    expect(await refusal({ schema, node: 'two' })).toMatchObject({
      code: 'ERR_ACKGATE_JOURNAL_LOCKED',
      message: expect.stringContaining('"one"'),
    });
    expect(holder.failure).toBeNull();
    const taker = await open({ schema, node: 'two', takeOver: true });
    expect([taker.epoch, taker.lastSequence]).toEqual([holder.epoch + 1, 1]);
    // Whether it writes or not: it is told.
    const failure = await holder.failed;
    expect(failure.code).toBe('ERR_ACKGATE_SUPERSEDED');
    expect(() => holder.append(Buffer.from('two'))).toThrow(failure);
    expect(taker.append(Buffer.from('three'))).toBe(2);
    await taker.flush();
    const records: string[] = [];
    for await (const { payload } of taker.replay()) records.push(Buffer.from(payload).toString());
    expect(records).toEqual(['one', 'three']);
  });

  test('many at once: one at a time has it', async () => {
    const schema = `open_${++schemas}`;
    const all = await Promise.allSettled(
      ['a', 'b', 'c'].map((node) => PostgresJournal.open({ servers: cluster.urls, schema, node })),
    );
    const won = all.filter((one) => one.status === 'fulfilled');
    for (const { value } of won) await value.close();
    expect(won).toHaveLength(1);
    for (const one of all) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'ERR_ACKGATE_JOURNAL_LOCKED' });
    }
  });

  test('clocks that are too far apart, whatever too far is', async () => {
    const error = await refusal({ clockSkewMsMax: 0 });
    expect(error.code).toBe('ERR_ACKGATE_CLOCK_SKEW');
    expect(error.message).not.toContain('is 0 ms');
  });

  test('a role that may not see the standbys', async () => {
    // Without what it has by being in other roles.
    await cluster.sql(0, `alter role ${user.name} noinherit`);
    const { password } = user;
    const options = { servers: cluster.passwordUrls, password, schema: `open_${++schemas}` };
    expect(await refusal({ ...options, standbys: ['standby1'] })).toMatchObject({
      code: 'ERR_ACKGATE_POSTGRES_CREDENTIALS',
      message: expect.stringContaining(`grant pg_read_all_stats to "${user.name}"`),
    });
    expect(await refusal(options)).toMatchObject({
      code: 'ERR_ACKGATE_POSTGRES_CREDENTIALS',
      message: expect.stringContaining(`grant create on database "ackgate" to "${user.name}"`),
    });
    await cluster.sql(0, `alter role ${user.name} inherit`);
    await open({ ...options, standbys: ['standby1'] });
  });

  test('every server says how it stands', async () => {
    const schema = `open_${++schemas}`;
    const journal = await open({ schema });
    for (let i = 0; i < 3; i++) journal.append(Buffer.from('x'));
    await journal.flush();
    await cluster.waitUntilReplayed();
    const away = 'postgres://ackgate@127.0.0.1:1/ackgate';
    const standings = await postgresStandings({ servers: [...cluster.urls, away], schema });
    expect(standings.slice(0, 3)).toMatchObject(
      [0, 1, 2].map((i) => ({
        server: `127.0.0.1:${cluster.ports[i]}/ackgate`,
        standing: { isPrimary: i === 0, generation: 1, holder: 'one', lastSequence: 3, fsync: true },
      })),
    );
    expect(standings[3]).toMatchObject({ error: { code: 'ERR_ACKGATE_POSTGRES_UNREACHABLE' } });
  });

  test('a server that does not sync is refused', async () => {
    await cluster.sql(2, 'alter system set fsync = off');
    await cluster.sql(2, 'select pg_reload_conf()');
    await expect.poll(() => cluster.sql(2, 'show fsync')).toBe('off');
    expect((await refusal({})).code).toBe('ERR_ACKGATE_POSTGRES_UNSAFE');
    await cluster.sql(2, 'alter system reset fsync');
    await cluster.sql(2, 'select pg_reload_conf()');
    await expect.poll(() => cluster.sql(2, 'show fsync')).toBe('on');
  });

  test('two standbys of one name', async () => {
    const conninfo = await cluster.sql(2, 'show primary_conninfo');
    const rename = async (text: string) => {
      await cluster.sql(2, `alter system set primary_conninfo = '${text.replaceAll("'", "''")}'`);
      await cluster.sql(2, 'select pg_reload_conf()');
    };
    const names = async () =>
      (await cluster.sql(0, 'select application_name from pg_stat_replication')).split('\n');
    await rename(conninfo.replace('standby2', 'standby1'));
    await expect.poll(names, { timeout: 20_000 }).toEqual(['standby1', 'standby1']);
    expect(await refusal({ standbys: ['standby1'] })).toMatchObject({
      code: 'ERR_ACKGATE_NODE_TWICE',
      message: expect.stringContaining('"standby1"'),
    });
    await cluster.sql(2, 'alter system reset primary_conninfo');
    await cluster.sql(2, 'select pg_reload_conf()');
  });
});
