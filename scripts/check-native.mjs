// Format and lint of the C++ sources. `--write` formats in place. A tool that is not installed in the version that is
// wanted is named, and its part is left out. The binding is linted against the headers of the running Node when they are
// installed with it.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeDirectory } from './node-headers.mjs';
import { clangTool, clangVersion } from './support/clang.mjs';
import { onPath } from './support/packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const database = 'build/cpp-tidy';

function filesOf(directory, pattern) {
  return readdirSync(join(root, directory))
    .filter((name) => pattern.test(name))
    .map((name) => join(directory, name));
}

const folders = ['native', 'native/sim', 'native/sim/conformance', 'native/test'];
const allFiles = folders.flatMap((folder) => filesOf(folder, /\.(h|cc)$/));

/** A program that can be run; null, which is said, when there is none. */
function need(what, program) {
  if (program === null) console.warn(`${what} is not installed: that part of the check is left out`);
  return program;
}

const needClang = (tool) => need(`${tool}, version ${clangVersion},`, clangTool(tool));
const needCmake = () => need('cmake', onPath('cmake') ? 'cmake' : null);

function format(program, write) {
  const args = write ? ['-i', ...allFiles] : ['--dry-run', '--Werror', ...allFiles];
  return spawnSync(program, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

/** Commands of the stand-alone build, and of the binding files, which that build does not have. */
function writeDatabase() {
  const configured = spawnSync('cmake', ['-S', '.', '-B', database], { cwd: root, encoding: 'utf8' });
  if (configured.status !== 0) {
    console.error(configured.stderr);
    return null;
  }
  const path = join(root, database, 'compile_commands.json');
  const commands = JSON.parse(readFileSync(path, 'utf8'));
  const node = nodeDirectory();
  if (node === null) {
    console.warn('the headers of Node are not installed with it: the binding files are not linted');
  } else {
    const api = dirname(createRequire(import.meta.url).resolve('node-addon-api'));
    const flags = `-std=c++17 -fPIC -isystem ${node}/include/node -isystem ${api}`;
    const defines =
      '-DNAPI_VERSION=8 -DNODE_ADDON_API_DISABLE_DEPRECATED -DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS ' +
      '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS';
    for (const name of ['addon.cc', 'binding_functions.cc']) {
      const file = join(root, 'native', name);
      commands.push({ directory: root, file, command: `c++ ${flags} ${defines} -o ${name}.o -c ${file}` });
    }
    writeFileSync(path, JSON.stringify(commands, null, 2));
  }
  return [...new Set(commands.map(({ file }) => file))].filter((file) =>
    file.startsWith(join(root, 'native')),
  );
}

function tidyOne(program, file) {
  return new Promise((resolve) => {
    const child = spawn(program, ['--quiet', '-p', database, file], { cwd: root });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    child.on('close', (code) => {
      if (code !== 0) console.error(text);
      resolve(code === 0);
    });
  });
}

async function tidy(program) {
  mkdirSync(join(root, database), { recursive: true });
  const files = writeDatabase();
  if (files === null) return false;
  let ok = true;
  const worker = async () => {
    for (let file = files.pop(); file !== undefined; file = files.pop())
      ok = (await tidyOne(program, file)) && ok;
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return ok;
}

let ok = true;
const clangFormat = needClang('clang-format');
if (clangFormat !== null) ok = format(clangFormat, process.argv.includes('--write')) && ok;
const clangTidy = needClang('clang-tidy');
if (clangTidy !== null && needCmake() !== null) ok = (await tidy(clangTidy)) && ok;
process.exitCode = ok ? 0 : 1;
