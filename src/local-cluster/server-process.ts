import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Account } from './account.js';
import { plainEnvironment } from './environment.js';
import { fail } from './fail.js';
import { guardAtEnd } from './guard.js';
import {
  freezeTree,
  isRunning,
  killTree,
  type ProcessId,
  processId,
  processTree,
  thawTree,
} from './process-table.js';
import { until } from './until.js';

export interface Launch {
  /** What messages call it. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly account: Account | null;
  /** A folder that the account may enter. */
  readonly folder: string;
  /** What it says goes to the end of this file. */
  readonly log: string;
  /** Can be left running: signals of our terminal don't reach it. */
  readonly detached: boolean;
}

/** A server that was started here, with all the processes that it started in turn. */
export class ServerProcess {
  readonly id: ProcessId;
  readonly #launch: Launch;
  /** From now on it outlives this process. */
  readonly leave: () => void;
  #frozen = false;

  private constructor(launch: Launch, id: ProcessId, leave: () => void) {
    this.#launch = launch;
    this.id = id;
    this.leave = leave;
  }

  static async start(launch: Launch): Promise<ServerProcess> {
    const log = openSync(launch.log, 'a');
    const child = spawn(launch.program, launch.args, {
      cwd: launch.folder,
      env: plainEnvironment,
      stdio: ['ignore', log, log],
      detached: launch.detached,
      ...(launch.account === null ? {} : { uid: launch.account.uid, gid: launch.account.gid }),
    });
    closeSync(log);
    await new Promise((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(fail(`${launch.name} did not start: ${error.message}`, error)));
    });
    const id = processId(child.pid!);
    // It can't be gone entirely: Node has not waited for it before this turn ends.
    if (id === null) throw fail(`${launch.name} ended at once`);
    const release = guardAtEnd({ kind: 'process', id });
    child.once('exit', release);
    const leave = () => {
      release();
      child.unref();
    };
    return new ServerProcess(launch, id, leave);
  }

  get running(): boolean {
    return isRunning(this.id);
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** Every process of the server. */
  get processes(): ProcessId[] {
    return processTree(this.id);
  }

  signal(name: NodeJS.Signals): void {
    if (this.running) process.kill(this.id.pid, name);
  }

  /** Waits until it accepts work. Fails when it ends before that. */
  async ready(isReady: () => boolean | Promise<boolean>): Promise<void> {
    await until(
      () => this.#told('did not get ready'),
      async () => {
        if (!this.running) throw fail(this.#told('ended while it started'));
        return await isReady();
      },
    );
  }

  /** Waits until it and all its processes have ended. */
  async ended(of: readonly ProcessId[] = [this.id]): Promise<void> {
    await until(
      () => this.#told('did not end'),
      () => !of.some(isRunning),
      { everyMs: 3 },
    );
  }

  freeze(): void {
    if (!this.running) throw fail(`${this.#launch.name} does not run`);
    freezeTree(this.id);
    this.#frozen = true;
  }

  thaw(): void {
    thawTree(this.id);
    this.#frozen = false;
  }

  /** SIGKILL to every process of it; resolves when all are gone. */
  async kill(): Promise<void> {
    await this.ended(killTree(this.id));
  }

  /** Asks it to end by a signal, and waits until all of it has. */
  async end(by: NodeJS.Signals): Promise<void> {
    if (this.#frozen) throw fail(`${this.#launch.name} is frozen and can't stop in order: thaw or kill it`);
    const tree = this.processes;
    this.signal(by);
    await this.ended([this.id, ...tree]);
  }

  #told(what: string): string {
    const { name, log } = this.#launch;
    return `${name} ${what}${lastLines(log)}`;
  }
}

/** The end of a log, to be put behind a message. */
function lastLines(path: string): string {
  try {
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-12);
    return `; its log ends with:\n${lines.join('\n')}`;
  } catch {
    return '';
  }
}
