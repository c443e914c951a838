import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { until } from './stage.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** `ackgate …` in a process of its own, and what it says. */
export class Command {
  readonly child: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals>;
  output = '';
  errors = '';

  /** Ends with the test. */
  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout!.on('data', (chunk) => {
      this.output += chunk;
    });
    this.child.stderr!.on('data', (chunk) => {
      this.errors += chunk;
    });
    this.ended = new Promise((end) => {
      this.child.once('close', (code, signal) => end(signal ?? code ?? -1));
    });
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return this.ended;
  }

  /** Waits until it has said something. */
  async says(text: string): Promise<void> {
    await until(`"${text}" is said, not ${this.output}${this.errors}`, () => this.output.includes(text));
  }
}

export interface ReplicaCommandOptions {
  servers: string;
  cluster: string;
  node: string;
  directory: string;
  zone?: string;
}

export function replicaCommand({ servers, cluster, node, directory, zone }: ReplicaCommandOptions): Command {
  const where = ['--servers', servers, '--cluster', cluster, '--name', node, '--directory', directory];
  return new Command(['replica', ...where, ...(zone === undefined ? [] : ['--zone', zone]), '--json']);
}
