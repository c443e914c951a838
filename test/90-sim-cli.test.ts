import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faultNames } from '#ackgate/sim/index.js';
import { buildNativeSim } from '#ackgate/sim/native/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));

function ackgate(args: string[], { directory = root, input = '' } = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(directory, 'dist/cli/main.js'), ...args],
    { encoding: 'utf8', input, maxBuffer: 1 << 28, timeout: 50_000 },
  );
  return { status, stdout, stderr };
}

/** Standard output has to be one JSON document and nothing else. */
function ackgateJson(args: string[], options = {}) {
  const { status, stdout, stderr } = ackgate([...args, '--json'], options);
  expect(stderr).toBe('');
  expect(stdout.indexOf('\n')).toBe(stdout.length - 1);
  return { status, document: JSON.parse(stdout) };
}

describe('ackgate sim', () => {
  test('says first how to run it again, and exits 0 when all held', () => {
    const { status, stdout } = ackgate(['sim', '--seeds', '12', '--first-seed', '5', '--no-native']);
    expect(status).toBe(0);
    expect(stdout.split('\n')[0]).toBe('seeds 5 … 16; again: npx ackgate sim --first-seed 5 --seeds 12');
    expect(stdout).toMatch(
      /^12 seeds, [\d,]+ records in [\d.]+ s: every invariant held \(hash [0-9a-f]{16}\)$/m,
    );
    expect(stdout).toMatch(/^never seen {5}fault /m);
    expect(stdout).toMatch(/^C\+\+ half {7}not run: --no-native was given$/m);
    expect(stdout).toMatch(/ok\n$/);
  });

  test('--json', () => {
    const args = ['sim', '--seeds', '10', '--faults', 'reset,short-send', '--no-native'];
    const { status, document } = ackgateJson(args);
    expect(status).toBe(0);
    expect(document).toEqual({
      ok: true,
      firstSeed: 1,
      seeds: 10,
      failed: 0,
      failures: [],
      coverage: {
        faults: { 'short-send': expect.any(Number), reset: expect.any(Number) },
        drops: expect.objectContaining({ overflow: expect.any(Number), reset: expect.any(Number) }),
        fallbacks: expect.objectContaining({ drained: expect.any(Number) }),
        missing: expect.any(Array),
        required: false,
      },
      records: expect.any(Number),
      hash: expect.stringMatching(/^[0-9a-f]{16}$/),
      wallMs: expect.any(Number),
      native: { skipped: '--no-native was given' },
    });
    const again = ackgateJson([...args, '--workers', '1']).document;
    expect({ ...again, wallMs: 0 }).toEqual({ ...document, wallMs: 0 });
  });

  test('one seed, with what happened', () => {
    const { status, document } = ackgateJson(['sim', '--seed', '4', '--trace', '--no-native']);
    expect(status).toBe(0);
    expect(document).toMatchObject({ ok: true, firstSeed: 4, seeds: 1 });
    expect(document.trace.length).toBeGreaterThan(10);
    expect(document.trace[0]).toMatch(/^\d+\.\d{3} µs {2}\w+ /);
    const { stdout } = ackgate(['sim', '--seed', '4', '--trace', '--no-native', '--faults', 'none']);
    expect(stdout.split('\n')[0]).toBe('seed 4; again: npx ackgate sim --seed 4 --faults none');
    expect(stdout.split('\n')[1]).toMatch(/ µs /);
  });

  test('a scenario from a file, and from standard input', () => {
    const file = join(root, 'test/regressions/zone-of-an-unreadable-node.json');
    expect(ackgate(['sim', '--scenario', file]).status).toBe(0);
    const input = JSON.stringify({ seed: 3, orders: 20, faults: { reset: 0.2 } });
    const { document } = ackgateJson(['sim', '--scenario', '-'], { input });
    expect(document).toMatchObject({ ok: true, firstSeed: 3, native: { skipped: expect.any(String) } });
  });

  test('the C++ half runs the same seeds', async () => {
    const build = await buildNativeSim();
    if (!build.ok) {
      console.log(`not run: ${build.reason}`);
      expect(ackgateJson(['sim', '--seed', '1']).document.native).toEqual({ skipped: build.reason });
      return;
    }
    const { document } = ackgateJson(['sim', '--seeds', '20', '--faults', 'short-send,churn']);
    expect(document.native).toMatchObject({ seeds: 20, hash: expect.stringMatching(/^[0-9a-f]{16}$/) });
    const { faults } = document.native.coverage;
    expect(faults['short-send']).toBeGreaterThan(0);
    // Those that were not named stay off.
    expect(Object.keys(faults).filter((name) => faults[name] > 0)).toEqual(['short-send']);
  });

  test('without a compiler it says why', () => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(root, 'dist/cli/main.js'), 'sim', '--seed', '1', '--json'],
      { encoding: 'utf8', timeout: 50_000, env: { ...process.env, CXX: '/nowhere/c++' } },
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout).native).toEqual({ skipped: expect.stringContaining('/nowhere/c++') });
  });

  const wrong: [string[], RegExp][] = [
    [['--faults', 'reset,reste'], /--faults: unknown fault "reste"; there are short-send, /],
    [['--faults', ''], /unknown fault ""/],
    [['--seeds', '0'], /--seeds must be a whole number from 1 to/],
    [['--seeds', 'many'], /got "many"/],
    [['--seed', '-1'], /--seed must be a whole number from 0 to 2\^53-1/],
    [['--seed', '9007199254740992'], /--seed must be/],
    [['--first-seed', '9007199254740991'], /past the last seed/],
    [['--minutes', '0'], /--minutes must be a number above 0/],
    [['--workers', '0'], /--workers must be/],
    [['--seed', '1', '--seeds', '2'], /--seed and --seeds don't go together/],
    [['--random', '--first-seed', '2'], /--random and --first-seed/],
    [['--trace'], /--trace goes with --seed or --scenario/],
    [['--scenario', '/nowhere.json'], /--scenario \/nowhere\.json: ENOENT/],
    [['--seeed', '1'], /unknown option '--seeed'/],
  ];
  test.each(wrong)('refuses %j', (args, message) => {
    const { status, stdout, stderr } = ackgate(['sim', ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('with --json a wrong call is a document, too', () => {
    const { status, document } = ackgateJson(['sim', '--faults', 'reste']);
    expect(status).toBe(2);
    expect(document.error).toMatchObject({
      code: 'ERR_ACKGATE_INVALID_ARGUMENT',
      message: expect.stringMatching(/unknown fault "reste"/),
    });
  });

  test('refuses a scenario that can not be meant, naming the field', () => {
    for (const [scenario, message] of [
      ['{', /--scenario -: .*JSON/],
      ['{"sed":1}', /did you mean seed\?/],
      ['{"orders":-1}', /orders must be an integer from 0/],
      ['[]', /scenario must be an object/],
      ['null', /scenario must be an object/],
    ] as const) {
      const { status, stderr } = ackgate(['sim', '--scenario', '-'], { input: scenario });
      expect(status).toBe(2);
      expect(stderr).toMatch(message);
    }
  });
});

describe('a run that fails', () => {
  let copy: string;

  /** The built code once more, in which the server writes beside the stage. */
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'ackgate-sim-'));
    cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const file = join(copy, 'dist/sim/world/server.js');
    const text = readFileSync(file, 'utf8');
    const patched = text.replace('this.#writesBeside = writesBeside;', 'this.#writesBeside = true;');
    expect(patched).not.toBe(text);
    writeFileSync(file, patched);
  });

  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  test('names seed, invariant, command and a short scenario, and exits 1', () => {
    const args = ['sim', '--seeds', '16', '--faults', 'control-full,burst', '--no-native'];
    const { status, document } = ackgateJson(args, { directory: copy });
    expect(status).toBe(1);
    expect(document.ok).toBe(false);
    expect(document.failed).toBeGreaterThan(0);
    const [failure] = document.failures;
    expect(failure.invariant).toMatch(/^I\d\d$/);
    expect(failure.command).toBe(`npx ackgate sim --seed ${failure.seed} --faults control-full,burst`);
    // The command does what it says.
    const [, , , ...again] = failure.command.split(' ');
    const told = ackgate(['sim', ...again, '--no-native'], { directory: copy });
    expect(told.status).toBe(1);
    expect(told.stdout).toContain(`seed ${failure.seed} broke ${failure.invariant} (`);
    expect(told.stdout).toContain(failure.message);
    expect(told.stdout).toContain(`again          ${failure.command}\n`);
    expect(told.stdout).toContain(JSON.stringify(failure.scenario));
    expect(told.stdout).toMatch(/failed\n$/);
    // And the scenario still fails in the same way, but not in the code as it is shipped.
    const input = JSON.stringify(failure.scenario);
    const short = ackgateJson(['sim', '--scenario', '-'], { directory: copy, input });
    expect(short.document.failures[0].invariant).toBe(failure.invariant);
    expect(ackgate(['sim', '--scenario', '-'], { input }).status).toBe(0);
  });
});

test('a thousand seeds that do not show everything fail', () => {
  // In a copy that asks for fewer seeds: what is tested is the rule.
  const copy = mkdtempSync(join(tmpdir(), 'ackgate-sim-'));
  try {
    cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const file = join(copy, 'dist/sim/swarm/coverage.js');
    const text = readFileSync(file, 'utf8');
    const patched = text.replace('seedsForCoverage = 1000', 'seedsForCoverage = 3');
    expect(patched).not.toBe(text);
    writeFileSync(file, patched);
    const run = (...more: string[]) => ackgateJson(['sim', '--no-native', ...more], { directory: copy });
    const enough = run('--seeds', '3');
    expect(enough.status).toBe(1);
    expect(enough.document).toMatchObject({ ok: false, failed: 0, coverage: { required: true } });
    expect(enough.document.coverage.missing.length).toBeGreaterThan(0);
    expect(run('--seeds', '2').status).toBe(0);
    const chosen = faultNames.filter((name) => name !== 'fence').join(',');
    expect(run('--seeds', '3', '--faults', chosen).status).toBe(0);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
