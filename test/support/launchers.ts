import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'vitest';

/** Words in front of a command, which then runs with less than this machine offers. */
export type Launcher = readonly string[];

/** Skips, and prints why. */
export function skipped({ skip }: TestContext, reason: string): never {
  console.log(`skipped: ${reason}`);
  return skip(reason);
}

/** The launcher, unless it doesn't work on this machine: then the test is skipped, saying why. */
export function needs(context: TestContext, ...launcher: string[]): string[] {
  const [command, ...rest] = [...launcher, process.execPath, '--version'];
  const { status, error, stderr } = spawnSync(command, rest, { encoding: 'utf8', timeout: 30_000 });
  if (status === 0) return launcher;
  return skipped(context, `${launcher.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

/** Compiles, into `folder`, a program that runs a command with `io_uring_setup` answering an errno. */
export function buildSeccompLauncher(folder: string): string {
  const program = join(folder, 'seccomp-launcher');
  const source = fileURLToPath(new URL('../fixtures/seccomp-launcher.c', import.meta.url));
  execFileSync('cc', ['-Wall', '-Werror', '-o', program, source], { stdio: 'pipe' });
  return program;
}

/** Root locks as much memory as it likes; without this capability the limit binds it too. */
const withoutLocking: Launcher = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-ipc_lock'] : [];

let readable: boolean | undefined;

/** An ordinary user of this number; where that can't read the package, one that is root only by name. */
export function ordinaryUser(uid: number, root: string): Launcher {
  if (process.getuid?.() !== 0) return [];
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  const main = join(root, 'dist/cli/main.js');
  readable ??= spawnSync(user[0], [...user.slice(1), 'cat', main], { stdio: 'ignore' }).status === 0;
  return readable ? user : withoutLocking;
}

/**
 * A mount namespace of its own, in which the lines of `script` were run before: nothing of it is seen outside, and the
 * kernel takes it down with its last process.
 */
export function inMountNamespace(script: string): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${script}\nexec "$@"`, 'sh'];
}

/** Whether a file can be read here. */
export function canRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
