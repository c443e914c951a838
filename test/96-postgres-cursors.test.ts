import { describe, expect, onTestFinished, test } from 'vitest';
import { type Stage, startStage } from '#ackgate/index.js';
import { LoopbackProxy } from '#ackgate/local-cluster/proxy.js';
import { PostgresJournal, type PostgresJournalOptions } from '#ackgate/postgres/index.js';
import { checkServers } from '#ackgate/postgres/servers.js';
import { askServers } from '#ackgate/postgres/standing.js';
import { payloadOf } from './fixtures/journal-payload.mjs';
import { recordsOf } from './support/journal-contract.js';
import { realPostgres } from './support/real-servers.js';

const cluster = (await realPostgres({ standbys: 2 }))!;
const boundMs = 30_000;
let schemas = 0;

interface Primary {
  journal: PostgresJournal;
  stage: Stage;
  lines: { level: string; message: string; fields: object }[];
  schema: string;
}

async function startPrimary(
  policy: string,
  options: Partial<PostgresJournalOptions> = {},
  staleAfterMs = 1000,
): Promise<Primary> {
  const { schema = `cursors_${++schemas}` } = options;
  const lines: Primary['lines'] = [];
  const log = (level: string) => (fields: object, message: string) => lines.push({ level, message, fields });
  const journal = await PostgresJournal.open({
    servers: cluster.urls,
    node: 'one',
    standbys: [{ name: 'standby1', zone: 'b' }, 'standby2'],
    schema,
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    ...options,
  });
  const stage = await startStage({ epoch: journal.epoch, policy, zone: 'a', staleAfterMs });
  onTestFinished(async () => {
    await journal.close().catch(() => {});
    await stage.close();
  });
  await journal.drive(stage);
  return { journal, stage, lines, schema };
}

const until = (what: () => unknown) => expect.poll(what, { timeout: boundMs, interval: 5 });

const node = ({ stage }: Primary, name: string) => stage.cursors.nodes().find((one) => one.name === name)!;
const persistedOn = (primary: Primary) =>
  ['standby1', 'standby2'].map((name) => node(primary, name).persisted);

/** Appends some records and waits until they are on the primary's disk. Returns the last sequence. */
async function appendSome(journal: PostgresJournal, count = 10): Promise<number> {
  for (let i = 0; i < count; i++) journal.append(payloadOf(journal.lastSequence + 1));
  await journal.flush();
  return journal.lastSequence;
}

/** Last sequence that each standby has by its own account, once it has replayed what it has received. */
async function heldBy({ schema }: Primary): Promise<number[]> {
  const { settings } = await checkServers({ servers: [cluster.urls[1], cluster.urls[2]] });
  const standings = await askServers(settings, schema);
  return standings.map((one) => ('standing' in one ? one.standing.lastSequence : -1));
}

describe.skipIf(cluster === null)('cursors of PostgreSQL standbys', () => {
  test('a standby that a policy counts has what it counts for, at any moment under load', async () => {
    const primary = await startPrimary('durably-replicated');
    const { journal, stage } = primary;
    expect(node(primary, 'standby1')).toMatchObject({ zone: 'b' });
    const load = { isOver: false };
    const appending = (async () => {
      while (!load.isOver) await appendSome(journal, 7);
    })();
    for (let look = 0; look < 5; look++) {
      const before = Math.max(...persistedOn(primary), 1);
      await until(() => Math.min(...persistedOn(primary))).toBeGreaterThan(before);
      const { durablePos } = stage.status();
      const seen = persistedOn(primary);
      const held = await heldBy(primary);
      expect(held[0]).toBeGreaterThanOrEqual(seen[0]!);
      expect(held[1]).toBeGreaterThanOrEqual(seen[1]!);
      expect(Math.max(...held)).toBeGreaterThanOrEqual(durablePos);
    }
    load.isOver = true;
    await appending;
    const last = journal.lastSequence;
    await until(() => persistedOn(primary)).toEqual([last, last]);
    await until(() => stage.status().durablePos).toBe(last);
    expect(node(primary, 'standby2')).toMatchObject({ connected: true, inMemory: last });
  });

  test('a policy of two disks waits while no standby has it, and goes on when one does', async () => {
    const primary = await startPrimary('durably-replicated');
    const { journal, stage } = primary;
    const before = await appendSome(journal);
    await until(() => stage.status().durablePos).toBe(before);
    for (const i of [1, 2]) cluster.freeze(i);
    try {
      const last = await appendSome(journal);
      // Both are found to be silent; nothing but their own word would show that they have it.
      await until(() => [1, 2].map((i) => node(primary, `standby${i}`).connected)).toEqual([false, false]);
      expect(stage.cursors.primary.persisted).toBe(last);
      expect(stage.status().durablePos).toBeLessThanOrEqual(before);
      cluster.thaw(1);
      await until(() => stage.status().durablePos).toBe(last);
      expect(node(primary, 'standby1').persisted).toBe(last);
      expect(node(primary, 'standby2').connected).toBe(false);
    } finally {
      for (const i of [1, 2]) cluster.thaw(i);
    }
    await until(() => persistedOn(primary)).toEqual([journal.lastSequence, journal.lastSequence]);
  });

  test('a standby that stops is out of the view at once, and comes back in another epoch', async () => {
    // Long before its silence would tell.
    const primary = await startPrimary('hybrid', {}, 60_000);
    const { journal } = primary;
    const first = await appendSome(journal);
    await until(() => persistedOn(primary)).toEqual([first, first]);
    const { epoch } = node(primary, 'standby1');
    await cluster.kill(1);
    await until(() => node(primary, 'standby1').connected).toBe(false);
    const last = await appendSome(journal);
    await until(() => primary.stage.status().durablePos).toBe(last);
    await cluster.start(1);
    await until(() => persistedOn(primary)).toEqual([last, last]);
    expect(node(primary, 'standby1').epoch).toBeGreaterThan(epoch!);
    expect(await heldBy(primary)).toEqual([last, last]);
  });

  test('a standby behind a cut network counts no more until it is mended', async () => {
    const primary = await startPrimary('durably-replicated', { standbys: ['standby1'] });
    const { journal, stage } = primary;
    const before = await appendSome(journal);
    await until(() => stage.status().durablePos).toBe(before);
    cluster.cut(1);
    try {
      const last = await appendSome(journal);
      await until(() => node(primary, 'standby1').connected).toBe(false);
      expect(stage.status().durablePos).toBeLessThanOrEqual(before);
      cluster.mend(1);
      await until(() => stage.status().durablePos).toBe(last);
    } finally {
      cluster.mend(1);
    }
  });

  test('two of one name do not count, and a standby that was not named never does', async () => {
    const primary = await startPrimary('durably-replicated', { standbys: ['standby1'] });
    const { journal, stage, lines } = primary;
    const before = await appendSome(journal);
    await until(() => stage.status().durablePos).toBe(before);
    expect(stage.cursors.nodes().map(({ name }) => name)).not.toContain('standby2');
    const conninfo = (await cluster.sql(2, 'show primary_conninfo')).replace('standby2', 'standby1');
    await cluster.sql(2, `alter system set primary_conninfo = '${conninfo.replaceAll("'", "''")}'`);
    await cluster.sql(2, 'select pg_reload_conf()');
    try {
      await until(() => node(primary, 'standby1').connected).toBe(false);
      await until(() => lines).toContainEqual(
        expect.objectContaining({ level: 'warn', fields: { node: 'standby1' } }),
      );
      await appendSome(journal);
      expect(stage.status().durablePos).toBeLessThanOrEqual(before);
    } finally {
      await cluster.sql(2, 'alter system reset primary_conninfo');
      await cluster.sql(2, 'select pg_reload_conf()');
    }
    await until(() => stage.status().durablePos).toBe(journal.lastSequence);
    await cluster.waitUntilStreaming();
  });

  test('the connection that asks for the cursors may break', async () => {
    const primary = await startPrimary('durably-replicated');
    const { journal, stage, lines } = primary;
    await appendSome(journal);
    await cluster.sql(
      0,
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ackgate one cursors'`,
    );
    await until(() => lines.map(({ level }) => level)).toEqual(['warn', 'info']);
    const last = await appendSome(journal);
    await until(() => stage.status().durablePos).toBe(last);
    expect(journal.failure).toBeNull();
  });

  test('a standby that the stage does not take does not keep out the other, and the log says why', async () => {
    const primary = await startPrimary('durably-replicated');
    const { journal, stage, lines } = primary;
    await appendSome(journal);
    cluster.freeze(0);
    try {
      const cursor = stage.cursors.node('standby1');
      cursor.disconnect();
      cursor.retire();
      stage.cursors.node('standby1', { zone: 'elsewhere' });
    } finally {
      cluster.thaw(0);
    }
    await until(() => lines).toContainEqual(
      expect.objectContaining({ level: 'error', fields: expect.objectContaining({ node: 'standby1' }) }),
    );
    const last = await appendSome(journal);
    await until(() => stage.status().durablePos).toBe(last);
    expect(node(primary, 'standby1').connected).toBe(false);
    expect(lines.filter(({ level }) => level !== 'info')).toHaveLength(1);
  });

  test('a name that no standby has is told, with the names that there are', async () => {
    const { lines } = await startPrimary('local', { standbys: ['standby1', 'stanby2'] });
    await until(() => lines).toContainEqual({
      level: 'warn',
      message: expect.stringContaining('is the name right?'),
      fields: { missing: ['stanby2'], streaming: expect.arrayContaining(['standby1', 'standby2']) },
    });
  });

  test('an address that leads to another server ends it: that one has another log', async () => {
    const proxy = await LoopbackProxy.start(cluster.ports[0]!);
    onTestFinished(() => proxy.close());
    const servers = [`postgres://ackgate@127.0.0.1:${proxy.port}/ackgate`];
    const { journal, stage } = await startPrimary('durably-replicated', { servers });
    const last = await appendSome(journal);
    await until(() => stage.status().durablePos).toBe(last);
    // It has the same journal in the same generation, and cursors of its own some day.
    await cluster.waitUntilReplayed();
    proxy.target = cluster.ports[1]!;
    const superseded = { code: 'ERR_ACKGATE_SUPERSEDED', message: expect.stringContaining('another server') };
    await expect(recordsOf(journal)).rejects.toMatchObject(superseded);
    await expect(journal.truncateBefore(1)).rejects.toMatchObject(superseded);
    await cluster.sql(
      0,
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ackgate one cursors'`,
    );
    expect(await journal.failed).toMatchObject(superseded);
    await until(() => stage.status().state).toBe('fenced');
  });

  test('whoever is superseded on the same server is fenced, also with nothing to write', async () => {
    const old = await startPrimary('local');
    await appendSome(old.journal);
    const { schema } = old;
    const young = await startPrimary('local', { schema, node: 'two', takeOver: true });
    expect((await old.journal.failed).code).toBe('ERR_ACKGATE_SUPERSEDED');
    await until(() => old.stage.status().state).toBe('fenced');
    expect(await appendSome(young.journal)).toBe(20);
  });

  test('a promoted standby has everything that was released; the old primary is fenced', async () => {
    const old = await startPrimary('durably-replicated');
    const { journal, stage, schema } = old;
    await appendSome(journal, 50);
    await until(() => stage.status().durablePos).toBe(50);
    // The one that is promoted is to have no less than the other.
    cluster.cut(2);
    await appendSome(journal);
    await until(() => node(old, 'standby1').persisted).toBe(60);
    await until(() => stage.status().durablePos).toBe(60);
    await cluster.promote(1, { follow: false });
    expect((await journal.failed).code).toBe('ERR_ACKGATE_SUPERSEDED');
    await until(() => stage.status().state).toBe('fenced');
    const young = await startPrimary('local', { schema, node: 'two', standbys: ['standby0'] });
    expect(young.journal.server).toContain(`:${cluster.ports[1]}/`);
    expect(young.journal.epoch).toBeGreaterThan(journal.epoch);
    expect(young.journal.lastSequence).toBeGreaterThanOrEqual(60);
    const records = await recordsOf(young.journal);
    expect(records.map(({ sequence }) => sequence)).toEqual(records.map((_, i) => i + 1));
    expect(records.every(({ sequence, payload }) => payloadOf(sequence).equals(payload))).toBe(true);
    await appendSome(young.journal);
    await young.journal.close();

    // The old server takes writes as well, but it is not the one to open.
    const again = await PostgresJournal.open({ servers: cluster.urls, node: 'three', schema });
    expect(again.server).toBe(young.journal.server);
    await again.close();
  });

  test('a standby that has more than the promoted one is named', async () => {
    // Server 0 still takes writes for the schema of this test, with server 2 behind it; server 1 was promoted before.
    cluster.mend(2);
    await until(() =>
      cluster.sql(0, "select count(*) from pg_stat_replication where state = 'streaming'"),
    ).toBe('1');
    const schema = `cursors_${++schemas}`;
    const first = await PostgresJournal.open({ servers: [cluster.urls[1]], node: 'one', schema });
    await first.close();
    const other = await PostgresJournal.open({ servers: [cluster.urls[0]], node: 'one', schema });
    await appendSome(other);
    await other.close();
    const at = await cluster.sql(0, 'select pg_current_wal_lsn()');
    await until(() => cluster.sql(2, `select pg_last_wal_replay_lsn() >= '${at}'`)).toBe('t');
    const both = { servers: [cluster.urls[1], cluster.urls[2]], node: 'two', schema };
    await expect(PostgresJournal.open(both)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_REPLICA_AHEAD',
      message: expect.stringContaining(`:${cluster.ports[2]}/`),
    });
  });

  test('of two that were promoted in turn and taken in one generation neither goes on', async () => {
    // Server 1 was promoted, server 2 is a standby of the old primary.
    const schema = `cursors_${++schemas}`;
    const servers = [cluster.urls[1], cluster.urls[2]];
    const one = await startPrimary('local', { schema, servers, standbys: [] });
    await cluster.promote(2, { follow: false });
    // As from behind a broken network.
    const two = await startPrimary('local', {
      schema,
      servers: [cluster.urls[2]],
      node: 'two',
      standbys: [],
    });
    expect(two.journal.epoch).toBe(one.journal.epoch);
    expect((await one.journal.failed).code).toBe('ERR_ACKGATE_SUPERSEDED');
    await until(() => one.stage.status().state).toBe('fenced');
  });
});
