import { spawnSync } from 'node:child_process';

/** Runs a program to its end, quietly; throws with what it said when it fails. */
export function step(command, args, { cwd, env = process.env, timeoutMs = 1_200_000 } = {}) {
  const options = {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 27,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  };
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, options);
  if (status === 0) return stdout;
  const why = error?.message ?? signal ?? `ended with ${status}`;
  const said = `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n').slice(-40).join('\n');
  throw new Error(`${command} ${args[0] ?? ''}: ${why}\n${said}`);
}

/** The end of what a program printed. */
export const lastLines = (text, count = 12) => text.trim().split('\n').slice(-count).join('\n');
