// Runs the TypeScript tests against an addon that was built with the address sanitizer: `node scripts/asan.mjs
// [vitest arguments]`. Everything happens in a copy of the tree (build/asan-tree), so that the usual build stays as it
// is. Prints what vitest prints and ends with its exit code.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeGypArguments } from './node-headers.mjs';
import { projects } from './support/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const tree = join(root, 'build/asan-tree');
const bin = (path) => join(root, 'node_modules', path);

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: tree, encoding: 'utf8', maxBuffer: 1 << 26, ...options });
  if (result.error) throw result.error;
  return result;
}

function copyTree() {
  rmSync(tree, { recursive: true, force: true });
  const { stdout } = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  });
  for (const path of stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    cpSync(join(root, path), join(tree, path));
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
}

function step(what, command, args) {
  console.log(`${what} …`);
  const { status, stdout, stderr } = run(command, args);
  if (status === 0) return;
  console.error(`${stdout}${stderr}`);
  process.exit(1);
}

/** The run-time library has to be there before Node itself. */
function sanitizerLibrary() {
  const path = run('cc', ['-print-file-name=libasan.so'], { cwd: root }).stdout.trim();
  if (path.includes('/')) return path;
  console.error('the address sanitizer is not installed with this compiler (libasan.so)');
  process.exit(1);
}

const library = sanitizerLibrary();
copyTree();
step('Building the addon with the address sanitizer', process.execPath, [
  bin('node-gyp/bin/node-gyp.js'),
  ...['rebuild', '--loglevel=error', ...nodeGypArguments(), '--', '-Dsanitizer=address'],
]);
for (const { config } of projects) {
  step(`Building TypeScript (${config})`, process.execPath, [bin('typescript/bin/tsc'), '-p', config]);
}

const { status } = run(process.execPath, [bin('vitest/vitest.mjs'), 'run', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: {
    ...process.env,
    LD_PRELOAD: library,
    // V8 never frees what it has at exit; an error must end the process that made it, and so fail its test. Freed
    // memory is kept back for a while, but not so much of it that the tests of our own memory see nothing else.
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:quarantine_size_mb=8',
  },
});
process.exitCode = status ?? 1;
