// Imported first and statically by every entry script, so it keeps to what old versions of Node parse: the message
// below is worth more than the syntax error that they would print for the rest.
import fs from 'node:fs';

/** What is wrong with Node `version` when the package wants `range` (such as '>=20.19'); null when nothing is. */
export function nodeVersionProblem(version, range) {
  const wanted = /^>=(\d+)\.(\d+)/.exec(range);
  const have = /^v?(\d+)\.(\d+)/.exec(version);
  if (wanted === null || have === null) return `cannot compare Node ${version} with "${range}"`;
  const major = Number(have[1]) - Number(wanted[1]);
  if (major > 0 || (major === 0 && Number(have[2]) >= Number(wanted[2]))) return null;
  return `Ackgate needs Node ${wanted[1]}.${wanted[2]} or newer; this is ${version}. Install one from https://nodejs.org and try again.`;
}

const manifest = JSON.parse(fs.readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const problem = nodeVersionProblem(process.version, manifest.engines.node);
if (problem !== null) {
  console.error(problem);
  process.exit(1);
}
