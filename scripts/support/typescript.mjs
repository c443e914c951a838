import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root, runNode } from './run.mjs';

const outputEndings = ['.js', '.d.ts'];
/** What compilers may have left behind: source maps are made by hand only, with `tsc --sourceMap`. */
const compiledEndings = [...outputEndings, '.js.map'];

/** What is compiled, in order: the later ones import what the earlier ones declare. */
export const projects = [
  // The live page runs in a browser and is bundled, see page-bundle.mjs.
  { config: 'tsconfig.json', sources: 'src', output: 'dist', except: 'src/admin/page/' },
  {
    config: 'examples/matching-engine/tsconfig.json',
    sources: 'examples/matching-engine',
    output: 'dist/demo',
  },
  {
    config: 'examples/request-reply/tsconfig.json',
    sources: 'examples/request-reply',
    output: 'dist/request-reply',
  },
];

/** Files below a folder with one of the endings, as sorted paths that start with the folder. */
function filesBelow(top, folder, endings) {
  if (!existsSync(join(top, folder))) return [];
  return readdirSync(join(top, folder), { recursive: true })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .sort();
}

const sourcesOf = (top, { sources, except }) =>
  filesBelow(top, sources, ['.ts']).filter((path) => except === undefined || !path.startsWith(except));

/** The files that a source is compiled to. */
function outputsOf({ sources, output }, path) {
  const stem = output + path.slice(sources.length).replace(/\.ts$/, '');
  return outputEndings.map((ending) => stem + ending);
}

// Inside node_modules: a new installation may bring another compiler, and takes the stamps away with it.
const stampOf = (top, { config }) =>
  join(top, 'node_modules/.cache/ackgate', `${config.replaceAll('/', '-')}.sha256`);

/** Of everything that decides what a project compiles to. */
function digest(top, project) {
  const hash = createHash('sha256');
  for (const path of ['package.json', 'tsconfig.json', project.config, ...sourcesOf(top, project)]) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(top, path)))
      .update('\0');
  }
  return hash.digest('hex');
}

function outputsCurrent(top, project) {
  return sourcesOf(top, project).every((path) => {
    const changed = statSync(join(top, path)).mtimeMs;
    return outputsOf(project, path).every((output) => {
      const stat = statSync(join(top, output), { throwIfNoEntry: false });
      return stat !== undefined && stat.mtimeMs >= changed;
    });
  });
}

/**
 * Whether a project has to be compiled. The digest sees a source that was replaced by an older file; the times see a
 * compiler run by hand on sources that have since been put back.
 */
export function isStale(project, top = root) {
  const stamp = stampOf(top, project);
  return (
    !existsSync(stamp) ||
    !outputsCurrent(top, project) ||
    readFileSync(stamp, 'utf8') !== digest(top, project)
  );
}

/** Compiles a project; returns false when the compiler complained (it writes what it can all the same). */
export async function compile(project, top = root) {
  const stamp = stampOf(top, project);
  rmSync(stamp, { force: true });
  // Before compiling: a source that changes meanwhile must be seen as changed.
  const before = digest(top, project);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { code } = await runNode(tsc, ['-p', join(top, project.config)], { output: 'stderr' });
  if (code !== 0) return false;
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, before);
  return true;
}

/** Compiled files whose source is gone. */
export function orphans(top = root, all = projects) {
  const expected = new Set(
    all.flatMap((project) => sourcesOf(top, project).flatMap((path) => outputsOf(project, path))),
  );
  return filesBelow(top, 'dist', compiledEndings).filter((path) => !expected.has(path.replace(/\.map$/, '')));
}

/** Removes them, so that nothing imports them any more. */
export function removeOrphans(top = root, all = projects) {
  for (const path of orphans(top, all)) rmSync(join(top, path));
}
