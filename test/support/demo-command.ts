import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface DemoCommand {
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Resolves once standard error has matched. @throws that it has ended without */
  said(pattern: RegExp): Promise<void>;
}

interface DemoCommandOptions {
  /** Where its temporary files go. */
  readonly directory: string;
  readonly env?: NodeJS.ProcessEnv;
  /** In a process group of its own, as a shell does it, which a Ctrl-C reaches as a whole. */
  readonly detached?: boolean;
}

/** Starts `ackgate demo`. */
export function startDemo(
  args: readonly string[],
  { directory, env, detached }: DemoCommandOptions,
): DemoCommand {
  const child = spawn(process.execPath, [main, 'demo', ...args], {
    env: { ...process.env, TMPDIR: directory, ...env },
    detached,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ code, stdout, stderr }));
  const over = ended.then(() => {
    throw new Error(`it has ended: ${stderr}`);
  });
  over.catch(() => {});
  const said = async (pattern: RegExp) => {
    while (!pattern.test(stderr)) await Promise.race([once(child.stderr, 'data'), over]);
  };
  return { process: child, ended, said };
}
