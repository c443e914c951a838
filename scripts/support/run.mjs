import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The project's top folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Runs a command to its end in the project's folder.
 *
 * Its standard output goes where `output` says: 'stdout'; 'stderr', for steps that may run before a command whose
 * standard output is a document; 'capture', to come back as text; or 'tee', both shown and returned.
 * Returns the exit code (124 after `timeoutMs`, 127 when the program is missing or was aborted) and the captured text.
 */
export function run(command, args, { output = 'stdout', env = process.env, timeoutMs = 0, signal } = {}) {
  const piped = output === 'capture' || output === 'tee';
  const streams = piped ? ['pipe', 'pipe'] : output === 'stderr' ? [2, 2] : [1, 2];
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env, signal, stdio: ['ignore', ...streams] });
    let text = '';
    let timedOut = false;
    const take = (show) => (chunk) => {
      text += chunk;
      if (output === 'tee') show.write(chunk);
    };
    child.stdout?.setEncoding('utf8').on('data', take(process.stdout));
    child.stderr?.setEncoding('utf8').on('data', take(process.stderr));
    const timer =
      timeoutMs > 0 &&
      setTimeout(() => {
        timedOut = true;
        text += `\n${command}: stopped after ${timeoutMs / 1000} s\n`;
        child.kill('SIGKILL');
        // A grandchild may hold our pipes open: without this, 'close' would wait for it.
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ code: 127, text: `${command}: ${error.message}\n` });
    });
    child.on('close', (code, endedBy) => {
      clearTimeout(timer);
      resolve({
        code: timedOut ? 124 : (code ?? 1),
        text: endedBy && !timedOut ? `${text}${command}: ${endedBy}\n` : text,
      });
    });
  });
}

/** Runs a script with this Node. */
export const runNode = (script, args = [], options = {}) => run(process.execPath, [script, ...args], options);

/** The counts in the last line of `text`, `N passed, N failed`; null when it ends otherwise. */
export function lastCounts(text) {
  const match = /^(\d+) passed, (\d+) failed\s*$/.exec(text.trimEnd().split('\n').at(-1) ?? '');
  return match && { passed: Number(match[1]), failed: Number(match[2]) };
}
