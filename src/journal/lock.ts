import { spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { AckgateError } from '../errors.js';
import { lockFile } from './files.js';

/** Keeps everyone else from opening the same journal, until it is released or the process dies. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/**
 * On Linux two locks that the kernel releases with the process, however it dies: an abstract socket named after the
 * directory's inode, and `flock` where that command is installed. The socket needs nothing; but its names are those
 * of a network namespace, and two containers that share a volume have two of them. `flock` sees these, too.
 *
 * Elsewhere a file with the process id, which is taken over when no such process is left.
 *
 * @throws ERR_ACKGATE_JOURNAL_LOCKED
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  return process.platform === 'linux' ? lockByKernel(directory) : lockByProcessId(directory);
}

async function lockByKernel(directory: string): Promise<DirectoryLock> {
  const path = join(directory, lockFile);
  const server = await listen(socketName(directory));
  if (server === null) throw locked(directory, path);
  let fd = -1;
  try {
    fd = openSync(path, 'a+');
    if (isFlockedElsewhere(fd)) throw locked(directory, path);
    // Appends go to the end: a new holder cuts the old one's text first.
    ftruncateSync(fd, 0);
    writeSync(fd, holderText());
  } catch (error) {
    if (fd !== -1) closeSync(fd);
    await stopListening(server);
    throw error;
  }
  return {
    async release() {
      closeSync(fd);
      await stopListening(server);
    },
  };
}

function socketName(directory: string): string {
  const { dev, ino } = statSync(directory, { bigint: true });
  return `\0ackgate-journal-${dev}-${ino}`;
}

/** Null when somebody has the name already. */
function listen(name: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    // Exclusive: the workers of a cluster would share one listener, and so all have the lock.
    server.listen({ path: name, exclusive: true }, () => resolve(server));
    server.unref();
  });
}

function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** The lock belongs to the open file, not to the process that asked: it stays when the command has ended. */
function isFlockedElsewhere(fd: number): boolean {
  const { status } = spawnSync('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  return status === 1;
}

/** For systems without the above. Two processes that find the same dead holder at once may both win. */
export async function lockByProcessId(directory: string): Promise<DirectoryLock> {
  const path = join(directory, lockFile);
  const mine = `${path}.${process.pid}.tmp`;
  writeFileSync(mine, holderText());
  try {
    while (!tryLink(mine, path)) {
      if (holderIsAlive(path)) throw locked(directory, path);
      unlinkSync(path);
    }
  } finally {
    unlinkSync(mine);
  }
  return { release: async () => unlinkSync(path) };
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function holderIsAlive(path: string): boolean {
  const pid = holder(path)?.pid;
  // A holder that can't be made out is taken for alive: better to ask a person than to have two writers.
  if (pid === undefined) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

interface Holder {
  pid: number;
  host: string;
}

function holderText(): string {
  const mine: Holder = { pid: process.pid, host: hostname() };
  return `${JSON.stringify(mine)}\n`;
}

function holder(path: string): Holder | undefined {
  try {
    const { pid, host } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return Number.isSafeInteger(pid) && pid! > 0 && typeof host === 'string'
      ? { pid: pid!, host }
      : undefined;
  } catch {
    return undefined;
  }
}

function locked(directory: string, path: string): AckgateError {
  const known = holder(path);
  let who = 'another process';
  if (known !== undefined)
    who = known.pid === process.pid ? 'this process' : `process ${known.pid} on ${known.host}`;
  return new AckgateError(
    'ERR_ACKGATE_JOURNAL_LOCKED',
    `journal ${directory} is open in ${who}; close that first`,
  );
}
