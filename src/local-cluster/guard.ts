import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from './environment.js';
import type { ProcessId } from './process-table.js';

/** What is taken away when this process ends. */
export type Guarded =
  | { readonly kind: 'process'; readonly id: ProcessId }
  /** With what is mounted in it. */
  | { readonly kind: 'folder'; readonly path: string };

let guard: ChildProcess | null = null;

/**
 * Kills a process with all that it started, or removes a folder, when this process ends, however it does: a process of
 * its own sees to it, because one that is killed runs no hooks. Returns what takes it from the list again.
 */
export function guardAtEnd(what: Guarded): () => void {
  const text = JSON.stringify(what);
  tell('+', text);
  return () => tell('-', text);
}

function tell(sign: '+' | '-', text: string): void {
  guard ??= startGuard();
  guard.stdin!.write(`${sign}${text}\n`);
}

function startGuard(): ChildProcess {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./guard-main.js', import.meta.url))], {
    cwd: '/',
    env: plainEnvironment,
    stdio: ['pipe', 'ignore', 'inherit'],
    // Signals of the terminal and kills of our group are not for it.
    detached: true,
  });
  child.unref();
  // Neither does its end of the pipe keep this process alive, nor does its death end it.
  const input = child.stdin as Socket;
  input.unref();
  input.on('error', () => {});
  return child;
}
