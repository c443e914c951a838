import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  buildNativeSim,
  type NativeBuild,
  nativeMutants,
  runNativeMutant,
  runNativeSim,
} from '#ackgate/sim/native/index.js';

let build: NativeBuild;

beforeAll(async () => {
  build = await buildNativeSim();
  if (!build.ok) console.warn(build.reason);
}, 300_000);

/** Skips, saying why, where nothing can be built. */
function binaryOr(skip: (note: string) => never): string {
  if (!build.ok) return skip(build.reason);
  return build.binary;
}

/** Needs a teardown whose deadline is too short: one seed in some hundred. */
const rareReached = ['teardown-held'];

describe('seeded worlds', () => {
  test('break no invariant, do the same twice, and meet every fault', async ({ skip }) => {
    const report = await runNativeSim({ binary: binaryOr(skip), seeds: 800, checkRepeat: true });
    expect(report.failures).toEqual([]);
    expect(report.seeds).toBe(800);
    const never = (counts: Record<string, number>) =>
      Object.keys(counts).filter((name) => counts[name] === 0);
    expect(never(report.coverage.faults)).toEqual([]);
    expect(never(report.coverage.reached).filter((name) => !rareReached.includes(name))).toEqual([]);
    expect(Object.keys(report.coverage.faults).length).toBeGreaterThan(20);
  });

  test('are told apart by their hash, and are the same in another process', async ({ skip }) => {
    const binary = binaryOr(skip);
    const hashOf = async (firstSeed: number) => (await runNativeSim({ binary, firstSeed, seeds: 1 })).hash;
    const first = await hashOf(1);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await hashOf(1)).toBe(first);
    expect(await hashOf(2)).not.toBe(first);
  });

  test('draw only from the faults that are allowed', async ({ skip }) => {
    const binary = binaryOr(skip);
    const fired = async (faults: string[]) => {
      const { coverage } = await runNativeSim({ binary, seeds: 50, faults });
      return Object.keys(coverage.faults).filter((name) => coverage.faults[name] > 0);
    };
    expect(await fired([])).toEqual([]);
    expect(await fired(['short-send', 'reset'])).toEqual(['short-send', 'reset']);
  });

  test('refuse an unknown fault, and name those that there are', async ({ skip }) => {
    const run = runNativeSim({ binary: binaryOr(skip), seeds: 1, faults: ['tooth-ache'] });
    await expect(run).rejects.toMatchObject({
      code: 'ERR_ACKGATE_INVALID_ARGUMENT',
      message: expect.stringMatching(/tooth-ache.*short-send.*terminated/),
    });
  });

  test('show what happens in them when asked', async ({ skip }) => {
    const { trace } = await runNativeSim({ binary: binaryOr(skip), seeds: 1, trace: true });
    expect(trace).toMatch(/^step 0 0\n/m);
    expect(trace).toMatch(/^moved /m);
  });
});

describe('defects put back', () => {
  // The rest are run by `ackgate sim mutants`: each compiles a file.
  test.each([
    ['M13', 'I02'],
    ['M20', 'I06'],
    ['M31', 'I07'],
  ])('%s is found', async (id, invariant) => {
    if (!build.ok) return console.warn(build.reason);
    const result = await runNativeMutant(id);
    expect(result).toMatchObject({ id, found: true, invariant });
    expect(result.seeds).toBeLessThanOrEqual(2000);
    // The copy was changed, and the sources were not.
    expect(await buildNativeSim()).toEqual(build);
  });

  test('a patch that the sources have outgrown is an error', async () => {
    const stale = (find: string) =>
      buildNativeSim({ patches: [{ file: 'native/uring_sender.cc', find, replace: '' }] });
    if (!build.ok) return console.warn(build.reason);
    await expect(stale('no such text')).rejects.toThrow(/uring_sender\.cc is stale .* 0 times/);
    await expect(stale('collect();')).rejects.toThrow(/stale/);
  });

  test('all of them fit the sources, and have numbers of their own', () => {
    const ids = nativeMutants.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining(['M13', 'M14', 'M20', 'M21', 'M23', 'M31']));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('an unknown one is named', async () => {
    await expect(runNativeMutant('M99')).rejects.toThrow(/M99.*M13/);
  });
});

describe('where nothing can be built', () => {
  test('a compiler that is not there is named', async () => {
    expect(await buildNativeSim({ compiler: 'no-such-compiler' })).toEqual({
      ok: false,
      reason: expect.stringContaining('no-such-compiler'),
    });
  });

  test('sources that are not there are missed', async ({ skip }) => {
    binaryOr(skip);
    const empty = await mkdtemp(join(tmpdir(), 'ackgate-'));
    onTestFinished(() => rm(empty, { recursive: true }));
    expect(await buildNativeSim({ packageDirectory: empty })).toMatchObject({ ok: false });
  });

  test('sources that do not compile are told of', async ({ skip }) => {
    binaryOr(skip);
    const copy = await mkdtemp(join(tmpdir(), 'ackgate-'));
    onTestFinished(() => rm(copy, { recursive: true }));
    await cp(fileURLToPath(new URL('../native', import.meta.url)), join(copy, 'native'), { recursive: true });
    const patches = [
      { file: 'native/pages.cc', find: 'size_t pageBytes()', replace: 'nonsense pageBytes()' },
    ];
    const built = await buildNativeSim({ packageDirectory: copy, patches });
    expect(built).toMatchObject({ ok: false, reason: expect.stringContaining('nonsense') });
  });
});
