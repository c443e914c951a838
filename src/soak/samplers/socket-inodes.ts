import { readdirSync, readlinkSync } from 'node:fs';

/** Of the sockets that a process holds. None when it has ended; null when it can't be looked at. */
export function socketInodes(pid: number | 'self'): Set<string> | null {
  const inodes = new Set<string>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const socket = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`) ?? '');
      if (socket !== null) inodes.add(socket[1]);
    }
  } catch (error) {
    if (!isGone(error)) return null;
  }
  return inodes;
}

/** Null when it was closed meanwhile. */
function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

const isGone = (error: unknown): boolean =>
  ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');

/** The network namespace of a process: its `/proc/net` is about that one. Null when it can't be told. */
export function networkOf(pid: number | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return null;
  }
}
