import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';

/** Removes a folder with everything in it, after taking off what is mounted in it. */
export function removeFolder(path: string): void {
  const mounted = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${path}/`));
  // Lazily, so that a process that is on its way out can't keep it.
  for (const point of mounted) execFileSync('umount', ['-l', point], { stdio: 'pipe' });
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}
