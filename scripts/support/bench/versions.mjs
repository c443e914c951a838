import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from '../run.mjs';
import { resultsFolder } from './benches.mjs';

async function output(command, args) {
  const { code, text } = await run(command, args, { output: 'capture' });
  return code === 0 ? text.trim() : null;
}

/** The commit, marked when what was measured is not what it holds; null outside of a clone. */
async function commit() {
  const hash = await output('git', ['rev-parse', '--short', 'HEAD']);
  if (hash === null) return null;
  // What measuring itself writes is no change of what is measured.
  const others = [':!docs', `:!${resultsFolder}`];
  const changes = await output('git', ['--no-optional-locks', 'status', '--porcelain', '--', '.', ...others]);
  return changes === '' ? hash : `${hash} and changes`;
}

/** What was measured: Ackgate, its commit, and the liburing that is installed; null for what can't be found out. */
export async function versions() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    ackgate: version,
    commit: await commit(),
    liburing: await output('pkg-config', ['--modversion', 'liburing']),
  };
}
