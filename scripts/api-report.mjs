// Writes docs/api/NAME.api.md for every entry point of the package: its public names as declarations, so that a change
// of one of them is seen in review.
//   --check   writes nothing: compares with what is committed, shows the differences and ends with 1 if there are any
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import './support/node-version.mjs';

const { makeReports } = await import('./support/api-report.mjs');
const { root } = await import('./support/run.mjs');

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const folder = join(root, 'docs/api');
const ending = '.api.md';

const { reports, problems } = makeReports();
const files = new Map([...reports].map(([name, text]) => [`${name}${ending}`, text]));
const old = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(ending)) : [];
for (const problem of problems) console.log(problem);
if (values.check) check();
else write();
if (problems.length > 0) process.exitCode = 1;

function write() {
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of files) writeFileSync(join(folder, file), text);
  for (const file of old.filter((one) => !files.has(one))) rmSync(join(folder, file));
  console.log(`${files.size} reports in docs/api`);
}

function check() {
  const names = [...new Set([...files.keys(), ...old])].sort();
  const changed = names.filter((file) => textOf(file) !== files.get(file));
  for (const file of changed) console.log(`docs/api/${file}\n${difference(textOf(file), files.get(file))}`);
  if (changed.length === 0) return;
  console.log(
    'The public names have changed. If that is meant, run npm run api:report and commit it, and say the',
  );
  console.log('change in CHANGELOG.md.');
  process.exitCode = 1;
}

/** What is committed. */
function textOf(file) {
  return old.includes(file) ? readFileSync(join(folder, file), 'utf8') : undefined;
}

/** The lines that differ, with a few around them. */
function difference(before = '', after = '') {
  const pair = mkdtempSync(join(tmpdir(), 'ackgate-api-'));
  try {
    writeFileSync(join(pair, 'before'), before);
    writeFileSync(join(pair, 'after'), after);
    const args = ['diff', '--no-index', '--no-color', '--no-ext-diff', '--unified=2', 'before', 'after'];
    try {
      return execFileSync('git', args, { cwd: pair, encoding: 'utf8' });
    } catch ({ stdout }) {
      // It ends with 1 when there is a difference. The names of the two files say nothing.
      return stdout.replace(/^[\s\S]*?(?=^@@)/m, '');
    }
  } finally {
    rmSync(pair, { recursive: true, force: true });
  }
}
