import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { simulateSupervisor, supervisorInvariants, sweepSupervisor } from '#ackgate/sim/index.js';
import { applyPatch } from '#ackgate/sim/mutants/patch.js';
import { supervisorMutants } from '#ackgate/sim/mutants/supervisor-mutants.js';

const root = fileURLToPath(new URL('..', import.meta.url));

function ackgate(args: string[], directory = root) {
  const cli = join(directory, 'dist/cli/main.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'sim', 'supervisor', ...args], {
    encoding: 'utf8',
    timeout: 50_000,
  });
  return { status, stdout, stderr };
}

describe('the supervisor in simulated worlds', () => {
  test('every invariant holds, and what is to be seen is seen', async () => {
    const sweep = await sweepSupervisor({ firstSeed: 1, seeds: 250 });
    expect(sweep.failures).toEqual([]);
    const seen = Object.keys(sweep.ended).filter((reason) => sweep.ended[reason] > 0);
    expect(seen).toEqual(
      expect.arrayContaining([
        'end-of-stream',
        'client-disconnect',
        'server-disconnect',
        'shutdown',
        'force-close',
        'read-error',
        'malformed-frame',
        'oversize-frame',
        'truncated-frame',
        'inbound-full',
        'too-many-subscriptions',
        'too-many-pushes',
        'handler-failed',
        'overflow',
      ]),
    );
    const refused = Object.keys(sweep.refused).filter((reason) => sweep.refused[reason] > 0);
    expect(refused).toEqual(
      expect.arrayContaining(['too-many-connections', 'shutting-down', 'connection-id']),
    );
    expect(sweep.replies).toBeGreaterThan(0);
    expect(sweep.requests).toBeGreaterThan(sweep.pushes);
  });

  test('a shutdown can begin behind every task', async () => {
    const sweep = await sweepSupervisor({ firstSeed: 1, seeds: 3, every: 1 });
    expect(sweep.failures).toEqual([]);
    expect(sweep.runs).toBeGreaterThan(100);
    const long = await sweepSupervisor({ firstSeed: 4, seeds: 12, every: 23 });
    expect(long.failures).toEqual([]);
  });

  test('a seed goes the same way again, traced or not, also in another process', async () => {
    for (const seed of [1, 2, 3, 4, 5, 2 ** 40 + 1]) {
      const quiet = await simulateSupervisor({ seed });
      const told = await simulateSupervisor({ seed, trace: true, twice: false });
      expect(quiet.failure).toBeNull();
      expect(told.hash).toBe(quiet.hash);
      expect(quiet.trace).toBeNull();
      expect(told.trace?.length).toBeGreaterThan(3);
    }
    const { hash } = await simulateSupervisor({ seed: 8, shutdownAfterTask: 20 });
    const { status, stdout } = ackgate(['--seed', '8', '--after-task', '20', '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, hash });
    expect((await simulateSupervisor({ seed: 8, shutdownAfterTask: 21 })).hash).not.toBe(hash);
  });

  test.each([
    [{ seed: -1 }, 'seed'],
    [{ seed: 1.5 }, 'seed'],
    [{ shutdownAfterTask: 0 }, 'shutdownAfterTask'],
    [{ twice: 1 }, 'twice'],
    [{ until: 5 }, 'until'],
  ])('refuses %j', async (options, name) => {
    await expect(simulateSupervisor(options as never)).rejects.toThrow(name);
  });
});

describe('ackgate sim supervisor', () => {
  test('says first how to run it again', () => {
    const { status, stdout } = ackgate(['--seeds', '4', '--first-seed', '7', '--every-task', '50']);
    expect(status).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toBe(
      'seeds 7 … 10; again: npx ackgate sim supervisor --first-seed 7 --seeds 4 --every-task 50',
    );
    expect(lines[1]).toMatch(/^[\d,]+ runs, .* every invariant held \(hash [0-9a-f]{16}\)$/);
    expect(lines[2]).toBe('ok');
  });

  test('a failing seed is named with the command that repeats it', () => {
    const directory = mkdtempSync(join(tmpdir(), 'ackgate-sim-'));
    try {
      cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
      cpSync(join(root, 'package.json'), join(directory, 'package.json'));
      symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
      const mutant = supervisorMutants.find(({ id }) => id === 'V04');
      for (const patch of mutant?.forms[0].patches ?? []) {
        const file = join(directory, 'dist', patch.file);
        writeFileSync(file, applyPatch('V04', readFileSync(file, 'utf8'), patch));
      }
      const many = ackgate(['--seeds', '3'], directory);
      expect(many.status).toBe(1);
      expect(many.stdout).toMatch(
        /^seed 1 broke S06 \(permits, slots and counters balance, and the cap holds\)$/m,
      );
      expect(many.stdout).toMatch(/^ {2}again {10}npx ackgate sim supervisor --seed 1$/m);
      const one = ackgate(['--seed', '1', '--trace'], directory);
      expect(one.status).toBe(1);
      expect(one.stdout).toMatch(/^seed 1 broke S06/m);
      expect(one.stdout).toMatch(/µs {2}control /);
      const document = JSON.parse(ackgate(['--seeds', '3', '--json'], directory).stdout);
      expect(document).toMatchObject({
        ok: false,
        failures: [{ seed: 1, invariant: 'S06', command: 'npx ackgate sim supervisor --seed 1' }, {}, {}],
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.each([
    ['--trace'],
    ['--after-task', '3'],
    ['--seed', '1', '--seeds', '2'],
    ['--seed', 'x'],
    ['--every-task', '0'],
  ])('exits 2 for %s', (...args) => {
    const { status, stderr } = ackgate(args);
    expect(status).toBe(2);
    expect(stderr).toContain(args[0]);
  });
});

test('the documentation lists every invariant as it is', () => {
  const text = readFileSync(join(root, 'docs/SIMULATION.md'), 'utf8');
  for (const [id, meaning] of Object.entries(supervisorInvariants))
    expect(text).toContain(`| ${id} | ${meaning} |`);
});
