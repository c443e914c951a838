import { chownSync, mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { claimFolder, makeFolder, unprivilegedAccount } from './account.js';
import { fail } from './fail.js';
import { findNats } from './find-programs.js';
import { freePort } from './free-port.js';
import { guardAtEnd } from './guard.js';
import type { ProcessId } from './process-table.js';
import { removeFolder } from './remove-folder.js';
import { type Launch, ServerProcess } from './server-process.js';

export interface NatsServerOptions {
  /** A new or empty folder for what it writes; removed by `close()`. Default: a temporary one. */
  readonly directory?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Streams and key-value buckets. Default false. */
  readonly jetstream?: boolean;
  /** Default: anybody on this machine may connect. */
  readonly user?: string;
  readonly password?: string;
  /** Lines for its configuration file, such as `max_payload: 65536`. */
  readonly configuration?: string;
  /** It can be left running by `leave()`. Default false. */
  readonly detached?: boolean;
}

/** One `nats-server` on loopback. */
export class NatsServer {
  readonly port: number;
  /** Without user and password. */
  readonly url: string;
  readonly directory: string;
  readonly #launch: Launch;
  readonly #release: () => void;
  #server: ServerProcess | null = null;

  /** Use `startNatsServer`. */
  constructor(port: number, launch: Launch, release: () => void) {
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    this.directory = launch.folder;
    this.#launch = launch;
    this.#release = release;
  }

  get running(): boolean {
    return this.#server?.running ?? false;
  }

  /** Its process while it runs. */
  get process(): ProcessId | null {
    return this.running ? this.#server!.id : null;
  }

  /** Starts it on its port again, with what it had written. */
  async start(): Promise<void> {
    if (this.running) throw fail('nats-server runs already');
    this.#server = await ServerProcess.start(this.#launch);
    await this.#server.ready(() => greets(this.port, this.directory));
  }

  /** In order: it tells its clients, and writes what it has. */
  async stop(): Promise<void> {
    await this.#server?.end('SIGTERM');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  /** It stays there with its connections, and does nothing, until `thaw()`. */
  freeze(): void {
    if (this.#server === null) throw fail('nats-server does not run');
    this.#server.freeze();
  }

  thaw(): void {
    this.#server?.thaw();
  }

  /** It outlives this process, started `detached`, and keeps its folder. */
  leave(): void {
    this.#server?.leave();
    this.#release();
  }

  /** Kills it and removes its folder. */
  async close(): Promise<void> {
    await this.kill();
    removeFolder(this.directory);
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Starts one, and resolves when it takes connections. Nothing of a failed start stays. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const programs = findNats();
  if (!programs.found) throw fail(programs.reason);
  const account = unprivilegedAccount(['nats', 'nobody']);
  const folder = claimFolder(options.directory ?? mkdtempSync(join(tmpdir(), 'ackgate-nats-')), account);
  const detached = options.detached ?? false;
  const release = guardAtEnd({ kind: 'folder', path: folder });
  try {
    const port = options.port ?? (await freePort());
    const store = join(folder, 'store');
    makeFolder(store, account);
    const file = join(folder, 'nats.conf');
    // In a file and not among the arguments, which everybody on the machine can read.
    writeFileSync(file, configuration(options, port, store), { mode: 0o600 });
    if (account !== null) chownSync(file, account.uid, account.gid);
    const server = new NatsServer(
      port,
      {
        name: 'nats-server',
        program: join(programs.folder, 'nats-server'),
        args: ['-c', file],
        account,
        folder,
        log: join(folder, 'log'),
        detached,
      },
      release,
    );
    try {
      await server.start();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  } catch (error) {
    removeFolder(folder);
    release();
    throw error;
  }
}

function configuration(options: NatsServerOptions, port: number, store: string): string {
  const lines = ['host: "127.0.0.1"', `port: ${port}`, `server_name: ${JSON.stringify(dirname(store))}`];
  if (options.jetstream) lines.push(`jetstream { store_dir: ${JSON.stringify(store)} }`);
  if (options.user !== undefined) {
    const password = JSON.stringify(options.password ?? '');
    lines.push(`authorization { user: ${JSON.stringify(options.user)}, password: ${password} }`);
  }
  return `${[...lines, options.configuration ?? ''].join('\n')}\n`;
}

/** Whether our server answers on that port, and not another one that had it already. */
const greets = (port: number, name: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('data', (chunk) => settle(chunk.includes(name)));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
    socket.setTimeout(1_000, () => settle(false));
    function settle(greeted: boolean) {
      resolve(greeted);
      socket.destroy();
    }
  });
