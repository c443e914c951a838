// Builds, runs the benches one after another, keeps what they print in bench/results/DAY/NAME.json, and makes
// docs/BENCHMARKS.md of it. Nothing else should run on the machine meanwhile: the load is noted, not waited for.
//   --only NAME,NAME   some of them: egress, candidates, latency, isolation, scale, churn, micro, diagnosis, engines,
//                      postgres, soak
//   --smoke            short runs that show whether they work; kept in build/bench-smoke/, and the page stays as it is
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import './support/node-version.mjs';

const { benches, resultsFolder } = await import('./support/bench/benches.mjs');
const { versions } = await import('./support/bench/versions.mjs');
const { buildAddon, buildTypescript } = await import('./support/build.mjs');
const { root, runNode } = await import('./support/run.mjs');

const { values } = parseArgs({
  options: { only: { type: 'string' }, smoke: { type: 'boolean', default: false } },
});
const names = values.only?.split(',') ?? benches.map(({ name }) => name);
const unknown = names.find((wanted) => !benches.some(({ name }) => name === wanted));
if (unknown !== undefined) {
  console.error(`unknown bench "${unknown}": known are ${benches.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

/** The document that a bench prints; null when it failed or printed something else. What it says goes to stderr. */
function documentOf(script) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, '--json', ...(values.smoke ? ['--smoke'] : [])], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    child.on('close', (code) => {
      try {
        resolve(code === 0 ? JSON.parse(text) : null);
      } catch {
        resolve(null);
      }
    });
  });
}

async function runOne({ name, script }) {
  const measuredAt = new Date().toISOString();
  const before = loadavg();
  console.error(`bench: ${name}, load ${before.map((one) => one.toFixed(2)).join(' ')}`);
  const document = await documentOf(script);
  if (document === null) {
    console.error(`bench: ${name} failed: run node ${script}${values.smoke ? ' --smoke' : ''} to see why`);
    return false;
  }
  const result = { measuredAt, versions: await versions(), load: { before, after: loadavg() }, ...document };
  const folder = values.smoke ? 'build/bench-smoke' : join(resultsFolder, measuredAt.slice(0, 10));
  const path = join(folder, `${name}.json`);
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${JSON.stringify(result, null, 2)}\n`);
  const seconds = (Date.now() - Date.parse(measuredAt)) / 1000;
  console.log(`${path} (${seconds.toFixed(0)} s)`);
  return true;
}

const say = (line) => console.error(`build: ${line}`);
if (!(await buildAddon(say)) || !(await buildTypescript(say))) process.exit(1);

let failed = 0;
for (const bench of benches.filter(({ name }) => names.includes(name))) {
  if (!(await runOne(bench))) failed++;
}
if (!values.smoke && failed < names.length) {
  const { code } = await runNode('scripts/bench-page.mjs');
  if (code !== 0) failed++;
}
process.exitCode = failed === 0 ? 0 : 1;
