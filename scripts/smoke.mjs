// Short runs of what users start: the doctor, the demo, the simulator, a soak, and every bench in its short form. A run
// passes when it ends with 0 in time; how fast anything was is not judged, so they run beside each other.
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import './support/node-version.mjs';

const { root, run } = await import('./support/run.mjs');
const { setUp } = await import('./support/setup.mjs');
const { inTurn } = await import('./support/in-turn.mjs');

if (!(await setUp())) process.exit(1);

const folder = await mkdtemp(join(tmpdir(), 'ackgate-smoke-'));
const cli = (...args) => ['dist/cli/main.js', ...args, '--json'];
const demo = (backend) => cli('demo', '--seconds', '3', '--clients', '16', '--backend', backend);
/** Name, seconds that it may take on a machine several times slower than this one's like, and what Node runs. */
const runs = [
  // First, since it waits for the most part.
  ['soak', 200, cli('soak', 'smoke', '--out', join(folder, 'soak'))],
  ['doctor', 30, cli('doctor')],
  ['demo, auto', 60, demo('auto')],
  ['demo, posix', 60, demo('posix')],
  ['simulator', 120, cli('sim', '--seeds', '1000')],
  ['what-if', 60, cli('sim', 'whatif', '--orders', '20000')],
  ...readdirSync(join(root, 'bench'))
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => [`bench/${name}`, 180, [`bench/${name}`, '--smoke']]),
];

let passed = 0;
let failed = 0;
// Each run is in a process group of its own, which a signal to ours does not reach.
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
try {
  // Three at once: one of them is the soak.
  await inTurn(3, runs, async ([name, seconds, args]) => {
    if (stop.signal.aborted) return;
    const began = performance.now();
    // `timeout` ends the whole process group, with the servers and clients that a run may have started.
    const timed = ['--kill-after=10', String(seconds), process.execPath, ...args];
    const { code, text } = await run('timeout', timed, { output: 'capture', signal: stop.signal });
    const took = `${((performance.now() - began) / 1000).toFixed(1)} s`;
    if (code === 0) {
      passed++;
      console.log(`ok       ${name} (${took})`);
    } else {
      failed++;
      const why = code === 124 ? `stopped after ${seconds} s` : `exit code ${code} after ${took}`;
      const end = text.trimEnd().split('\n').slice(-40).join('\n');
      console.log(`failed: ${name}: ${why}; it ended with\n${end.replace(/^/gm, '         ')}`);
    }
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
