import { describe, expect, onTestFinished, test } from 'vitest';
import { WatchedMode } from '#ackgate/cluster/index.js';
import { postgresText } from '#ackgate/postgres/index.js';
import { modeStoreContract } from './support/mode-store-contract.js';
import { realPostgres } from './support/real-servers.js';

const cluster = (await realPostgres({ standbys: 1 }))!;
let names = 0;
const newName = () => `mode${++names}`;

function source(name: string, servers = cluster.urls) {
  const text = postgresText({ servers, schema: 'texts' }, name);
  onTestFinished(() => text.close());
  return text;
}

const until = (what: () => unknown) => expect.poll(what, { timeout: 30_000, interval: 5 });

describe.skipIf(cluster === null)('a text in PostgreSQL', () => {
  modeStoreContract('PostgreSQL', () => {
    const name = newName();
    const texts = [source(name), source(name)] as const;
    return {
      sources: texts,
      put: (text) =>
        cluster.sql(
          0,
          `update texts.kept_text set text = '${text}', revision = revision + 1 where name = '${name}'`,
        ),
      delete: () => cluster.sql(0, `delete from texts.kept_text where name = '${name}'`),
    };
  });

  test('is nothing before the tables are there, and makes them when it is written', async () => {
    const text = postgresText({ servers: cluster.urls, schema: 'not_yet' }, 'mode');
    onTestFinished(() => text.close());
    expect(await text.read()).toBeNull();
    expect(await text.write('one', 1)).toBeNull();
    expect(await text.write('one', 0)).toBe(1);
    expect(await text.write('two', 0)).toBeNull();
    expect(await text.write('two', 1)).toBe(2);
    expect(await text.write('three', 1)).toBeNull();
    expect(await text.write('three', undefined)).toBe(3);
    expect(await text.read()).toEqual({ revision: 3, text: 'three' });
  });

  test('changes are told, of this name only, until the watch is ended', async () => {
    const name = newName();
    const [watched, writer, other] = [source(name), source(name), source(newName())];
    let changes = 0;
    const failures: unknown[] = [];
    const stop = await watched.watch(
      () => changes++,
      (error) => failures.push(error),
    );
    await other.write('x', undefined);
    await writer.write('y', undefined);
    await until(() => changes).toBe(1);
    await stop();
    await writer.write('z', undefined);
    expect(await watched.read()).toEqual({ revision: 2, text: 'z' });
    expect(changes).toBe(1);
  });

  test('a watch whose connection is lost says so', async () => {
    const failures: unknown[] = [];
    await source(newName()).watch(
      () => {},
      (error) => failures.push(error),
    );
    await cluster.sql(
      0,
      `select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen "texts%'`,
    );
    await until(() => failures.length).toBeGreaterThan(0);
  });

  test('a change that nobody was told of is seen all the same', async () => {
    const name = newName();
    const writer = source(name);
    await writer.write('{"policy":"local"}', undefined);
    const mode = new WatchedMode(source(name), { refreshMs: 200 });
    onTestFinished(() => mode.close());
    await mode.refresh();
    await cluster.sql(0, 'alter table texts.kept_text disable trigger tell');
    await writer.write('{"policy":"hybrid"}', undefined);
    await until(() => mode.load().setting).toEqual({ policy: 'hybrid' });
    await cluster.sql(0, 'alter table texts.kept_text enable trigger tell');
  });

  test('an error never has the password', async () => {
    const secret = 'streng-geheim';
    const text = postgresText({ servers: [`postgres://ackgate:${secret}@127.0.0.1:1/x`] }, 'mode');
    const error = await text.read().catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_ACKGATE_POSTGRES_UNREACHABLE' });
    expect(`${error.message} ${error.stack}`).not.toContain(secret);
    const standby = source('mode', [cluster.urls[1]!]);
    await expect(standby.read()).rejects.toMatchObject({ code: 'ERR_ACKGATE_POSTGRES_STANDBY' });
  });

  test('after a failover it is read, written and listened to where the primary is, also while the old one lives', async () => {
    const name = newName();
    const options = { refreshMs: 300, retryMsMin: 50, retryMsMax: 300 };
    const store = new WatchedMode(source(name), options);
    const other = new WatchedMode(source(name), options);
    onTestFinished(async () => {
      await store.close();
      await other.close();
    });
    await store.publish({ policy: 'hybrid' });
    await until(() => other.load().setting?.policy).toBe('hybrid');
    await cluster.waitUntilReplayed();
    await cluster.promote(1);
    // The old primary would take this too.
    await store.publish({ policy: 'durably-replicated' });
    await until(() => other.load().setting?.policy).toBe('durably-replicated');
    const kept = (i: number) => cluster.sql(i, `select text from texts.kept_text where name = '${name}'`);
    expect(await kept(0)).toContain('hybrid');
    expect(await kept(1)).toContain('durably-replicated');
    await until(() =>
      cluster.sql(1, `select count(*) from pg_stat_activity where query like 'listen "texts%'`),
    ).toBe('2');

    await cluster.kill(0);
    await store.publish({ policy: 'local' });
    await until(() => other.load().setting?.policy).toBe('local');
  });
});
