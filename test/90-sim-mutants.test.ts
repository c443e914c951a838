import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { mutants, quickMutants } from '#ackgate/sim/mutants/catalogue.js';
import { distDir, patchedCopy } from '#ackgate/sim/mutants/copy.js';
import { huntForm } from '#ackgate/sim/mutants/hunt.js';
import { applyPatch } from '#ackgate/sim/mutants/patch.js';

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const numbered = (letter: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${letter}${String(index + 1).padStart(2, '0')}`);
const ids = [...numbered('M', 35), ...numbered('N', 11), ...numbered('V', 17)];

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'sim', 'mutants', ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

describe('catalogue', () => {
  test('has every defect once, in order', () => {
    expect(mutants.map(({ id }) => id)).toEqual(ids);
  });

  test('puts every TypeScript defect back by a patch or a strategy, and knows the C++ ones', async () => {
    const { nativeMutants } = await import('#ackgate/sim/native/index.js');
    for (const { id, part, forms } of mutants) {
      if (part === 'C++') expect(nativeMutants.map((mutant) => mutant.id)).toContain(id);
      else expect(forms.length, id).toBeGreaterThan(0);
      for (const { patches, options } of forms) {
        expect(patches.length > 0 || options !== undefined, id).toBe(true);
      }
    }
  });

  test('the quick ones are of it, and need no compiler', () => {
    for (const id of quickMutants)
      expect(mutants.find((mutant) => mutant.id === id)?.part).toBe('TypeScript');
  });

  const patched = mutants.flatMap(({ id, forms }) => forms.map(({ patches }) => ({ id, patches })));
  test.each(patched)('$id fits the compiled code', async ({ id, patches }) => {
    const texts = new Map<string, string>();
    for (const patch of patches) {
      const before = texts.get(patch.file) ?? (await readFile(join(distDir, patch.file), 'utf8'));
      texts.set(patch.file, applyPatch(id, before, patch));
    }
    for (const [file, text] of texts) expect(text).not.toBe(await readFile(join(distDir, file), 'utf8'));
  });
});

describe('patches', () => {
  const patch = { file: 'a.js', find: 'if (a) b();', replace: 'c();' };

  test('white space does not matter, everything else does', () => {
    expect(applyPatch('M99', '{ if (a)\n      b(); }', patch)).toBe('{ c(); }');
    expect(applyPatch('M99', 'x.y$', { ...patch, find: 'x.y$', replace: '$&$1' })).toBe('$&$1');
    expect(() => applyPatch('M99', 'if (a) bb();', patch)).toThrow();
  });

  test.each([
    ['if (a) b(); if (a) b();', 2],
    ['nothing of it', 0],
  ])('one that stands there not exactly once is stale: %s', (text, times) => {
    expect(() => applyPatch('M99', text, patch)).toThrow(
      expect.objectContaining({
        code: 'ERR_ACKGATE_INVALID_ARGUMENT',
        message: expect.stringMatching(new RegExp(`^the patch of M99 to a\\.js is stale: .* ${times} times`)),
      }),
    );
  });

  test('one of a file that is gone is stale, and leaves no copy behind', async () => {
    await expect(patchedCopy('M99', [{ ...patch, file: 'egress/gone.js' }])).rejects.toThrow(
      'the patch of M99 to egress/gone.js is stale',
    );
  });
});

describe('hunt', () => {
  test('finds nothing where nothing was put back', async () => {
    const result = await huntForm('none', { patches: [] }, { seeds: 150 });
    expect(result).toEqual({
      id: 'none',
      found: false,
      invariant: null,
      seeds: 150,
      message: 'survived 150 seeds',
    });
  });

  test('one that never comes back is not found, and the seed is named', async () => {
    const patches = [
      {
        file: 'sim/scenario.js',
        find: 'export function drawScenario(',
        replace: 'export function drawnBefore(',
      },
      {
        file: 'sim/scenario.js',
        find: 'export function plainScenario(',
        replace: 'export function drawScenario() { for (;;); }\nexport function plainScenario(',
      },
    ];
    const result = await huntForm('endless', { patches }, { seeds: 10, stallMs: 500 });
    expect(result).toMatchObject({ found: false, invariant: null, seeds: 1 });
    expect(result.message).toContain('seed 1: did not end within 500 ms');
  });

  test('can be called off', async () => {
    const called = AbortSignal.abort(new Error('enough'));
    await expect(huntForm('none', { patches: [] }, { signal: called })).rejects.toThrow('enough');
  });
});

describe('ackgate sim mutants', () => {
  test('finds the quick ones', () => {
    const { status, stdout } = run('--quick', '--json');
    const { mutants: results } = JSON.parse(stdout);
    for (const result of results) {
      expect(result, JSON.stringify(result)).toEqual({
        id: expect.stringMatching(/^[MNV]\d\d$/),
        found: true,
        invariant: expect.stringMatching(/^[IS]\d\d(,[IS]\d\d)*$/),
        seeds: expect.any(Number),
        message: expect.any(String),
      });
    }
    expect(results.map(({ id }: { id: string }) => id)).toEqual(quickMutants);
    expect(status).toBe(0);
  });

  test('prints a table, with what survived, and exits 1 for it', () => {
    const { status, stdout } = run('--only', 'M12,M10', '--seeds', '1');
    expect(stdout).toMatch(/^M10 .*TypeScript +I05 +1$/m);
    expect(stdout).toMatch(/^M12 .*TypeScript +NOTHING +1\n {5}survived 1 seeds$/m);
    expect(stdout).toContain('1 of 2 defects were found.');
    expect(status).toBe(1);
  });

  test.each([
    [['--only', 'M01,M36'], 'there is no mutant "M36"; there are M01, M02'],
    [['--seeds', '0'], '--seeds must be a whole number from 1'],
    [['--only', 'M01', '--quick'], 'cannot be given together'],
  ])('a wrong call is told: %j', (args, message) => {
    const { status, stderr } = run(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});
