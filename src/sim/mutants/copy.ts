import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyPatch, type Patch } from './patch.js';

/** The compiled package that this file belongs to. */
export const distDir = fileURLToPath(new URL('../..', import.meta.url));

/** All that the simulator reaches. */
const folders = [
  'diagnosis',
  'egress',
  'encode',
  'fault-client',
  'gate',
  'policy',
  'ring',
  'shared',
  'sim',
  'stage',
  'supervisor',
];

export interface PatchedCopy {
  /** Its counterpart of `dist`. */
  readonly dir: string;
  remove(): Promise<void>;
}

/** A copy of the compiled package with the patches applied. `mutant` names them in what goes wrong. */
export async function patchedCopy(
  mutant: string,
  patches: readonly Patch[],
  dist = distDir,
): Promise<PatchedCopy> {
  const dir = await mkdtemp(join(tmpdir(), 'ackgate-mutant-'));
  const remove = () => rm(dir, { recursive: true, force: true });
  try {
    await cp(dist, dir, { recursive: true, filter: (from) => isNeeded(dist, from) });
    await writeFile(join(dir, 'package.json'), '{"type":"module"}\n');
    for (const patch of patches) {
      const file = join(dir, patch.file);
      const text = existsSync(file) ? await readFile(file, 'utf8') : '';
      await writeFile(file, applyPatch(mutant, text, patch));
    }
    return { dir, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function isNeeded(dist: string, from: string): boolean {
  const path = relative(dist, from);
  if (path.endsWith('.js') || path === '') return true;
  // Folders have no dot in their names.
  return !path.includes('.') && folders.includes(path.split(sep)[0]);
}
