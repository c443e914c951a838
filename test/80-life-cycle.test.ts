import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { realBackends } from './support/stage.js';

// Every way for a process or a thread to end, each with a stage that sleeps and sends that are blocked: 200 in all.

const exec = promisify(execFile);
const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

/** A stage that sleeps in the kernel comes back within 50 ms; a process that takes this long hangs. */
const hangMs = 5000;
const processesPerWay = 12;
const atOnce = 3;

interface Ending {
  code: number | null;
  signal: string | null;
  errors: string;
}

async function runToEnd(backend: string, way: string): Promise<Ending> {
  const child: ChildProcess = spawn(process.execPath, [fixture('stage-exit.mjs'), backend, way], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr!.on('data', (chunk) => {
    errors += chunk;
  });
  const exited = once(child, 'exit');
  const ready = await Promise.race([once(child.stdout!, 'data').then(() => true), exited.then(() => false)]);
  if (!ready) throw new Error(`it ended before it was ready: ${errors}`);
  if (way === 'signal') child.kill('SIGTERM');
  const guard = setTimeout(() => child.kill('SIGKILL'), hangMs);
  const [code, signal] = await exited;
  clearTimeout(guard);
  return { code, signal, errors };
}

async function runMany(backend: string, way: string): Promise<Ending[]> {
  const endings: Ending[] = [];
  const one = async () => {
    for (let i = 0; i < processesPerWay / atOnce; i++) endings.push(await runToEnd(backend, way));
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return endings;
}

describe.each(realBackends)('a process ends with a parked stage and blocked sends, %s', (backend) => {
  it.each([
    { way: 'exit', what: 'process.exit', code: 7, signal: null },
    { way: 'throw', what: 'an uncaught exception', code: 1, signal: null },
    { way: 'signal', what: 'SIGTERM', code: null, signal: 'SIGTERM' },
    { way: 'close', what: 'close, and nothing left to do', code: 7, signal: null },
  ])(
    'by $what: at once, with the exit code it would have had',
    async ({ way, code, signal }) => {
      const endings = await runMany(backend, way);
      expect(endings).toHaveLength(processesPerWay);
      for (const ending of endings) {
        expect(ending).toMatchObject({ code, signal });
        if (way === 'throw') expect(ending.errors).toContain('Error: planned');
        else expect(ending.errors).toBe('');
      }
    },
    120_000,
  );
});

interface Left {
  fds: number;
  threads: number;
  rssBytes: number;
}

describe.each(realBackends)('a Worker is terminated, %s', (backend) => {
  it.each([
    { kind: 'hosted', what: 'that started a stage', rounds: 15 },
    { kind: 'inline', what: 'in whose own loop a stage runs', rounds: 15 },
    { kind: 'unclaimed', what: 'whose stage has not taken its connections yet', rounds: 10 },
    { kind: 'opened', what: 'that has opened the stage of another thread', rounds: 10 },
  ])(
    '$what: descriptors, threads and memory are what they were',
    async ({ kind, rounds }) => {
      const args = ['--expose-gc', fixture('stage-terminated.mjs'), kind, backend, '3', String(rounds)];
      const { stdout } = await exec(process.execPath, args, { timeout: 60_000 });
      const { before, after, state } = JSON.parse(stdout) as { before: Left; after: Left; state: string };
      expect(after.fds).toBe(before.fds);
      expect(after.threads).toBe(before.threads);
      // A thread and a stage that stay behind are 5 MB at the least.
      expect(after.rssBytes - before.rssBytes).toBeLessThan(rounds * 2.5e6);
      expect(state).toBe(kind === 'opened' ? 'running' : null);
    },
    120_000,
  );
});
