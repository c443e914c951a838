import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** A folder with the programs of an example in it, as links: what they import is found from where they really are. */
export function folderWith(example: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-example-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const from = join(root, 'examples', example);
  for (const name of readdirSync(from)) symlinkSync(join(from, name), join(folder, name));
  return folder;
}

/** A port below those that the kernel gives out by itself, so that nobody's connection takes it meanwhile. */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer().listen(port, '127.0.0.1');
    const free = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

export interface Program {
  readonly child: ChildProcess;
  /** What it has printed so far, line by line, on both outputs. */
  readonly lines: string[];
  /** Its exit code, or the signal that has ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Resolves when a line like this has been printed, so many times. */
  said(line: RegExp, times?: number): Promise<void>;
}

/** Starts `node ARGS` in a folder; killed at the end of the test. */
export function startProgram(folder: string, args: readonly string[], env: NodeJS.ProcessEnv): Program {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  for (const input of [child.stdout!, child.stderr!])
    createInterface({ input }).on('line', (line) => lines.push(line));
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  return {
    child,
    lines,
    ended,
    said: (line, times = 1) =>
      until(() => {
        if (lines.filter((text) => line.test(text)).length >= times) return true;
        const over = child.exitCode !== null || child.signalCode !== null;
        if (over) throw new Error(`${args.join(' ')} has ended without "${line}": ${lines.join('\n')}`);
        return false;
      }),
  };
}

/** Looks every 10 ms; the test's own time limit bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(10);
}

/** Connects more clients than a server has room for, and lets go of them all once it has ended one of them. */
export async function overrun(port: number, count: number): Promise<void> {
  const clients = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => {}));
  const closed = clients.map((client) => new Promise((resolve) => client.once('close', resolve)));
  await Promise.race(closed);
  for (const client of clients) client.destroy();
  await Promise.all(closed);
}

/** Runs a command line as the shell would, and returns the lines that it prints. */
export async function shell(
  folder: string,
  command: string,
  env: NodeJS.ProcessEnv,
  code = 0,
): Promise<string[]> {
  const line = command.replace(/^npx ackgate /, `${process.execPath} ${join(root, 'dist/cli/main.js')} `);
  const options = { cwd: folder, env: { ...process.env, ...env, NO_COLOR: '1' }, timeout: 120_000 };
  return await new Promise((resolve) => {
    execFile('bash', ['-c', line], options, (error, stdout, stderr) => {
      const text = stdout + stderr;
      expect(error?.code ?? 0, text).toBe(code);
      resolve(text.trimEnd().split('\n'));
    });
  });
}
