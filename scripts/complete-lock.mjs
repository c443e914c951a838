// Adds to package-lock.json the entries of binaries for other platforms that npm left out because the registry in use
// does not have them; `npm run check` tells when that is needed. They have no checksum: npm adds it where it can.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { completed, missingEntries } from './support/lock.mjs';
import { root } from './support/run.mjs';

const path = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8'));
const missing = missingEntries(lock);
if (missing.length > 0) writeFileSync(path, `${JSON.stringify(completed(lock), null, 2)}\n`);
for (const { name, version } of missing) console.log(`added ${name}@${version}`);
