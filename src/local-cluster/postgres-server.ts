import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Account, makeFolder } from './account.js';
import { fail } from './fail.js';
import type { ProcessId } from './process-table.js';
import { runProgram } from './run-program.js';
import { ServerProcess } from './server-process.js';

/** What all servers of a cluster have in common. */
export interface PostgresInstallation {
  /** Where the programs are. */
  readonly programs: string;
  readonly account: Account | null;
  /** The superuser `postgres` of every server; only this process and the servers know it. */
  readonly superuserPassword: string;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly passwordUser: string | null;
  readonly detached: boolean;
}

/**
 * One PostgreSQL server: its folder has `data`, the configuration beside it, where neither a base backup nor pg_rewind
 * writes over it, and `log`.
 */
export class PostgresServer {
  /** Its `application_name` as a standby. */
  readonly name: string;
  readonly port: number;
  readonly folder: string;
  readonly data: string;
  readonly #common: PostgresInstallation;
  /** Where it finds the primary when it is a standby. */
  #primaryPort: number;
  #server: ServerProcess | null = null;

  constructor(common: PostgresInstallation, name: string, port: number, folder: string, primaryPort: number) {
    this.name = name;
    this.port = port;
    this.folder = folder;
    this.data = join(folder, 'data');
    this.#common = common;
    this.#primaryPort = primaryPort;
  }

  get running(): boolean {
    return this.#server?.running ?? false;
  }

  get frozen(): boolean {
    return this.running && this.#server!.frozen;
  }

  /** The first of its processes while it runs. */
  get process(): ProcessId | null {
    return this.running ? this.#server!.id : null;
  }

  /** All of its processes. */
  get processes(): ProcessId[] {
    return this.#server?.processes ?? [];
  }

  /** Whether it starts as a standby. */
  get isStandby(): boolean {
    return existsSync(join(this.data, 'standby.signal'));
  }

  /** Where it finds its primary from now on, also while it runs. */
  follow(primaryPort: number): void {
    this.#primaryPort = primaryPort;
    this.#configure();
    this.#server?.signal('SIGHUP');
  }

  makeStandby(): void {
    this.#write(join(this.data, 'standby.signal'), '');
  }

  async start(): Promise<void> {
    if (this.running) throw fail(`${this.name} runs already`);
    this.#configure();
    const pidFile = join(this.data, 'postmaster.pid');
    this.#server = await ServerProcess.start({
      name: `PostgreSQL server ${this.name}`,
      program: join(this.#common.programs, 'postgres'),
      args: ['-D', this.data, '-c', `config_file=${join(this.folder, 'postgresql.conf')}`],
      account: this.#common.account,
      folder: this.folder,
      log: join(this.folder, 'log'),
      detached: this.#common.detached,
    });
    const pid = String(this.#server.id.pid);
    // What pg_ctl looks at too: the server writes there how far it has come.
    await this.#server.ready(() => {
      const lines = readLines(pidFile);
      return lines[0] === pid && /^(ready|standby)\s*$/.test(lines[7] ?? '');
    });
  }

  /** 'fast' writes a checkpoint and tells its clients; 'immediate' is a crash by its own hand. */
  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    await this.#server?.end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  }

  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  freeze(): void {
    if (this.#server === null) throw fail(`${this.name} does not run`);
    this.#server.freeze();
  }

  thaw(): void {
    this.#server?.thaw();
  }

  /** It outlives this process. */
  leave(): void {
    this.#server?.leave();
  }

  /** Runs SQL on it as superuser; what it answers, a line for each row, fields with `|` between them. */
  async sql(text: string, database = 'postgres'): Promise<string> {
    const to = ['-h', '127.0.0.1', '-p', String(this.port), '-U', 'postgres', '-d', database];
    const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...to, '-c', text];
    return (await this.run('psql', args)).trimEnd();
  }

  /** Runs one of PostgreSQL's programs for it. */
  run(program: string, args: readonly string[]): Promise<string> {
    const { account, programs, superuserPassword: password } = this.#common;
    return runProgram(join(programs, program), args, { account, folder: this.folder, password });
  }

  /** Makes its data the cluster's first. */
  async initialize(): Promise<void> {
    const passwordFile = join(this.folder, 'password');
    this.#write(passwordFile, `${this.#common.superuserPassword}\n`);
    // Without fsync, which is for a cut of power right after; the server itself runs with it.
    const quick = ['--no-sync', '--no-locale', '--no-instructions', '--wal-segsize=4'];
    const owner = ['-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile];
    await this.run('initdb', ['-D', this.data, '-E', 'UTF8', ...quick, ...owner]);
    rmSync(passwordFile);
  }

  /** Makes it a standby by copying a server that has never run. */
  async copyUnstarted(source: PostgresServer): Promise<void> {
    const { account } = this.#common;
    await runProgram('cp', ['-a', '--reflink=auto', source.data, this.data], {
      account,
      folder: this.folder,
    });
    this.makeStandby();
  }

  /** Makes its data a copy of a running server's. */
  async copyFrom(source: PostgresServer): Promise<void> {
    rmSync(this.data, { recursive: true, force: true });
    makeFolder(this.data, this.#common.account);
    const from = ['-h', '127.0.0.1', '-p', String(source.port), '-U', 'postgres'];
    await this.run('pg_basebackup', ['-D', this.data, ...from, '-c', 'fast', '--no-sync', '-X', 'fetch']);
  }

  /** Takes back what it has and the other one doesn't. Fails when its history does not tell how. */
  async rewindTo(source: PostgresServer): Promise<void> {
    // A server that was promoted just now tells pg_rewind of its new timeline only from its first checkpoint on.
    await source.sql('checkpoint');
    const from = `host=127.0.0.1 port=${source.port} user=postgres dbname=postgres`;
    const config = ['--config-file', join(this.folder, 'postgresql.conf')];
    await this.run('pg_rewind', ['-D', this.data, ...config, '--source-server', from, '--no-sync']);
  }

  /** Kills it. What the kernel keeps for a killed server, and only its next start would remove, goes too. */
  async end(): Promise<void> {
    await this.kill();
    const segment = readLines(join(this.data, 'postmaster.pid'))[6]?.trim().split(/\s+/)[1];
    if (segment === undefined) return;
    try {
      execFileSync('ipcrm', ['-m', segment], { stdio: 'ignore' });
    } catch {
      // It had removed that itself.
    }
  }

  #configure(): void {
    const { passwordUser, settings, superuserPassword } = this.#common;
    // A connection attempt that nobody answers must not keep it from trying again.
    const primary = `host=127.0.0.1 port=${this.#primaryPort} user=postgres password=${superuserPassword} connect_timeout=2 application_name=${this.name}`;
    const all = {
      listen_addresses: '127.0.0.1',
      port: this.port,
      unix_socket_directories: '',
      hba_file: join(this.folder, 'pg_hba.conf'),
      primary_conninfo: primary,
      ...everyday,
      ...settings,
    };
    const lines = Object.entries(all).map(
      ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`,
    );
    this.#write(join(this.folder, 'postgresql.conf'), `${lines.join('\n')}\n`);
    const scram = passwordUser === null ? [] : [`host all ${passwordUser} 127.0.0.1/32 scram-sha-256`];
    const rules = [
      ...scram,
      // Anybody on this machine may be `ackgate`, which can do nothing outside of its database.
      'host all ackgate 127.0.0.1/32 trust',
      'host all all 127.0.0.1/32 scram-sha-256',
      'host replication all 127.0.0.1/32 scram-sha-256',
    ];
    this.#write(join(this.folder, 'pg_hba.conf'), `${rules.join('\n')}\n`);
  }

  #write(path: string, content: string): void {
    const { account } = this.#common;
    writeFileSync(path, content, { mode: 0o600 });
    if (account !== null) chownSync(path, account.uid, account.gid);
  }
}

/** Small and quick to notice, with nothing taken away from what makes data safe. */
const everyday: Record<string, string | number> = {
  fsync: 'on',
  full_page_writes: 'on',
  wal_log_hints: 'on', // for pg_rewind
  wal_level: 'replica',
  hot_standby: 'on',
  wal_keep_size: '128MB',
  min_wal_size: '16MB',
  max_wal_size: '256MB',
  wal_sender_timeout: '2s',
  wal_receiver_timeout: '2s',
  wal_receiver_status_interval: '1s',
  wal_retrieve_retry_interval: '100ms',
  shared_buffers: '32MB',
  max_logical_replication_workers: 0,
  // In the data folder, where nothing stays of a killed server once that is removed.
  dynamic_shared_memory_type: 'mmap',
  autovacuum: 'off',
  jit: 'off',
  timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%a ',
};

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
