import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lastCounts, runNode } from './run.mjs';

const vitest = (args) => runNode('node_modules/vitest/vitest.mjs', ['run', ...args]);

/** Runs vitest with a user's own arguments; returns its exit code. */
export const runVitestWith = async (args) => (await vitest(args)).code;

/**
 * Counts of a vitest JSON report (null when there is none) and its exit code. A file that does not load, or an error
 * outside of any test, fails the run without failing a test: that counts as one failure.
 */
export function vitestCounts(report, code) {
  const passed = report?.numPassedTests ?? 0;
  const failed = report?.numFailedTests ?? 0;
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  const broken = code !== 0 || report === null || passed + failed === 0;
  return { passed, failed: failed === 0 && broken ? 1 : failed, skipped };
}

/** Tests that watch what threads, descriptors and memory do come one by one; all others two files at a time. */
const oneByOne = ['50', '60', '80'];
const patterns = oneByOne.map((number) => `test/${number}-*.test.ts`);

/** Runs every test, and returns the counts of the TypeScript and of the C++ ones. */
export async function runAll() {
  const many = await runGroup(['--maxWorkers=2', ...patterns.map((pattern) => `--exclude=${pattern}`)]);
  // The C++ ones are mostly compiled, and those one by one mostly wait.
  const [few, cpp] = await Promise.all([
    runGroup(['--no-file-parallelism', ...oneByOne.map((number) => `test/${number}-`)]),
    runCppTests(),
  ]);
  const sum = (name) => many[name] + few[name];
  return [{ passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }, cpp];
}

async function runGroup(args) {
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-test-'));
  try {
    const file = join(folder, 'vitest.json');
    const reports = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const { code } = await vitest([...args, ...reports]);
    return vitestCounts(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs every C++ test; what they print is shown at their end, since others run meanwhile. */
async function runCppTests() {
  const { code, text } = await runNode('scripts/native-tests.mjs', [], { output: 'capture' });
  console.log(text);
  const counts = lastCounts(text) ?? { passed: 0, failed: 0 };
  const broken = code !== 0 || counts.passed + counts.failed === 0;
  return { passed: counts.passed, failed: counts.failed === 0 && broken ? 1 : counts.failed };
}
