import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { missingTool, mutants, readReport, search, searches } from '../scripts/support/models.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'models');
const models = readdirSync(folder).filter((name) => name.endsWith('.pml'));

const missing = await missingTool();
if (missing !== null) console.log(`models are not checked: ${missing}`);

const run = (args: string[], env = process.env) =>
  spawnSync(process.execPath, [join(root, 'scripts/models.mjs'), ...args], {
    encoding: 'utf8',
    env,
    timeout: 280_000,
  });

describe.skipIf(missing !== null)('the models', () => {
  test('hold, and every defect put back is found', { timeout: 300_000 }, () => {
    const { status, stdout, stderr } = run(['--quick', '--json']);
    const report = JSON.parse(stdout) as { models: object[]; mutants: { found: boolean }[]; failed: number };
    expect(stderr).toBe('');
    expect(report.failed).toBe(0);
    expect(report.models).toHaveLength(searches.filter(({ full }) => !full).length);
    expect(report.mutants.filter(({ found }) => found)).toHaveLength(mutants.length);
    expect(status).toBe(0);
  });

  test('a search that fails shows the way there', { timeout: 60_000 }, async () => {
    const { problem } = await search(
      { model: 'bell', defect: 'CLEARS_AFTER_LOOK', switches: '', live: false },
      { trail: true },
    );
    expect(problem?.kind).toBe('property');
    expect(problem?.trail).toMatch(/proc +\d+ \(Reader:1\) bell\.pml:\d+/);
  });
});

describe('every model', () => {
  test.each(models)('%s is searched, and can fail', (file) => {
    const model = file.replace('.pml', '');
    expect(searches.some((each) => each.model === model && !each.full)).toBe(true);
    expect(mutants.some((each) => each.model === model)).toBe(true);
  });

  test.each(models)('%s names what it mirrors, and that is there', (file) => {
    const head = readFileSync(join(folder, file), 'utf8').split('*/')[0].replaceAll(/\n \*/g, '');
    const named = [...head.matchAll(/((?:src|native)\/[\w/-]+\.(?:ts|cc))(?: \(([^)]*)\))?/g)];
    expect(named.length).toBeGreaterThan(0);
    for (const [, path, list = ''] of named) {
      const source = readFileSync(join(root, path), 'utf8');
      const functions = list.split(/[,;]/).map((part) => /^[A-Za-z.]*?(#?\w+)$/.exec(part.trim())?.[1]);
      for (const name of functions.filter((each) => each !== undefined)) {
        expect(source, `${name} of ${path}`).toMatch(new RegExp(`(^|[^\\w#])${name}\\b`));
      }
    }
  });

  test.each(models)('%s has the switches that the runs set', (file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    const model = file.replace('.pml', '');
    const words = [...searches, ...mutants]
      .filter((each) => each.model === model)
      .flatMap((each) => `${'defect' in each ? each.defect : ''} ${each.switches}`.split(' '))
      .filter((word) => word !== '')
      .map((word) => word.split('=')[0]);
    for (const word of new Set(words)) expect(text).toMatch(new RegExp(`\\b${word}\\b`));
  });
});

describe('the report of a search', () => {
  const report = (errors: number, words = '') =>
    readReport(
      `${words}\nState-vector 60 byte, depth reached 99, errors: ${errors}\n     1234 states, stored\n`,
    );

  test('without an error', () => expect(report(0)).toEqual({ states: 1234, depth: 99, problem: null }));
  test.each(['assertion violated x', 'acceptance cycle (at depth 5)'])('%s', (words) => {
    expect(report(1, `pan:1: ${words}`).problem?.kind).toBe('property');
  });
  test('a deadlock of the model is not a property that fails', () => {
    expect(report(1, 'pan:1: invalid end state (at depth 5)').problem?.kind).toContain('invalid end state');
  });
  test.each(['error: max search depth too small', 'pan: reached -DMEMLIM bound', 'pan: out of memory'])(
    '%s is a failure without an error',
    (words) => expect(report(0, words).problem?.kind).toContain('not all was searched'),
  );
  test('a verifier that was stopped', () => expect(readReport('').problem?.kind).toContain('did not end'));
});

describe('without spin', () => {
  function runWith(spin: string | null, args: string[]) {
    const bin = mkdtempSync(join(tmpdir(), 'ackgate-models-'));
    try {
      symlinkSync('/bin/sh', join(bin, 'sh'));
      if (spin !== null) {
        writeFileSync(join(bin, 'spin'), `#!/bin/sh\n${spin}\n`);
        chmodSync(join(bin, 'spin'), 0o755);
      }
      return run(args, { PATH: bin });
    } finally {
      rmSync(bin, { recursive: true, force: true });
    }
  }

  test('it says what to do, and fails', () => {
    const { status, stdout } = runWith(null, []);
    expect(stdout).toBe('spin is not installed (as root: apt-get install -y spin gcc)\n0 passed, 0 failed\n');
    expect(status).toBe(2);
  });
  test('it does not fail where that is allowed', () => {
    expect(runWith(null, ['--if-present']).status).toBe(0);
  });
  test('another program of that name is not taken for it', () => {
    const { status, stdout } = runWith('echo "spin 2.0 (a web framework)"', []);
    expect(stdout).toContain('is not the model checker');
    expect(status).toBe(2);
  });
  test('it needs a compiler', () => {
    expect(runWith('echo "Spin Version 6.5.2"', []).stdout).toContain('gcc is not installed');
  });
  test('an unknown option is named', () => {
    const { status, stderr } = run(['--fast']);
    expect(stderr).toContain('unknown option "--fast": known are --quick');
    expect(status).toBe(2);
  });
});
