import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { step } from './step.mjs';

/**
 * Puts what an npm package holds into the folder `to`. The tarball is hashed before anything of it is unpacked: throws unless
 * that is `integrity`, as package-lock.json would have it. `to` is there as a whole or not at all.
 */
export function fetchPinned(name, integrity, to) {
  const parent = dirname(to);
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, '.fetch-'));
  try {
    step('npm', ['pack', name, '--ignore-scripts', '--loglevel=error', '--pack-destination', folder]);
    const file = join(folder, readdirSync(folder)[0]);
    const found = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${name} from npm is ${found}, and not ${integrity}`);
    step('tar', ['-xzf', file, '-C', folder]);
    try {
      renameSync(join(folder, 'package'), to);
    } catch (error) {
      // Another process has fetched the same in the meantime.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
