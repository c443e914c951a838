import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import type { Duplex } from 'node:stream';
import { atMost } from '../shared/at-most.js';
import type { ServerCommand, ServerHandle } from './driver.js';
import type { Exit } from './exit.js';
import { OutputTail } from './output-tail.js';
import { ProbeClient } from './probe-client.js';
import { probeFdName } from './probe-wire.js';
import { endGroup, signalGroup } from './process-group.js';
import type { OwnReading } from './samples.js';

const outputBytesMax = 64 * 1024;
/** For the last output of a server that has ended. Somebody who left its group may hold the pipe open for ever. */
const drainMs = 1000;
const probeFd = 3;

export interface ServerStart {
  /** `{port}` and `{dir}` in the command and its arguments are replaced. */
  readonly command: ServerCommand;
  readonly host: string;
  /** Also in the server's environment, as `PORT`. */
  readonly port: number;
  readonly directory: string;
  /** Whether the server is made to load the probe; `auto`: when its command is Node. */
  readonly probe: boolean | 'auto';
}

/**
 * The server under test: a child in a process group of its own, so that a Ctrl-C in the terminal is the runner's alone and
 * that a wrapper's children end with it.
 *
 * A server that goes to the background has ended, by this. What it leaves behind in its group is killed; what has left the
 * group (`setsid`) can't be known of and goes on, with the port in its hands.
 *
 * It never throws for what the server does: a command that can't be started is an `exit`, too. When the runner itself is
 * killed, the server stays; its standard output, the probe's pipe and its IPC channel are closed then, so a server that
 * should not stay can end itself at `disconnect`.
 */
export class ServerProcess implements ServerHandle {
  readonly host: string;
  readonly port: number;
  /** NaN when it could not be started: unlike 0 or -1, no call takes it for somebody. */
  readonly pid: number;
  /** Resolves when the server has ended, all that was left of its group has, and its output is complete. Never rejects. */
  readonly exited: Promise<Exit>;
  /** What was started, as it was started. */
  readonly commandLine: readonly string[];
  readonly #child: ChildProcess | null;
  readonly #probe: ProbeClient | null;
  readonly #tail = new OutputTail(outputBytesMax);
  #exit: Exit | null = null;
  /** Nobody is left, and its number may be another's. */
  #over = false;
  /** Until then what is left of the group may end by itself. */
  #graceUntil = Number.NEGATIVE_INFINITY;
  #stopping = false;

  static start(options: ServerStart): ServerProcess {
    return new ServerProcess(options);
  }

  private constructor({ command, host, port, directory, probe }: ServerStart) {
    this.host = host;
    this.port = port;
    const file = filled(command.command, port, directory);
    const withProbe = probe === 'auto' ? isNode(file) : probe;
    const args = command.args.map((arg) => filled(arg, port, directory));
    if (withProbe) args.unshift('--import', new URL('./probe.js', import.meta.url).href);
    this.commandLine = [file, ...args];
    const env: NodeJS.ProcessEnv = { ...process.env, PORT: String(port), ...command.env };
    // One that is there already belongs to a probe of the runner itself.
    delete env[probeFdName];
    if (withProbe) env[probeFdName] = String(probeFd);
    const stdio: ('ignore' | 'pipe' | 'ipc')[] = ['ignore', 'pipe', 'pipe'];
    if (withProbe) stdio.push('pipe');
    if (command.ipc === true) stdio.push('ipc');

    let child: ChildProcess | null = null;
    let thrown: unknown;
    try {
      child = spawn(file, args, { detached: true, env, stdio });
    } catch (error) {
      thrown = error;
    }
    this.#child = child;
    this.pid = child?.pid ?? Number.NaN;
    const pipe = (withProbe && (child?.stdio?.[probeFd] as Duplex | null | undefined)) || null;
    this.#probe = pipe === null ? null : new ProbeClient(pipe);
    this.exited = child === null ? Promise.resolve(this.#failed(file, thrown)) : this.#watch(child, file);
  }

  /**
   * Null while it runs. Set as soon as the runner is told of its end. `exited` resolves later, up to a second when somebody
   * who has left the group holds the output open, and the output may not be complete until then.
   */
  get exit(): Exit | null {
    return this.#exit;
  }

  /** The last 64 KiB of standard output and standard error, in the order of their coming. */
  get output(): string {
    return this.#tail.text();
  }

  send(message: object | string): boolean {
    // One that could not be started has a channel all the same.
    if (this.#exit !== null || !this.#child?.connected) return false;
    // A channel that breaks meanwhile is an 'error' of the child.
    this.#child.send(message);
    return true;
  }

  onMessage(listener: (message: unknown) => void): () => void {
    this.#child?.on('message', listener);
    return () => this.#child?.off('message', listener);
  }

  /** What the probe reads; null when there is none, it does not answer within two seconds, or the server has ended. */
  async own(gc: boolean): Promise<OwnReading | null> {
    return this.#probe === null ? null : this.#probe.read(gc);
  }

  /** Asks the whole group to end, and kills it when it has not after `graceMs`. Called again, it only waits. */
  async stop(graceMs: number): Promise<Exit> {
    if (this.#stopping || this.#exit !== null) return this.exited;
    this.#stopping = true;
    this.#graceUntil = performance.now() + graceMs;
    signalGroup(this.pid, 'SIGTERM');
    const late = setTimeout(() => this.kill(), graceMs);
    const exit = await this.exited;
    clearTimeout(late);
    return exit;
  }

  /** Kills the whole group, at once: also for where nothing can be waited for, such as at the runner's own exit. */
  kill(): void {
    this.#graceUntil = Number.NEGATIVE_INFINITY;
    if (!this.#over) signalGroup(this.pid, 'SIGKILL');
  }

  #watch(child: ChildProcess, file: string): Promise<Exit> {
    const streams = (child.stdio ?? []).filter((stream) => stream != null);
    // A server that dies breaks pipes; that it died is told by its exit.
    for (const stream of streams) stream.on('error', () => {});
    child.stdout?.on('data', (chunk: Buffer) => this.#tail.append(chunk));
    child.stderr?.on('data', (chunk: Buffer) => this.#tail.append(chunk));
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    return new Promise((resolve) => {
      child.on('error', (error) => {
        // Of a process that runs, this only says that a message or a signal did not reach it.
        if (child.pid === undefined) resolve(this.#failed(file, error));
      });
      child.once('exit', async (code, signal) => {
        const exit = { code, signal, error: null };
        this.#exit = exit;
        await endGroup(this.pid, this.#graceUntil - performance.now());
        this.#over = true;
        await atMost(drainMs, closed);
        for (const stream of streams) stream.destroy();
        if (child.connected) child.disconnect();
        this.#probe?.close();
        resolve(exit);
      });
    });
  }

  #failed(file: string, error: unknown): Exit {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? `no such command (${code})` : message;
    this.#probe?.close();
    this.#exit = { code: null, signal: null, error: `${JSON.stringify(file)} could not be started: ${why}` };
    return this.#exit;
  }
}

const filled = (text: string, port: number, directory: string): string =>
  text.replaceAll('{port}', () => String(port)).replaceAll('{dir}', () => directory);

const isNode = (file: string): boolean =>
  file === process.execPath || ['node', 'nodejs'].includes(basename(file));
