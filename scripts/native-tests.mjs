// Builds and runs the C++ tests under address and undefined-behaviour sanitizers, then under the thread sanitizer, and
// the simulator's C++ half under the first two. `ACKGATE_RUNS` sets how many seeds the tests take, `ACKGATE_SEED` the
// first; the simulator takes five times as many. Prints what doctest prints and ends with a line of counts; exit code 1
// when anything failed.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const variants = [
  { name: 'cpp-address', sanitize: 'address,undefined', worlds: true },
  { name: 'cpp-thread', sanitize: 'thread' },
];

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
}

/** The step's output, shown only when it failed. */
function quietly(command, args) {
  const { status, stdout, stderr, error } = run(command, args);
  if (status === 0) return true;
  console.error(error ? `${command} could not be run: ${error.message}` : `${stdout}${stderr}`);
  return false;
}

function build({ name, sanitize }) {
  const directory = `build/${name}`;
  return (
    quietly('cmake', ['-S', '.', '-B', directory, `-DACKGATE_SANITIZE=${sanitize}`]) &&
    quietly('cmake', ['--build', directory, '--parallel', '2'])
  );
}

/** Test cases that passed and failed, as doctest counts them; a crash counts as one failure. */
function runTests({ name, sanitize }) {
  console.log(`\n${sanitize}:`);
  const { status, stdout, stderr } = run(`build/${name}/native_tests`, [], { timeout: 600_000 });
  process.stdout.write(`${stdout}${stderr}`);
  const counts = /test cases:\s+\d+ \|\s+(\d+) passed \|\s+(\d+) failed/.exec(stdout);
  const passed = Number(counts?.[1] ?? 0);
  const failed = Number(counts?.[2] ?? 0);
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed };
}

/** Worlds of the simulator, all faults. A seed that fails is printed with its invariant. */
function runWorlds({ name }) {
  const first = process.env.ACKGATE_SEED ?? '1';
  const seeds = String(Number(process.env.ACKGATE_RUNS ?? 500) * 5);
  const args = ['--first-seed', first, '--seeds', seeds, '--check-repeat'];
  const { status, stdout, stderr } = run(`build/${name}/native_sim`, args, { timeout: 600_000 });
  if (status === 0) {
    console.log(`simulated worlds: ${seeds} from seed ${first}, none failed`);
    return { passed: 1, failed: 0 };
  }
  console.error(`${stderr}${stdout}`);
  return { passed: 0, failed: 1 };
}

const total = { passed: 0, failed: 0 };
for (const variant of variants) {
  const { passed, failed } = build(variant) ? runTests(variant) : { passed: 0, failed: 1 };
  total.passed += passed;
  total.failed += failed;
  if (variant.worlds && failed === 0) {
    const worlds = runWorlds(variant);
    total.passed += worlds.passed;
    total.failed += worlds.failed;
  }
}
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
