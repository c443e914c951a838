import { chownSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fail } from './fail.js';

/** Whom a server runs as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * An account without rights for servers that we start as root, which PostgreSQL refuses to run as: the first of
 * `names` that this machine has. Null for everybody else: their servers run as they do.
 */
export function unprivilegedAccount(names: readonly string[]): Account | null {
  if (process.getuid?.() !== 0) return null;
  const rows = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of names) {
    const row = rows.find(([first]) => first === name);
    if (row !== undefined) return { name, uid: Number(row[2]), gid: Number(row[3]) };
  }
  throw fail(`servers are not run as root, and there is none of these users: ${names.join(', ')}`);
}

/** Makes a folder that belongs to the account. Its parent has to be there. */
export function makeFolder(path: string, account: Account | null): void {
  mkdirSync(path, { mode: 0o700 });
  if (account !== null) chownSync(path, account.uid, account.gid);
}

/**
 * A cluster's own folder, which is gone when the cluster is: new, or empty. Refuses one that the account could not
 * reach.
 */
export function claimFolder(path: string, account: Account | null): string {
  const folder = resolve(path);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  if (readdirSync(folder).length > 0) throw fail(`${folder} is not empty: name a new folder for the servers`);
  if (account === null) return folder;
  chownSync(folder, account.uid, account.gid);
  for (let above = dirname(folder); ; above = dirname(above)) {
    const { mode, uid, gid } = statSync(above);
    const enter = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & enter) === 0) {
      throw fail(
        `the user ${account.name}, whom servers run as when root starts them, may not enter ${above}: name a folder elsewhere, such as one in /tmp`,
      );
    }
    if (above === dirname(above)) return folder;
  }
}
