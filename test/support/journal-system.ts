import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Why tests under strace can't be run here, or null. */
export const noStrace = reason('tests under strace', () =>
  execFileSync('strace', ['-f', '-o', '/dev/null', '-e', 'inject=fdatasync:retval=0', 'true']),
);

/** Why tests on file systems of their own can't be run here, or null. */
export const noLoopMount = reason('tests on a loop-mounted file system', () => {
  if (process.getuid?.() !== 0) throw new Error('only root may mount');
  for (const tool of ['mkfs.ext4', 'mount', 'umount']) execFileSync('which', [tool]);
  execFileSync('losetup', ['-f'], { stdio: 'pipe' });
});

/** Why tests in another network namespace can't be run here, or null. */
export const noNetworkNamespace = reason('tests in a network namespace', () => {
  execFileSync('which', ['flock']);
  execFileSync('unshare', ['-n', 'true'], { stdio: 'pipe' });
});

function reason(what: string, tryIt: () => void): string | null {
  try {
    tryIt();
    return null;
  } catch (error) {
    const why = (error as Error).message.split('\n')[0]!;
    console.log(`skipped: ${what}: ${why}`);
    return why;
  }
}

/** An ext4 file system in a file; nothing reaches the file but what is synced, or flushed in the background. */
export class LoopFileSystem {
  readonly image: string;
  readonly path: string;

  /** @param mebibytes 0: the image is there already */
  constructor(under: string, name: string, mebibytes: number) {
    this.image = join(under, `${name}.img`);
    this.path = join(under, name);
    mkdirSync(this.path);
    if (mebibytes > 0) {
      execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', this.image, `${mebibytes}M`], { stdio: 'pipe' });
    }
    // The journal of the file system itself would commit every five seconds.
    execFileSync('mount', ['-o', 'loop,commit=600', this.image, this.path], { stdio: 'pipe' });
  }

  unmount(): void {
    const { status, stderr } = spawnSync('umount', [this.path]);
    // Someone may still have it open after a failed test; it goes away with them.
    if (status !== 0) {
      console.log(`umount ${this.path}: ${stderr}`);
      spawnSync('umount', ['-l', this.path]);
    }
    rmSync(this.path, { recursive: true, force: true });
  }
}
