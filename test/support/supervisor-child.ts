import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { until } from './stage.js';

const program = fileURLToPath(new URL('../fixtures/supervisor-child.mjs', import.meta.url));

export interface ChildSetting {
  servers?: number;
  connections?: number;
  port?: number;
  requests?: 'answer' | 'never';
  flush?: 'done' | 'failed' | 'never';
  drainMs?: number;
  signals?: boolean;
  errors?: 'nobody' | 'on' | 'once';
}

/** One line that the child has printed. */
export interface ChildEvent {
  event: string;
  [field: string]: unknown;
}

/** A process with supervised servers, see test/fixtures/supervisor-child.mjs. It is gone after the test. */
export class SupervisorChild {
  readonly events: ChildEvent[] = [];
  stderr = '';
  /** Exit code, or the signal that ended it; null while it runs. */
  end: number | NodeJS.Signals | null = null;
  readonly #process: ChildProcess;

  /** `descriptors`: the most that it may have open. */
  constructor(setting: ChildSetting, { descriptors }: { descriptors?: number } = {}) {
    const argv = [program, JSON.stringify(setting)];
    // Both limits, for Node raises the soft one to the hard one.
    const limited = ['-c', `ulimit -n ${descriptors}; exec "$0" "$@"`, process.execPath, ...argv];
    const child =
      descriptors === undefined ? spawn(process.execPath, argv) : spawn('bash', limited, { stdio: 'pipe' });
    this.#process = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.events.push(JSON.parse(line)));
    // `close`, not `exit`: all that it has printed is read by then.
    child.on('close', (code, signal) => {
      this.end = signal ?? code;
    });
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await until('the child is gone', () => this.end !== null);
    });
  }

  static async listening(
    setting: ChildSetting,
    options: { descriptors?: number } = {},
  ): Promise<{ child: SupervisorChild; ports: number[] }> {
    const child = new SupervisorChild(setting, options);
    const { ports } = await child.event('listening');
    return { child, ports: ports as number[] };
  }

  /** The first line of this kind that it has printed, or will. */
  async event(name: string): Promise<ChildEvent> {
    await this.until(`it says "${name}"`, () => this.all(name).length > 0);
    return this.all(name)[0];
  }

  all(name: string): ChildEvent[] {
    return this.events.filter(({ event }) => event === name);
  }

  /** How often it has logged a line that starts like this. */
  logged(start: string): number {
    return this.all('log').filter(({ message }) => (message as string).startsWith(start)).length;
  }

  async ask(command: 'hoard' | 'release' | 'status' | 'shutdown'): Promise<ChildEvent> {
    const before = this.all('answer').length;
    this.#process.stdin?.write(`${command}\n`);
    await this.until(`it answers ${command}`, () => this.all('answer').length > before);
    return this.all('answer')[before];
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  async ended(): Promise<number | NodeJS.Signals | null> {
    await until('the child has ended', () => this.end !== null);
    return this.end;
  }

  /** Polls while it runs. */
  async until(what: string, condition: () => boolean): Promise<void> {
    await until(what, () => condition() || this.end !== null);
    if (!condition()) throw new Error(`the child ended (${this.end}) before ${what}: ${this.stderr}`);
  }
}
