import { spawn } from 'node:child_process';

export interface ProcessResult {
  /** Null when it could not be run, was killed, or took too long. */
  code: number | null;
  timedOut: boolean;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, without a shell. Never rejects: a program that is not there has no exit code. */
export function runProcess(
  command: string,
  args: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<ProcessResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const result: ProcessResult = { code: null, timedOut: false, stdout: '', stderr: '' };
    const end = () => child.kill('SIGKILL');
    const timer = setTimeout(() => {
      result.timedOut = true;
      end();
    }, options.timeoutMs);
    options.signal?.addEventListener('abort', end, { once: true });
    if (options.signal?.aborted) end();
    const finish = (code: number | null) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', end);
      resolve({ ...result, code });
    };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      result.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      result.stderr += text;
    });
    child.on('error', () => finish(null));
    child.on('close', (code) => finish(code));
  });
}
