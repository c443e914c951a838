import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { nativeAddon } from '../../dist/egress/native.js';
import { explainUring } from '../../dist/egress/probe.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'build/reference');

/** Benches run beside each other: without the lock one would start a program that another is just linking. */
function cmake(...args) {
  const locked = [join(folder, 'lock'), 'cmake', ...args];
  const { status, stdout, stderr, error } = spawnSync('flock', locked, { encoding: 'utf8' });
  const missing = 'the C programs need flock, cmake and a C compiler (Debian: util-linux, cmake, gcc)';
  if (error) throw new Error(missing, { cause: error });
  if (status !== 0) throw new Error(`cmake ${args.join(' ')}: ${stdout}${stderr} (${missing})`);
}

/** Builds the programs of bench/reference/, as far as they are stale. */
export function buildReference() {
  mkdirSync(folder, { recursive: true });
  cmake('-S', join(root, 'bench/reference'), '-B', folder);
  cmake('--build', folder);
}

let probe = null;

/** Why there is no io_uring here; null when there is. */
export function uringFault() {
  probe ??= nativeAddon().probeUring(4096);
  return probe.errno === 0 ? null : explainUring(probe.errno, probe.stage);
}

/** Path of one of them; null when it can't run here: `limit` and `classic` need io_uring, and liburing to be built. */
export function reference(name) {
  const path = join(folder, name);
  const needsUring = name === 'limit' || name === 'classic';
  return existsSync(path) && (!needsUring || uringFault() === null) ? path : null;
}

/** Much longer than any answer takes; a bound against hanging. */
const answerTimeoutMs = 120_000;

/** A child that answers each line on its standard input with one line of JSON. */
export class Peer {
  #child;
  #answers;
  #exited;
  #name;

  /** @param {string[]} argv program and arguments; `*.mjs` runs under this Node */
  constructor(argv, { nodeArgs = [], env = {} } = {}) {
    const [program, ...args] = argv[0].endsWith('.mjs') ? [process.execPath, ...nodeArgs, ...argv] : argv;
    this.#name = dirname(argv[0]) === '.' ? argv[0] : argv[0].slice(dirname(argv[0]).length + 1);
    this.#child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    this.#exited = once(this.#child, 'exit');
    this.#child.stdin.on('error', () => {}); // It has ended; the answer that never comes says so.
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  get pid() {
    return this.#child.pid;
  }

  /** The next line it prints. */
  async answer() {
    let timer;
    const late = new Promise((_, reject) => {
      const error = new Error(
        `${this.#name} gave no answer for ${answerTimeoutMs / 1000} s: something was lost`,
      );
      timer = setTimeout(reject, answerTimeoutMs, error);
    });
    const { value, done } = await Promise.race([this.#answers.next(), late]).finally(() =>
      clearTimeout(timer),
    );
    if (done) {
      const [code, signal] = await this.#exited;
      throw new Error(`${this.#name} ended (${signal ?? code}) instead of answering`);
    }
    return JSON.parse(value);
  }

  ask(command) {
    this.#child.stdin.write(`${command}\n`);
    return this.answer();
  }

  /** Sends it a signal, unless it has ended. */
  signal(name) {
    this.#child.kill(name);
  }

  async close() {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

/** Cores that this process may run on. */
function allowedCores() {
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1];
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

const runOn = (cores, id, ...flags) =>
  spawnSync('taskset', [...flags, '-c', '-p', cores.join(','), String(id)]);

/**
 * Gives the sending thread a core of its own, and everything else the others: who shares its core leaves it cold caches,
 * and would count as its work. With a single core nothing can be parted.
 */
function pin(sendingThread, ...processes) {
  const [first, ...others] = allowedCores();
  if (others.length === 0) return;
  for (const id of processes) runOn(others, id, '-a');
  runOn([first], sendingThread);
}

/**
 * Starts a sending program and the clients that drain it, and waits until all are connected. A program that names its
 * sending thread gets a core for it. `drainArgs`: more arguments of the clients.
 */
export async function connectedPeers(argv, connections, { drainArgs = [], ...options } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-bench-'));
  const readFile = join(folder, 'read');
  writeFileSync(readFile, new Uint8Array(8));
  const env = { ...options.env, BENCH_READ_FILE: readFile };
  const server = new Peer(argv, { ...options, env });
  let clients = null;
  const close = async () => {
    await Promise.all([server.close(), clients?.close()]);
    rmSync(folder, { recursive: true });
  };
  try {
    const { port } = await server.answer();
    clients = new Peer([reference('drain'), String(port), String(connections), ...drainArgs], { env });
    const { thread } = await server.answer();
    if (thread !== undefined) pin(thread, server.pid, clients.pid);
  } catch (error) {
    await close();
    throw error;
  }
  return { server, clients, close };
}

/** The same for a program that sends rounds. */
export async function connected(argv, connections, options) {
  const { server, clients, close } = await connectedPeers(argv, connections, options);
  let bytes = 0;
  return {
    /** Sends the rounds and waits until the clients have every byte of them. */
    async rounds(count, { frames, bytes: bodyBytes, order = 'grouped' }) {
      const result = await server.ask(`rounds ${count} ${frames} ${bodyBytes} ${order}`);
      bytes += result.responses * (4 + bodyBytes);
      const read = await clients.ask(`await ${bytes}`);
      if (read.bytes !== bytes) throw new Error(`the clients have ${read.bytes} bytes instead of ${bytes}`);
      return result;
    },
    close,
  };
}
