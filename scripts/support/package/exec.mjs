import { spawn } from 'node:child_process';

/** Groups of processes that run now: nothing outlives this one. */
const running = new Set();
const endGroup = (pid) => {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // They have ended.
  }
};
process.on('exit', () => running.forEach(endGroup));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/**
 * Runs a command to its end, in a process group that is ended with it. Resolves with code (124 after `timeoutMs`), both
 * streams, and the time that it took. `signal` ends it early.
 */
export function exec(command, args, { cwd, env, timeoutMs = 120_000, signal }) {
  return new Promise((resolve) => {
    const beganMs = performance.now();
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const { pid } = child;
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'])
      child[name].setEncoding('utf8').on('data', (chunk) => {
        text[name] += chunk;
      });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      endGroup(pid);
    }, timeoutMs);
    const end = (code) => {
      clearTimeout(timer);
      if (pid !== undefined) {
        running.delete(pid);
        endGroup(pid);
      }
      resolve({ code, ms: Math.round(performance.now() - beganMs), ...text });
    };
    if (pid !== undefined) running.add(pid);
    signal?.addEventListener('abort', () => endGroup(pid), { once: true });
    child.on('error', (error) => {
      text.stderr += error.message;
      end(127);
    });
    child.on('close', (code, killedBy) => {
      if (late) text.stderr += `\nstopped after ${timeoutMs / 1000} s`;
      else if (killedBy !== null) text.stderr += `\nended by ${killedBy}`;
      end(late ? 124 : (code ?? 1));
    });
  });
}

/** The same; throws with what it said unless it ends with `expected`. */
export async function mustExec(command, args, options, expected = 0) {
  const result = await exec(command, args, options);
  if (result.code === expected) return result;
  const said = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-15).join('\n');
  throw new Error(`${[command, ...args].join(' ')} ended with ${result.code}:\n${said}`);
}
