import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { muslRunner } from './musl.mjs';
import { isOwn } from './targets.mjs';
import { toolFromNpm } from './zig.mjs';

/** On another architecture than this machine's, Debian's cross libraries stand in for those of a real one. */
export const armLibraries = '/usr/aarch64-linux-gnu';

/** Majors of Node that a binary is tried on, besides the one that runs this. */
const majors = [20, 22, 24, 26];

/** Why nothing here runs a program of that architecture; undefined when something does. */
function noEmulator(arch) {
  if (arch === process.arch) return undefined;
  const found =
    arch === 'arm64' && spawnSync('qemu-aarch64', ['--version'], { stdio: 'ignore' }).status === 0;
  return found ? undefined : `nothing here runs programs for ${arch} (qemu-user)`;
}

/** npm has Node's own builds for glibc, as packages of one file. */
function nodeRunner(major, arch, { fetch }) {
  const name = `node-${arch}-${major}`;
  const tool = toolFromNpm(`${name}@npm:node-linux-${arch}@${major}`, `${name}/bin/node`, fetch);
  if (tool.skipped) return { on: `Node ${major} for ${arch}`, ...tool };
  if (arch === process.arch) return { on: `Node ${major}`, command: tool.path, args: [], env: {} };
  return {
    on: `Node ${major} for ${arch} under qemu-user`,
    command: 'qemu-aarch64',
    args: ['-L', armLibraries, tool.path],
    env: {},
  };
}

function ownRunners(target, asked) {
  const own = { on: `Node ${process.versions.node}`, command: process.execPath, args: [], env: {} };
  const others = majors.filter((major) => !process.versions.node.startsWith(`${major}.`));
  return [own, ...(target.libc === 'glibc' ? others.map((one) => nodeRunner(one, target.arch, asked)) : [])];
}

/**
 * What runs a target's binary here: `{ on, command, args, env, inline }` for each engine, or `{ on, skipped: why not }`.
 * `inline`: it can't run a stage in a thread of its own.
 *
 * @returns {Array<{ on?: string, skipped?: string, command?: string, args?: string[], env?: object, inline?: boolean }>}
 */
export function runnersFor(target, asked) {
  if (isOwn(target)) return ownRunners(target, asked);
  const skipped = noEmulator(target.arch);
  if (skipped) return [{ skipped }];
  if (target.libc === 'musl') return [muslRunner(target, asked)];
  if (target.arch === process.arch) return [{ skipped: 'this machine runs musl' }];
  if (!existsSync(armLibraries))
    return [{ skipped: `no arm64 C library in ${armLibraries} (libstdc++6-arm64-cross)` }];
  return [nodeRunner(22, target.arch, asked)];
}

/** What runs a program of the target's here: a command with its arguments, or `{ skipped: why not }`. */
export function programRunner(target) {
  const skipped = noEmulator(target.arch);
  if (skipped) return { skipped };
  if (target.arch === process.arch) return { command: [] };
  // What is built for musl is static.
  return { command: ['qemu-aarch64', ...(target.libc === 'glibc' ? ['-L', armLibraries] : [])] };
}
