import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account } from './account.js';
import { fail } from './fail.js';

/** Why this process can't make a small file system, found by trying; null when it can. */
export function noSmallDisk(): string | null {
  if (process.getuid?.() !== 0) return 'only root can mount a small disk';
  const folder = mkdtempSync(join(tmpdir(), 'ackgate-disk-'));
  try {
    new SmallDisk(folder, 1, null);
    execFileSync('umount', [folder], { stdio: 'pipe' });
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file system of its own for a folder, in memory, so small that it can be filled. Removing the folder unmounts it. */
export class SmallDisk {
  readonly #ballast: string;

  /** Mounts it over an empty folder. */
  constructor(folder: string, megabytes: number, account: Account | null) {
    this.#ballast = join(folder, 'ballast');
    const owner = account === null ? '' : `,uid=${account.uid},gid=${account.gid}`;
    const options = `size=${megabytes}m,mode=0700,nosuid,nodev${owner}`;
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'ackgate-small-disk', folder], { stdio: 'pipe' });
    } catch (error) {
      throw fail(`a small disk could not be mounted here: ${(error as Error).message.trim()}`, error);
    }
  }

  /** Leaves not a byte of it free. */
  fill(): void {
    const file = openSync(this.#ballast, 'a');
    try {
      for (let bytes = 1 << 20; bytes >= 512; ) {
        try {
          if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes /= 2;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          bytes /= 2;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  /** Gives back what `fill()` took. */
  free(): void {
    rmSync(this.#ballast, { force: true });
  }
}
