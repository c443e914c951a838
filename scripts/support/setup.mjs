import { buildAddon, buildTypescript } from './build.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensurePackages } from './packages.mjs';

// Standard error, because the demo may print a JSON document to standard output afterwards.
export const say = (line) => console.error(`setup: ${line}`);

/**
 * Brings a fresh clone to where everything runs, and does nothing where that is so already. What can't be installed
 * is said and worked around: without liburing the posix sender is used, without a compiler there is no addon.
 * Returns false when a step failed that nothing can be done without.
 */
export async function setUp() {
  const missing = await ensurePackages('build', say);
  if (!(await ensureDependencies(say))) return false;

  const compilerMissing = missing.some((name) => name !== 'liburing-dev');
  if (compilerMissing) say('going on without the addon: nothing can be sent, policy and simulator work');
  const addon = compilerMissing || (await buildAddon(say));
  const typescript = await buildTypescript(say);
  return addon && typescript;
}
