import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  backendsOf,
  checkCommands,
  checkEntries,
  checkPeers,
  checkReadme,
  checkWithoutAddon,
  compilePrograms,
  compileWithPeers,
  files,
  programs,
  runMatrix,
} from './programs.mjs';
import { nodeTypes, Project, peers } from './project.mjs';

const manifestOf = ({ unpacked }) => JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8'));

/** An installation with npm as most do it; scripts may run, and there must be none. */
async function installed(node, { file }, folder, results, name, options) {
  const project = new Project(folder, name, node);
  const what = options.flags?.includes('--ignore-scripts') ? 'npm install --ignore-scripts' : 'npm install';
  const ok = await results.check(what, () => project.npmInstall(file, options), { node: node.version });
  project.take(files);
  return ok ? project : null;
}

/** What is true of every Node: each program with each sender, the entry points, the command line, the README. */
async function useProject(project, node, packed, results) {
  const { version } = node;
  await runMatrix(project, version, await backendsOf(project, node.version, results), results);
  const on = { node: version };
  await results.check('entry points, import and require()', () => checkEntries(project), on);
  await results.check('without the optional peers', () => checkPeers(project, false), on);
  await results.check('command line', () => checkCommands(project, manifestOf(packed)), on);
  await results.check("the README's example", () => checkReadme(project), on);
}

/** Last, for it takes the binaries away. */
async function useWithoutAddon(project, node, results) {
  project.dropBinaries();
  const where = { node: node.version, backend: 'no addon' };
  await results.check('policy and simulator', () => checkWithoutAddon(project), where);
  await results.check('nothing is left behind', () => {
    if (project.leftovers().length > 0) throw new Error(project.leftovers().join(', '));
  });
}

/** One installation on one Node. */
export async function useQuickly(node, packed, folder, results) {
  const options = { also: nodeTypes };
  const project = await installed(node, packed, folder, results, 'my project', options);
  if (project === null) return;
  await compilePrograms(project, results, { thorough: false });
  await useProject(project, node, packed, results);
  await useWithoutAddon(project, node, results);
}

/** Two installations on one Node, the second without scripts and with the optional peers. */
export async function useThoroughly(node, packed, folder, results) {
  const on = { node: node.version };
  const project = await installed(node, packed, folder, results, `on ${node.version}`, { also: nodeTypes });
  if (project !== null) {
    await compilePrograms(project, results, { thorough: true });
    await useProject(project, node, packed, results);
    await useWithoutAddon(project, node, results);
  }
  const options = { also: [...nodeTypes, ...peers], flags: ['--ignore-scripts'] };
  const other = await installed(node, packed, folder, results, `with peers on ${node.version}`, options);
  if (other === null) return;
  const esm = ['ESM, installed with --ignore-scripts', programs['ESM, import']];
  await runMatrix(other, node.version, await backendsOf(other, node.version, results), results, [esm]);
  await results.check('entry points beside the optional peers', () => checkEntries(other), on);
  await results.check('with the optional peers', () => checkPeers(other, true), on);
  await results.check('TypeScript compiles beside the optional peers', () => compileWithPeers(other), on);
}

/**
 * Other package managers than npm. pnpm gives a package only what it asks for: a dependency that is not declared shows
 * there. Old ones would compile if there were a binding.gyp beside package.json, whatever it says of `gypfile`.
 */
export const managers = [
  { spec: 'pnpm@latest', add: ['add', '--config.strict-dep-builds=true'] },
  { spec: 'pnpm@10', add: ['add', '--config.strict-dep-builds=true'] },
  { spec: 'pnpm@9', add: ['add'] },
  { spec: 'yarn@1', add: ['add', '--non-interactive'] },
];

/** An installation by one of them. The first is the most used: all that depends on the layout of node_modules is tried. */
export async function useWithManager(node, manager, packed, folder, results) {
  const { spec } = manager;
  const project = new Project(folder, `my ${spec} project`, node);
  const on = { node: node.version };
  if (!(await results.check(`${spec} add`, () => project.addWith(manager, packed.file), on))) return;
  project.take(files);
  const esm = [`ESM, installed by ${spec}`, programs['ESM, import']];
  await runMatrix(project, node.version, await backendsOf(project, node.version, results), results, [esm]);
  if (spec !== managers[0].spec) return;
  await results.check(`entry points, installed by ${spec}`, () => checkEntries(project), on);
  await results.check(
    `command line, installed by ${spec}`,
    () => checkCommands(project, manifestOf(packed)),
    on,
  );
}
