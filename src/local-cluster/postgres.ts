import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimFolder, makeFolder, unprivilegedAccount } from './account.js';
import { fail } from './fail.js';
import { findPostgres } from './find-programs.js';
import { freePort } from './free-port.js';
import { guardAtEnd } from './guard.js';
import { type PostgresInstallation, PostgresServer } from './postgres-server.js';
import { type Direction, LoopbackProxy } from './proxy.js';
import { removeFolder } from './remove-folder.js';
import { SmallDisk } from './small-disk.js';
import { until } from './until.js';

export { noSmallDisk } from './small-disk.js';

export interface PostgresClusterOptions {
  /** A new or empty folder for all servers; removed by `close()`. Default: a temporary one. */
  readonly directory?: string;
  /** 0 … 8, default 2. */
  readonly standbys?: number;
  /** Settings of every server, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** A second user, who needs a password (SCRAM) and may do what `ackgate` may. */
  readonly passwordUser?: { readonly name: string; readonly password: string };
  /** Puts one server on a disk of its own that can be filled. Root only: see `noSmallDisk()`. Default 160 megabytes. */
  readonly smallDisk?: { readonly server: number; readonly megabytes?: number };
  /** Standbys reach the primary through a proxy of this process, so that they can be cut off. Default true. */
  readonly proxied?: boolean;
  /** The servers can be left running by `leave()`, and are not proxied. Default false. */
  readonly detached?: boolean;
}

/**
 * PostgreSQL servers on loopback: server 0 starts as the primary, 1 and on as its standbys, with the
 * `application_name` `standby1` and so on (server 0's is `standby0` once it is one).
 *
 * All have the database `ackgate` and its owner, the user `ackgate`, who needs no password and may read all of
 * `pg_stat_replication`.
 */
export class PostgresCluster {
  /** For the user `ackgate`, by server: `postgres://ackgate@127.0.0.1:20001/ackgate`. */
  readonly urls: readonly string[];
  /** The same for `passwordUser`, without the password; empty when there is none. */
  readonly passwordUrls: readonly string[];
  /** `application_name` of each server as a standby. */
  readonly names: readonly string[];
  readonly ports: readonly number[];
  readonly directory: string;
  readonly #servers: readonly PostgresServer[];
  /** By server: what it reaches its primary through. Empty when nothing is proxied. */
  readonly #proxies: readonly LoopbackProxy[];
  readonly #disk: SmallDisk | null;
  readonly #release: () => void;
  #primary = 0;

  /** Use `startPostgresCluster`. */
  constructor(parts: Parts) {
    this.#servers = parts.servers;
    this.#proxies = parts.proxies;
    this.#disk = parts.disk;
    this.#release = parts.release;
    this.directory = parts.directory;
    this.names = parts.servers.map(({ name }) => name);
    this.ports = parts.servers.map(({ port }) => port);
    const urls = (user: string) => this.ports.map((port) => `postgres://${user}@127.0.0.1:${port}/ackgate`);
    this.urls = urls('ackgate');
    this.passwordUrls = parts.passwordUser === null ? [] : urls(encodeURIComponent(parts.passwordUser));
  }

  /** The server that was promoted last, or 0. */
  get primary(): number {
    return this.#primary;
  }

  /** All servers that are standbys, running or not. */
  get standbys(): number[] {
    return this.#servers.flatMap((server, i) => (i !== this.#primary && server.isStandby ? [i] : []));
  }

  /** The first process of each server; null for one that does not run. */
  get processes() {
    return this.#servers.map((server) => server.process);
  }

  /** The port of the proxy that a server reaches its primary through. */
  proxy(i: number): LoopbackProxy {
    const proxy = this.#proxies[i];
    if (proxy === undefined) throw fail(`server ${i} has no proxy`);
    return proxy;
  }

  isRunning(i: number): boolean {
    return this.#at(i).running;
  }

  /** Starts it as what it was. */
  async start(i: number): Promise<void> {
    await this.#at(i).start();
  }

  async stop(i: number, mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#at(i).stop(mode);
  }

  /** SIGKILL to every process of it; resolves when all are gone. */
  async kill(i: number): Promise<void> {
    await this.#at(i).kill();
  }

  /** SIGSTOP to every process of it: connections stay, and nobody answers. */
  freeze(i: number): void {
    this.#at(i).freeze();
  }

  thaw(i: number): void {
    this.#at(i).thaw();
  }

  /**
   * Makes a standby the primary; resolves when it takes writes. The one before is not stopped. The other standbys
   * follow the new one, unless `follow` is false.
   */
  async promote(i: number, { follow = true }: { readonly follow?: boolean } = {}): Promise<void> {
    const answer = await this.#at(i).sql('select pg_promote(true, 60)');
    if (answer !== 't') throw fail(`${this.names[i]} was not promoted within a minute`);
    this.#primary = i;
    if (follow) for (const standby of this.standbys) this.follow(standby);
  }

  /** Has a standby ask the present primary for what comes. */
  follow(i: number): void {
    const server = this.#at(i);
    const target = this.ports[this.#primary]!;
    const proxy = this.#proxies[i];
    if (proxy === undefined) {
      server.follow(target);
    } else {
      proxy.target = target;
      proxy.reset();
    }
  }

  /**
   * Makes a server that had another history a standby of the present primary, whether it runs or not: by pg_rewind,
   * or by another copy where that can't be. Resolves when it runs; see `waitUntilStreaming`. Returns which way it went.
   */
  async rejoin(i: number): Promise<'rewound' | 'copied'> {
    if (i === this.#primary) throw fail(`${this.names[i]} is the primary itself`);
    const server = this.#at(i);
    const primary = this.#at(this.#primary);
    if (server.frozen) await server.kill();
    await server.stop('fast');
    let way: 'rewound' | 'copied' = 'rewound';
    try {
      await server.rewindTo(primary);
    } catch {
      await server.copyFrom(primary);
      way = 'copied';
    }
    server.makeStandby();
    this.follow(i);
    await server.start();
    return way;
  }

  /** Cuts the connection that a standby follows the primary by; neither of them is told. */
  cut(i: number, direction?: Direction): void {
    this.proxy(i).cut(direction);
  }

  mend(i: number, direction?: Direction): void {
    this.proxy(i).mend(direction);
  }

  /** Not a byte is left on the small disk. */
  fillDisk(): void {
    this.#smallDisk().fill();
  }

  freeDisk(): void {
    this.#smallDisk().free();
  }

  /** Runs SQL as superuser in the database `ackgate`; a line for each row, fields with `|` between them. */
  sql(i: number, text: string): Promise<string> {
    return this.#at(i).sql(text, 'ackgate');
  }

  /** Waits until the present primary streams to these servers. Default: all standbys that run. */
  async waitUntilStreaming(servers?: readonly number[]): Promise<void> {
    const all = servers ?? this.standbys.filter((i) => this.#at(i).running && !this.#at(i).frozen);
    const wanted = all.map((i) => this.names[i]!);
    if (wanted.length === 0) return;
    const query = `select application_name from pg_stat_replication where state = 'streaming'`;
    let streaming: string[] = [];
    await until(
      () => `${wanted.filter((name) => !streaming.includes(name)).join(', ')} did not get to stream`,
      async () => {
        streaming = (await this.#at(this.#primary).sql(query)).split('\n');
        return wanted.every((name) => streaming.includes(name));
      },
      { everyMs: 30 },
    );
  }

  /** Waits until the running standbys have replayed all that the primary has written. */
  async waitUntilReplayed(): Promise<void> {
    await this.waitUntilStreaming();
    const names = this.standbys.filter((i) => this.#at(i).running).map((i) => `'${this.names[i]}'`);
    if (names.length === 0) return;
    const at = await this.#at(this.#primary).sql('select pg_current_wal_lsn()');
    const query = `select count(*) from pg_stat_replication where replay_lsn >= '${at}' and application_name in (${names})`;
    await until(
      () => 'the standbys did not replay what the primary has',
      async () => Number(await this.#at(this.#primary).sql(query)) === names.length,
      { everyMs: 30 },
    );
  }

  /** The servers, started `detached`, outlive this process; they keep their folder. */
  leave(): void {
    for (const server of this.#servers) server.leave();
    this.#release();
  }

  /** Kills all servers and removes their folder. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.end()));
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    removeFolder(this.directory);
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #at(i: number): PostgresServer {
    const server = this.#servers[i];
    if (server === undefined)
      throw fail(`there is no server ${i}: there are 0 to ${this.#servers.length - 1}`);
    return server;
  }

  #smallDisk(): SmallDisk {
    if (this.#disk === null) throw fail('no server has a small disk: start the cluster with smallDisk');
    return this.#disk;
  }
}

interface Parts {
  readonly directory: string;
  readonly servers: readonly PostgresServer[];
  readonly proxies: readonly LoopbackProxy[];
  readonly disk: SmallDisk | null;
  readonly passwordUser: string | null;
  readonly release: () => void;
}

/** Starts all servers, and resolves when every standby streams. Nothing of a failed start stays. */
export async function startPostgresCluster(options: PostgresClusterOptions = {}): Promise<PostgresCluster> {
  const programs = findPostgres();
  if (!programs.found) throw fail(programs.reason);
  const { standbys = 2, detached = false, passwordUser } = options;
  if (!(Number.isInteger(standbys) && standbys >= 0 && standbys <= 8)) throw fail('standbys must be 0 to 8');

  const account = unprivilegedAccount(['postgres', 'nobody']);
  const directory = claimFolder(
    options.directory ?? mkdtempSync(join(tmpdir(), 'ackgate-postgres-')),
    account,
  );
  const common: PostgresInstallation = {
    programs: programs.folder,
    account,
    superuserPassword: randomBytes(18).toString('hex'),
    settings: options.settings ?? {},
    passwordUser: passwordUser?.name ?? null,
    detached,
  };
  const release = guardAtEnd({ kind: 'folder', path: directory });
  const servers: PostgresServer[] = [];
  const proxies: LoopbackProxy[] = [];
  let disk: Parts['disk'] = null;
  let cluster: PostgresCluster | null = null;
  const parts = () => ({
    directory,
    servers,
    proxies,
    disk,
    passwordUser: passwordUser?.name ?? null,
    release,
  });
  try {
    const primaryPort = await freePort();
    for (let i = 0; i <= standbys; i++) {
      const folder = join(directory, `standby${i}`);
      makeFolder(folder, account);
      if (options.smallDisk?.server === i) {
        disk = new SmallDisk(folder, options.smallDisk.megabytes ?? 160, account);
      }
      let followed = primaryPort;
      if ((options.proxied ?? true) && !detached) {
        const proxy = await LoopbackProxy.start(primaryPort);
        proxies.push(proxy);
        followed = proxy.port;
      }
      const port = i === 0 ? primaryPort : await freePort();
      servers.push(new PostgresServer(common, `standby${i}`, port, folder, followed));
    }
    const [primary, ...others] = servers as [PostgresServer, ...PostgresServer[]];
    await primary.initialize();
    // A copy of a server that has not run yet is as good as a base backup, and there at once.
    await all(others.map((standby) => standby.copyUnstarted(primary)));
    cluster = new PostgresCluster(parts());
    await all(servers.map((server) => server.start()));
    await primary.sql(usersSql(passwordUser));
    await primary.sql('create database ackgate owner ackgate');
    await cluster.waitUntilReplayed();
    return cluster;
  } catch (error) {
    await (cluster ?? new PostgresCluster(parts())).close();
    throw error;
  }
}

/** Waits for the end of all of them before it fails, so that nothing starts while a failed start is taken back. */
async function all(steps: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(steps);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function usersSql(passwordUser: PostgresClusterOptions['passwordUser']): string {
  const statements = ['create role ackgate login; grant pg_monitor to ackgate'];
  if (passwordUser !== undefined) {
    const { name, password } = passwordUser;
    if (!/^[a-z][a-z0-9_]*$/.test(name)) throw fail('the name of passwordUser may have a-z, 0-9 and _');
    const quoted = `'${password.replaceAll("'", "''")}'`;
    statements.push(`create role ${name} login password ${quoted} in role ackgate, pg_monitor`);
  }
  return statements.join('; ');
}
