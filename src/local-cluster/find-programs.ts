import { execFileSync } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a server's programs are, or why they can't be used. */
export type Found =
  | { readonly found: true; readonly folder: string }
  | { readonly found: false; readonly reason: string };

const no = (reason: string): Found => ({ found: false, reason });

const hasAll = (folder: string, names: readonly string[]) =>
  names.every((name) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

const inPath = () => (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');

const onlyLinux = 'servers are started on Linux only: their processes are found in /proc';

const postgresPrograms = ['initdb', 'postgres', 'pg_basebackup', 'pg_rewind', 'psql'];
const versionFirst = 15;

/** The programs of PostgreSQL 15 or later: the newest installed by Debian's packages, else the ones of PATH or pg_config. */
export function findPostgres(): Found {
  if (process.platform !== 'linux') return no(onlyLinux);
  const folders = [...debianFolders(), ...inPath(), ...configuredFolder()];
  const folder = folders.find((candidate) => hasAll(candidate, postgresPrograms));
  if (folder === undefined) {
    return no('PostgreSQL is not installed: apt-get install --no-install-recommends postgresql');
  }
  const version = ask(join(folder, 'postgres'), '--version');
  const major = Number(/\d+/.exec(version ?? '')?.[0]);
  if (major >= versionFirst) return { found: true, folder };
  return no(
    `PostgreSQL ${versionFirst} or later is needed; ${folder} has ${version?.trim() || 'another one'}`,
  );
}

/** Debian keeps the server's programs off PATH, by version. */
function debianFolders(): string[] {
  const top = '/usr/lib/postgresql';
  try {
    const versions = readdirSync(top).filter((name) => Number(name) >= versionFirst);
    return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(top, version, 'bin'));
  } catch {
    return [];
  }
}

function configuredFolder(): string[] {
  const folder = ask('pg_config', '--bindir')?.trim();
  return folder ? [folder] : [];
}

function ask(program: string, argument: string): string | null {
  try {
    return execFileSync(program, [argument], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    });
  } catch {
    return null;
  }
}

export function findNats(): Found {
  if (process.platform !== 'linux') return no(onlyLinux);
  // Debian installs it where an ordinary user's path does not look.
  const folder = [...inPath(), '/usr/sbin', '/usr/local/bin'].find((one) => hasAll(one, ['nats-server']));
  if (folder !== undefined) return { found: true, folder };
  return no('nats-server is not installed: apt-get install --no-install-recommends nats-server');
}
