import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../run.mjs';
import { buildLiburing } from './liburing-source.mjs';
import { programRunner } from './runners.mjs';
import { lastLines, step } from './step.mjs';
import { isOwn } from './targets.mjs';
import { zigIfAny, zigToolchain } from './zig.mjs';

const timeoutMs = 900_000;
const doctest = '/usr/include/doctest';

/** The tests, and what they test: all of the core and of the simulated kernel, but for the addon and the programs. */
function sources() {
  const without = ['native/addon.cc', 'native/binding_functions.cc', 'native/sim/main.cc'];
  return ['native', 'native/sim', 'native/test']
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
    .filter((path) => path.endsWith('.cc') && !without.includes(path))
    .sort();
}

/** In one call: fewer steps than cmake takes to find out what zig is. */
function build(target, folder, zig, liburing) {
  const compiler = zigToolchain(zig, target.triple, folder);
  const { LIBURING_INCLUDE, LIBURING_ARCHIVE } = buildLiburing(liburing(), compiler, folder);
  const headers = join(folder, 'include');
  cpSync(doctest, join(headers, 'doctest'), { recursive: true });
  const program = join(folder, 'native_tests');
  const options = ['-std=c++17', '-O1', '-pthread', '-DHAVE_LIBURING=1'];
  const linking = target.libc === 'musl' ? ['-static'] : [];
  step(
    compiler.CXX,
    [
      ...[...options, ...linking, `-I${headers}`, `-I${LIBURING_INCLUDE}`],
      ...[...sources(), LIBURING_ARCHIVE, '-o', program],
    ],
    { cwd: root },
  );
  return program;
}

/** Builds the C++ tests of the core with zig, without sanitizers, and runs them. */
export function tryCore(target, folder, asked) {
  const what = 'C++ tests of the core';
  if (isOwn(target)) return { what, skipped: 'npm run test:native does it here, with sanitizers' };
  const { command, skipped } = programRunner(target);
  if (skipped) return { what, skipped };
  if (!existsSync(doctest)) return { what, skipped: 'doctest is missing (doctest-dev)' };
  const zig = zigIfAny(asked);
  if (zig.skipped) return { what, skipped: zig.skipped };
  const work = join(folder, 'core');
  mkdirSync(work);
  const [program, ...args] = [...command, build(target, work, zig.path, asked.liburing)];
  const { status, signal, stdout, stderr } = spawnSync(program, args, {
    env: { ...process.env, ACKGATE_RUNS: process.env.ACKGATE_RUNS ?? '50' },
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const title = `${what}${command.length > 0 ? ' under qemu-user' : ''}`;
  const counts = /test cases:.*/.exec(stdout)?.[0].replace(/\s+/g, ' ');
  if (status !== 0 || counts === undefined) {
    const said = `${signal ?? `ended with ${status}`}\n${lastLines(`${stdout}${stderr}`, 30)}`;
    return { what: title, ok: false, said };
  }
  // A test that finds no io_uring says so and ends: that is no failure, but has to be seen.
  const without = stdout.match(/no such sender here.*/g) ?? [];
  const notes = without.length > 0 ? `; ${without.length} of them without io_uring: ${without[0]}` : '';
  return { what: title, ok: true, said: `${counts}${notes}` };
}
