// Whether a tag may be published: node scripts/release-check.mjs v1.2.3 [--notes FILE]. The tag has to be the version of
// package.json and package-lock.json, and CHANGELOG.md has to have it, with a date. `--notes` writes what stands there.
// Exit code 1 when something does not agree, 2 when the call can't be meant.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { releaseNotes, releaseProblems } from './support/release.mjs';
import { root } from './support/run.mjs';

function readCall() {
  try {
    const { values, positionals } = parseArgs({
      options: { notes: { type: 'string' } },
      allowPositionals: true,
    });
    if (positionals.length === 1) return { tag: positionals[0], notes: values.notes };
    console.error('one tag is due: node scripts/release-check.mjs v1.2.3 [--notes FILE]');
  } catch (error) {
    console.error(error.message);
  }
  process.exit(2);
}

const { tag, notes } = readCall();
const readText = (path) => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(readText('package.json'));
const lock = JSON.parse(readText('package-lock.json'));
const changelog = readText('CHANGELOG.md');

const problems = releaseProblems({ tag, manifest, lock, changelog });
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
if (notes !== undefined) writeFileSync(notes, `${releaseNotes(changelog, manifest.version)}\n`);
console.log(`${manifest.name} ${manifest.version} can be published`);
