// Sets up everything that is missing, and says only what it does. Needs nothing but Node.
//   --all   also what tests and checks would install at their start, so that they can be started beside each other
import { parseArgs } from 'node:util';
import './support/node-version.mjs';

const { ensurePackages, welcomeGroups } = await import('./support/packages.mjs');
const { say, setUp } = await import('./support/setup.mjs');

const { values } = parseArgs({ options: { all: { type: 'boolean', default: false } } });
process.exitCode = (await setUp()) ? 0 : 1;
if (values.all) for (const group of welcomeGroups()) await ensurePackages(group, say);
