import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './run.mjs';

const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;

/** Whether an entry of the lock is what was installed. A checksum counts where both have one. */
const sameEntry = (wanted, installed) =>
  installed !== undefined &&
  installed.version === wanted.version &&
  (installed.integrity ?? wanted.integrity) === (wanted.integrity ?? installed.integrity);

/**
 * Whether what is installed differs from package-lock.json. npm writes its own copy of the lock as the last step of
 * an installation, so that an interrupted one has none. Optional packages are for other platforms, mostly.
 */
export function dependenciesStale(folder = root) {
  const installedLock = join(folder, 'node_modules/.package-lock.json');
  if (!existsSync(installedLock)) return true;
  try {
    const installed = packagesOf(installedLock);
    return Object.entries(packagesOf(join(folder, 'package-lock.json'))).some(
      ([path, entry]) =>
        path !== '' &&
        !(entry.optional && installed[path] === undefined) &&
        !sameEntry(entry, installed[path]),
    );
  } catch {
    return true;
  }
}

/** `npm ci` when it is needed. Returns false when it failed. */
export async function ensureDependencies(say) {
  if (!dependenciesStale()) return true;
  say('installing dependencies (npm ci)');
  const args = ['ci', '--no-audit', '--no-fund'];
  // Under `npm run` this is the same npm that was called, whatever is on the path.
  const npm = process.env.npm_execpath;
  const options = { output: 'stderr', timeoutMs: 600_000 };
  const { code } = npm?.endsWith('.js')
    ? await run(process.execPath, [npm, ...args], options)
    : await run('npm', args, options);
  if (code !== 0) say(`npm ci failed with code ${code}`);
  return code === 0;
}
