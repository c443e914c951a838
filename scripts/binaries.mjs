// Builds the addon for the package, into prebuilds/, and looks at what came of it (docs/BUILDING.md):
//
//   node scripts/binaries.mjs [--target NAME]… [--all] [--try] [--try-core] [--no-build | --build-if-stale] [--fetch]
//
// Without a target: this machine's, with its own compiler. With --target or --all: with zig, for
// linux-x64-glibc, linux-x64-musl, linux-arm64-glibc and linux-arm64-musl. --try runs each as far as this machine can, and
// says what it ran and what it couldn't; --try-core runs the C++ tests besides, built for each. --fetch installs what is
// missing for that (zig, builds of Node and Bun, musl for arm64) from npm and Debian into a cache folder.
// Ends with `N passed, N failed`; exit code 1 when anything failed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArguments } from './support/binaries/arguments.mjs';
import { buildOwn, crossBuild, isFresh } from './support/binaries/build.mjs';
import { checkBinary, describe } from './support/binaries/check.mjs';
import { liburingSource } from './support/binaries/liburing-source.mjs';
import { glibcFloor } from './support/binaries/targets.mjs';
import { tryTarget } from './support/binaries/try.mjs';
import { findZig } from './support/binaries/zig.mjs';

const counts = { passed: 0, failed: 0 };

function count(ok, line) {
  counts[ok ? 'passed' : 'failed'] += 1;
  (ok ? console.log : console.error)(`${ok ? 'ok  ' : 'FAIL'} ${line}`);
}

/** Of a step that may fail: its result, or null when it did. */
async function attempt(what, work) {
  try {
    return await work();
  } catch (error) {
    count(false, `${what}: ${error.message}`);
    return null;
  }
}

async function one(target, asked, shared) {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-binary-'));
  try {
    if (asked.build && !(asked.ifStale && isFresh(target))) {
      console.log(`building ${target.name} …`);
      const make = () => (asked.own ? buildOwn(target, folder) : crossBuild(target, folder, shared.cross()));
      if ((await attempt(target.name, () => make() ?? true)) === null) return;
    }
    const found = await attempt(target.name, () => checkBinary(target, { published: !asked.own }));
    if (found === null) return;
    count(found.faults.length === 0, describe(target, found));
    if (asked.tries && found.facts !== null) {
      const runs = await attempt(`trying ${target.name}`, () =>
        tryTarget(target, folder, { ...asked, liburing: shared.liburing }),
      );
      for (const run of runs ?? []) {
        if (run.skipped) console.log(`--   ${target.name}: ${run.what}: not run: ${run.skipped}`);
        else count(run.ok, `${target.name}: ${run.what}: ${run.said}`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const asked = parseArguments(process.argv.slice(2));
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-binaries-'));
  let sources = null;
  /** What all cross builds share, looked for when the first asks. */
  const liburing = () => {
    sources ??= liburingSource(folder);
    return sources;
  };
  const shared = () => ({ zig: findZig(asked), liburing: liburing() });
  try {
    for (const target of asked.chosen) await one(target, asked, { cross: shared, liburing });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (asked.own)
    console.log(`for this machine only: the package's, for glibc ${glibcFloor} and up, are built with --all`);
}

await attempt('binaries', main);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 ? 0 : 1;
