import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { noSmallDisk, startPostgresCluster } from '#ackgate/local-cluster/postgres.js';
import { isRunning, processTree } from '#ackgate/local-cluster/process-table.js';
import { until } from '#ackgate/local-cluster/until.js';
import { realPostgres } from './support/real-servers.js';

const noDisk = noSmallDisk();
if (noDisk !== null) console.warn(`skipped, the test of a full disk: ${noDisk}`);

const password = `it's "so"`;
const started = await realPostgres({
  passwordUser: { name: 'careful', password },
  settings: { work_mem: '1MB' },
  ...(noDisk === null ? { smallDisk: { server: 2 } } : {}),
});

describe.skipIf(started === null)('PostgreSQL servers on loopback', () => {
  const cluster = started!;

  /** As a user of the cluster would, not as its superuser. */
  async function ask(url: string, query: string, options: postgres.Options<Record<string, never>> = {}) {
    const sql = postgres(url, { max: 1, ...options });
    try {
      return [...(await sql.unsafe(query).values())];
    } finally {
      await sql.end();
    }
  }
  const count = async (i: number) => Number(await cluster.sql(i, 'select count(*) from filled'));
  const fill = (i: number, rows: number) =>
    cluster.sql(i, `insert into filled select generate_series(1, ${rows})`);
  const rows = async () =>
    (await cluster.sql(cluster.primary, 'select application_name from pg_stat_replication'))
      .split('\n')
      .sort();
  const states = (i: number) =>
    processTree(cluster.processes[i]!).map(({ pid }) =>
      readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) (.).*$/s, '$1'),
    );

  test('a primary and two standbys that stream, as users without rights, with fsync on', async () => {
    expect([cluster.primary, cluster.standbys, cluster.names]).toEqual([
      0,
      [1, 2],
      ['standby0', 'standby1', 'standby2'],
    ]);
    expect(await rows()).toEqual(['standby1', 'standby2']);
    for (const id of cluster.processes) expect(statSync(`/proc/${id!.pid}`).uid).not.toBe(0);
    const settings = `select current_setting('fsync'), current_setting('work_mem'), pg_is_in_recovery()`;
    expect(await Promise.all([0, 1, 2].map((i) => cluster.sql(i, settings)))).toEqual([
      'on|1MB|f',
      'on|1MB|t',
      'on|1MB|t',
    ]);
  });

  test('the user of the cluster needs no password, sees replication and owns the database only', async () => {
    const mine =
      'select (select rolsuper from pg_roles where rolname = current_user), count(flush_lsn)::int from pg_stat_replication';
    expect(await ask(cluster.urls[0]!, mine)).toEqual([[false, 2]]);
    await ask(cluster.urls[0]!, 'create schema own');
    const superuser = cluster.urls[0]!.replace('ackgate@', 'postgres@');
    await expect(ask(superuser, 'select 1', { password: '' })).rejects.toThrow();
  });

  test('the user with a password needs it', async () => {
    const url = cluster.passwordUrls[0]!;
    expect(await ask(url, 'select current_user', { password })).toEqual([['careful']]);
    await expect(ask(url, 'select 1', { password: 'no' })).rejects.toThrow(/password authentication failed/);
  });

  test('what the primary writes is on all standbys', async () => {
    await cluster.sql(0, 'create table filled (n int)');
    await fill(0, 1000);
    await cluster.waitUntilReplayed();
    expect([await count(1), await count(2)]).toEqual([1000, 1000]);
  });

  test('a frozen server answers nobody and keeps its place until it thaws', async () => {
    cluster.freeze(1);
    expect(new Set(states(1))).toEqual(new Set(['T']));
    await expect(cluster.stop(1)).rejects.toThrow(/is frozen/);
    await fill(0, 10);
    const behind = `select pg_current_wal_lsn() > replay_lsn from pg_stat_replication where application_name = 'standby1'`;
    expect(await cluster.sql(0, behind)).toBe('t');
    cluster.thaw(1);
    expect(states(1)).not.toContain('T');
    await cluster.waitUntilReplayed();
    expect(await count(1)).toBe(1010);
  });

  test('a standby that is cut off is given up by the primary, and follows again when mended', async () => {
    cluster.cut(2);
    await fill(0, 1);
    await until(
      () => 'still there',
      async () => !(await rows()).includes('standby2'),
      { everyMs: 50 },
    );
    await cluster.waitUntilStreaming([1]);
    expect(await count(2)).toBe(1010);
    cluster.mend(2);
    await cluster.waitUntilReplayed();
    expect(await count(2)).toBe(1011);
  });

  test('of a killed server nothing runs; the standby that is promoted is followed; the killed one rejoins', async () => {
    const processes = processTree(cluster.processes[0]!);
    expect(processes.length).toBeGreaterThan(3);
    await cluster.kill(0);
    expect(processes.filter(isRunning)).toEqual([]);
    expect([cluster.isRunning(0), cluster.processes[0]]).toEqual([false, null]);

    await cluster.promote(1);
    expect(cluster.primary).toBe(1);
    await fill(1, 5);
    await cluster.waitUntilReplayed();
    expect(await count(2)).toBe(1016);

    expect(await cluster.rejoin(0)).toBe('rewound');
    expect(cluster.standbys).toEqual([0, 2]);
    await cluster.waitUntilReplayed();
    expect(await count(0)).toBe(1016);
    expect(await rows()).toEqual(['standby0', 'standby2']);
  });

  test('with two primaries, what the old one has of its own is gone when it rejoins', async () => {
    await cluster.promote(0, { follow: false });
    expect(await cluster.sql(1, 'select pg_is_in_recovery()')).toBe('f');
    await fill(1, 100); // to the old primary and standby2, which still follows it
    await fill(0, 1);
    expect([await cluster.rejoin(1), await cluster.rejoin(2)]).toEqual(['rewound', 'rewound']);
    await cluster.waitUntilReplayed();
    expect(await Promise.all([0, 1, 2].map(count))).toEqual([1017, 1017, 1017]);
  });

  test('a server whose data can not be wound back rejoins by a copy', async () => {
    await cluster.stop(1, 'immediate');
    rmSync(join(cluster.directory, 'standby1/data/global/pg_control'));
    expect(await cluster.rejoin(1)).toBe('copied');
    await cluster.waitUntilReplayed();
    expect(await count(1)).toBe(1017);
  });

  test.skipIf(noDisk !== null)('a full disk stops that server; with room it goes on', async () => {
    cluster.fillDisk();
    await fill(0, 300_000);
    await until(
      () => 'it does not mind',
      async () => /No space left/.test(readFileSync(join(cluster.directory, 'standby2/log'), 'utf8')),
      { everyMs: 50 },
    );
    cluster.freeDisk();
    if (!cluster.isRunning(2)) await cluster.start(2);
    await cluster.waitUntilReplayed();
    expect(await count(2)).toBe(301_017);
  });

  test('a server that is not there is named', async () => {
    await expect(cluster.kill(3)).rejects.toThrow('there is no server 3: there are 0 to 2');
    await expect(cluster.rejoin(0)).rejects.toThrow('standby0 is the primary itself');
    await expect(cluster.start(0)).rejects.toThrow('standby0 runs already');
  });
});

describe.skipIf(started === null)('of a closed cluster', () => {
  /** The keys of the shared memory that there is: PostgreSQL's own stays when a server is killed. */
  const segments = () =>
    readFileSync('/proc/sysvipc/shm', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[1]);
  const segmentOf = (directory: string, i: number) =>
    readFileSync(join(directory, `standby${i}/data/postmaster.pid`), 'utf8')
      .split('\n')[6]!
      .trim()
      .split(/\s+/)[1];

  test('no process, folder or shared memory stays, running, killed or frozen', async () => {
    const cluster = await startPostgresCluster({ standbys: 1 });
    const processes = cluster.processes.flatMap((id) => processTree(id!));
    const own = [0, 1].map((i) => segmentOf(cluster.directory, i));
    for (const id of own) expect(segments()).toContain(id);
    await cluster.kill(0);
    cluster.freeze(1);
    await cluster.close();
    expect(processes.filter(isRunning)).toEqual([]);
    expect(existsSync(cluster.directory)).toBe(false);
    for (const id of own) expect(segments()).not.toContain(id);
  });

  test('nothing stays when the start failed, and the reason is told', async () => {
    const directory = join(tmpdir(), `ackgate-failed-${process.pid}`);
    const settings = { shared_buffers: 'plenty' };
    await expect(startPostgresCluster({ standbys: 0, settings, directory })).rejects.toThrow(
      /standby\d ended while it started; its log ends with:[\s\S]*"shared_buffers": "plenty"/,
    );
    expect(existsSync(directory)).toBe(false);
  });

  test('a folder that is not empty is left alone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ackgate-mine-'));
    try {
      writeFileSync(join(directory, 'mine'), '');
      await expect(startPostgresCluster({ directory })).rejects.toThrow('is not empty');
      expect(readdirSync(directory)).toEqual(['mine']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.skipIf(process.getuid!() !== 0)(
    'a folder that its user can not reach is refused by name',
    async () => {
      const closed = mkdtempSync(join(tmpdir(), 'ackgate-mine-'));
      try {
        chmodSync(closed, 0o700);
        mkdirSync(join(closed, 'inner'));
        await expect(startPostgresCluster({ directory: join(closed, 'inner') })).rejects.toThrow(
          `may not enter ${closed}`,
        );
      } finally {
        rmSync(closed, { recursive: true });
      }
    },
  );
});
