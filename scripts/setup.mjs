// Sets up everything that is missing, and says only what it does. Needs nothing but Node.
//   --all   also what tests and checks would install at their start, so that they can be started beside each other
import { parseArgs } from 'node:util';
import './support/node-version.mjs';

const { ensurePackages, welcomeGroups } = await import('./support/packages.mjs');
const { say, setUp } = await import('./support/setup.mjs');

const { values } = parseArgs({ options: { all: { type: 'boolean', default: false } } });
let complete = await setUp();
for (const group of values.all ? welcomeGroups() : []) {
  const missing = await ensurePackages(group, say);
  // Elsewhere the tests and checks that need them are left out, and say so.
  if (process.env.CI && missing.length > 0) complete = false;
}
process.exitCode = complete ? 0 : 1;
