import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Calls that change what is on the disk, or make it durable. */
const names = ['openSync', 'writevSync', 'ftruncateSync', 'fsyncSync', 'renameSync', 'unlinkSync'] as const;

/** As `node:fs` tells it: the call, and the base name of what it was for. */
export interface DiskCall {
  name: string;
  file: string;
}

const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/**
 * Runs `work` and ends it where call number `crashAt` on the disk would be made (from 0 on; default: never), like a
 * process that is killed there: none later is made either. Returns the calls that were made.
 */
export async function withDisk(
  work: () => Promise<unknown>,
  crashAt = Number.POSITIVE_INFINITY,
): Promise<DiskCall[]> {
  const calls: DiskCall[] = [];
  const originals = names.map((name) => fs[name]);
  const files = new Map<number, string>();
  for (const name of names) {
    const original = fs[name] as (...args: unknown[]) => unknown;
    const patched = (...args: unknown[]) => {
      const [target] = args;
      const file = typeof target === 'number' ? files.get(target)! : baseName(String(target));
      // Opening to read is no change.
      const counts = name !== 'openSync' || args[1] === 'w';
      if (counts && calls.length >= crashAt) throw new Error('the process is dead');
      const result = original(...args);
      if (name === 'openSync') files.set(result as number, file);
      if (counts) calls.push({ name, file });
      return result;
    };
    Object.assign(fs, { [name]: patched });
  }
  syncBuiltinESMExports();
  try {
    await work().catch((error: Error) => {
      if (!error.message.includes('the process is dead')) throw error;
    });
    return calls;
  } finally {
    for (const [i, name] of names.entries()) Object.assign(fs, { [name]: originals[i] });
    syncBuiltinESMExports();
  }
}
