import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nodeDirectory } from '../../node-headers.mjs';
import { root } from '../run.mjs';
import { copyTree } from '../tree-copy.mjs';
import { buildLiburing } from './liburing-source.mjs';
import { step } from './step.mjs';
import { binaryOf } from './targets.mjs';
import { zigToolchain } from './zig.mjs';

/** What an addon is made of. */
const parts = ['native', 'package.json'];

/** True when the binary is there and none of its sources is newer. */
export function isFresh(target, top = root) {
  const binary = binaryOf(top, target);
  if (!existsSync(binary)) return false;
  const names = readdirSync(join(top, 'native')).filter((name) => /\.(h|cc|gyp|map|mjs)$/.test(name));
  const sources = names.map((name) => join('native', name));
  const builtMs = statSync(binary).mtimeMs;
  return sources.every((path) => statSync(join(top, path)).mtimeMs <= builtMs);
}

/** Compiles in a copy of the tree: build/ belongs to the addon that this checkout runs. */
function compile(target, folder, env, options = []) {
  const tree = join(folder, 'tree');
  copyTree(tree, parts);
  // prebuildify wants both in one folder.
  const native = join(tree, 'native');
  copyFileSync(join(tree, 'package.json'), join(native, 'package.json'));
  const headers = nodeDirectory();
  step(
    process.execPath,
    [
      join(root, 'node_modules/prebuildify/bin.js'),
      ...['--napi', '--tag-libc', `--target=node@${process.versions.node}`, `--arch=${target.arch}`],
      ...options,
    ],
    {
      cwd: native,
      env: {
        ...process.env,
        ...(headers === null ? {} : { npm_config_nodedir: headers }),
        GYP_DEFINES: 'self_contained=1',
        PREBUILD_LIBC: target.libc,
        JOBS: '2',
        ...env,
      },
    },
  );
  install(join(native, target.file), binaryOf(root, target));
}

/** In one step: another process may be loading the one that is there. */
function install(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  const aside = `${to}.${process.pid}`;
  copyFileSync(from, aside);
  renameSync(aside, to);
}

/** With this machine's compiler and its liburing. */
export function buildOwn(target, folder) {
  compile(target, folder, {}, ['--strip']);
}

/** With zig and a liburing built for the target. Returns what `coreTests` needs to build more of the same kind. */
export function crossBuild(target, folder, { zig, liburing }) {
  const compiler = zigToolchain(zig, target.triple, folder);
  const env = { ...compiler, ...buildLiburing(liburing, compiler, folder) };
  compile(target, folder, env);
  return env;
}
