import { posix } from 'node:path';
import { targets } from '../binaries/targets.mjs';
import { matchesGlob } from './glob.mjs';

/** The budget of the tarball, in bytes and files: what there is and a tenth more. Each binary that is in it adds to that. */
export const budget = {
  packed: { base: 1_330_000, eachBinary: 130_000 },
  unpacked: { base: 4_450_000, eachBinary: 400_000 },
  files: { base: 1250, eachBinary: 1 },
};

/** Where the binary of each target lies in the package. */
export const binaries = Object.fromEntries(targets.map(({ name, file }) => [name, file]));

const allowed = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'SECURITY.md',
  'dist/**/*.js',
  'dist/**/*.d.ts',
  'dist/admin/page.{html,LICENSES.txt}',
  'dist/vendor/{echarts.mjs,LICENSES.txt}',
  // What it takes to build the addon from source, and the C++ half of the simulator.
  'CMakeLists.txt',
  'native/*.{cc,gyp,h,map,mjs}',
  'native/sim/**/*.{cc,h}',
  ...Object.values(binaries),
  'docs/*.md',
  'docs/benchmarks/*.svg',
  'dashboards/*.{json,yaml}',
  'examples/*/*.{ts,mjs,md}',
  'examples/**/tsconfig.json',
  'examples/README.md',
];

/** Would match the above, and must not: what only the tests of this project use. */
const refused = ['dist/request-reply/**', 'dist/**/*.test.*'];

/** Without these something that is promised does not work, and no import would tell. */
const needed = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'dist/cli/main.js',
  'dist/stage/worker.js',
  'dist/journal/writer.js',
  'dist/demo/index.js',
  'dist/admin/page.html',
  'dist/vendor/echarts.mjs',
  'dist/vendor/LICENSES.txt',
  'native/binding.gyp',
  'native/liburing.mjs',
  'native/addon.cc',
  'dashboards/ackgate.json',
];

const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare'];

/** What is wrong with a list of packed files, as sentences. `names`: targets whose binaries have to be there. */
export function fileProblems(paths, names) {
  const has = new Set(paths);
  const wanted = [...needed, ...names.map((name) => binaries[name] ?? `a binary for ${name}`)];
  return [
    ...paths
      .filter((path) => !allowed.some((glob) => matchesGlob(path, glob)))
      .map((path) => `${path} is in the package, and no rule lets it in`),
    ...paths
      .filter((path) => refused.some((glob) => matchesGlob(path, glob)))
      .map((path) => `${path} must not be in the package`),
    ...wanted.filter((path) => !has.has(path)).map((path) => `${path} is not in the package`),
  ];
}

/** What is over the budget, of what npm says about a tarball. */
export function sizeProblems({ size, unpackedSize, files }) {
  const is = { packed: size, unpacked: unpackedSize, files: files.length };
  const known = new Set(Object.values(binaries));
  const count = files.filter(({ path }) => known.has(path)).length;
  return Object.entries(budget)
    .map(([name, { base, eachBinary }]) => ({ name, allowed: base + count * eachBinary }))
    .filter(({ name, allowed }) => is[name] > allowed)
    .map(({ name, allowed }) => `${name}: ${is[name]} is over the budget of ${allowed}`);
}

/** What in a package.json would run something at installation, or names a file that is not packed. */
export function manifestProblems(manifest, paths) {
  const has = new Set(paths);
  const named = [...leaves(manifest.exports), ...leaves(manifest.bin)].map((path) => path.replace('./', ''));
  return [
    ...hooks
      .filter((name) => manifest.scripts?.[name] !== undefined)
      .map((name) => `the script ${name} would run at installation`),
    // Else npm would run node-gyp for the sake of binding.gyp.
    ...(manifest.gypfile === false ? [] : ['"gypfile" must be false']),
    ...named
      .filter((path) => !has.has(path))
      .map((path) => `package.json names ${path}, which is not packed`),
  ];
}

function leaves(value) {
  if (typeof value === 'string') return [value];
  return Object.values(value ?? {}).flatMap(leaves);
}

/** A folder of the machine that packed, in a text or a binary: whoever installs the package has no such folder. */
export function folderProblems(path, bytes, folders) {
  return folders
    .filter((folder) => bytes.includes(folder))
    .map((folder) => `${path} names ${folder}, a folder of the machine that packed it`);
}

/** A compiled file that points to a map, which is not packed. */
export function mapProblems(path, text) {
  return /^\/\/# sourceMappingURL=(?!data:)/m.test(text)
    ? [`${path} names a source map, which is not packed`]
    : [];
}

/** Files that a module names by relative paths: imports, and what it loads beside itself. */
function namedBy(path, text) {
  const specifiers = [
    ...text.matchAll(/\b(?:from|import)\s*['"](\.{1,2}\/[^'"\n]+)['"]/g),
    ...text.matchAll(/\bimport\(\s*['"](\.{1,2}\/[^'"\n]+)['"]/g),
    ...text.matchAll(/\bnew URL\(\s*['"](\.{1,2}\/[^'"\n]+\.\w+)['"],\s*import\.meta\.url/g),
  ];
  return specifiers.map(([, name]) => new URL(name, `file:///${path}`).pathname.slice(1));
}

/**
 * Files that packed modules name and that are not packed.
 *
 * @param {string[]} paths
 * @param {(path: string) => string} read gives a packed file's text
 */
export function importProblems(paths, read) {
  const has = new Set(paths);
  return paths
    .filter((path) => /^dist\/.*\.js$/.test(path))
    .flatMap((path) => missing(path, namedBy(path, read(path)), has));
}

/** Files that native/binding.gyp names, without which the addon can't be built from source, and that are not packed. */
export function sourceProblems(gyp, paths) {
  const has = new Set(paths);
  const named = [...gyp.matchAll(/\b[\w./-]+\.(?:cc|map|mjs)\b/g)].map(([path]) =>
    posix.join('native', path),
  );
  return missing('native/binding.gyp', [...new Set(named)], has);
}

/**
 * Declarations that those of the entry points name and that are not packed; others than these nobody can ask for.
 *
 * @param {object} manifest
 * @param {string[]} paths
 * @param {(path: string) => string} read gives a packed file's text
 */
export function declarationProblems(manifest, paths, read) {
  const has = new Set(paths);
  const types = Object.values(manifest.exports).flatMap(({ types }) => (types === undefined ? [] : [types]));
  const seen = new Set();
  const problems = [];
  for (const todo = types.map((path) => path.replace('./', '')); todo.length > 0; ) {
    const path = todo.pop();
    if (seen.has(path) || !has.has(path)) continue;
    seen.add(path);
    const named = namedBy(path, read(path)).map((to) => to.replace(/\.js$/, '.d.ts'));
    problems.push(...missing(path, named, has));
    todo.push(...named);
  }
  return problems;
}

const missing = (path, named, has) =>
  named.filter((to) => !has.has(to)).map((to) => `${path} needs ${to}, which is not packed`);
