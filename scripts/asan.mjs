// Runs the TypeScript tests against an addon that was built with the address sanitizer: `node scripts/asan.mjs
// [vitest arguments]`. Everything happens in a copy of the tree (build/asan-tree). Prints what vitest prints and ends
// with its exit code.
import { spawnSync } from 'node:child_process';
import { Variant } from './support/variant.mjs';

/** The run-time library has to be there before Node itself. */
function sanitizerLibrary() {
  const { stdout } = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = stdout?.trim() ?? '';
  if (path.includes('/')) return path;
  console.error('the address sanitizer is not installed with this compiler (libasan.so)');
  process.exit(1);
}

const library = sanitizerLibrary();
const variant = new Variant('asan');
variant.build(['sanitizer=address']);
process.exitCode = variant.test(process.argv.slice(2), {
  LD_PRELOAD: library,
  // V8 never frees what it has at exit; an error must end the process that made it, and so fail its test. Freed
  // memory is kept back for a while, but not so much of it that the tests of our own memory see nothing else.
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:quarantine_size_mb=8',
});
