// Builds native/build/Release/ackgate.node when it is stale; says nothing when it is fresh. Without a compiler it says so
// and goes on: policy and simulator work without the addon. Exit code 1 only when a compiler is there and fails.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLiburing } from '../native/liburing.mjs';
import { nodeGypArguments } from './node-headers.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const native = join(root, 'native');
const binary = join(native, 'build/Release/ackgate.node');
const stamp = join(native, 'build/Release/ackgate.stamp');

function sources() {
  const names = readdirSync(native).filter((name) => /\.(h|cc|gyp|mjs)$/.test(name));
  return names.map((name) => join(native, name));
}

/** What the binary depends on besides its sources: liburing that came or went makes it stale. */
function surroundings() {
  return JSON.stringify({ liburing: findLiburing(), arch: process.arch, platform: process.platform });
}

function isFresh() {
  if (!existsSync(binary) || !existsSync(stamp)) return false;
  if (readFileSync(stamp, 'utf8') !== surroundings()) return false;
  const builtMs = statSync(binary).mtimeMs;
  return sources().every((path) => statSync(path).mtimeMs <= builtMs);
}

function hasCompiler() {
  return spawnSync(process.env.CXX || 'c++', ['--version'], { stdio: 'ignore' }).status === 0;
}

function nodeGyp() {
  return join(root, 'node_modules/node-gyp/bin/node-gyp.js');
}

/** 0 when the binary is there or cannot be expected, else 1. */
function build() {
  if (isFresh()) return 0;
  if (!hasCompiler()) {
    console.warn('No C++ compiler: the native addon is not built. Install g++ and make for real sockets.');
    return 0;
  }
  const { have } = findLiburing();
  console.log(`Building the native addon (${have ? 'with' : 'without'} liburing) …`);
  // `configure` anew: whether liburing is there is decided when the makefile is written.
  const args = [nodeGyp(), 'configure', 'build', '--loglevel=error', ...nodeGypArguments()];
  const result = spawnSync(process.execPath, args, { cwd: native, encoding: 'utf8' });
  if (result.status !== 0) {
    console.error(`${result.stdout}${result.stderr}`);
    console.error('The native addon could not be built; the messages of the compiler are above.');
    return 1;
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, surroundings());
  return 0;
}

process.exitCode = build();
