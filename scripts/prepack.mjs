// Before `npm pack` and `npm publish`: refuses to pack a dist/ or a binary that is missing or older than its sources.
// `--release`: the binaries of all targets have to be there.
import { ownTargets, unready } from './support/package/ready.mjs';
import { binaries } from './support/package/rules.mjs';

const release = process.argv.includes('--release');
const problems = unready(release ? Object.keys(binaries) : ownTargets());
for (const problem of problems) console.error(`not packed: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
