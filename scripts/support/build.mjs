import { runNode } from './run.mjs';
import { typescriptProject } from './typescript.mjs';

/** Compiles the TypeScript sources when a file has changed. Returns false when the compiler complained. */
export async function buildTypescript(say) {
  const project = typescriptProject();
  if (!project.stale()) return true;
  say('compiling TypeScript');
  const ok = await project.build();
  if (!ok) say('TypeScript did not compile');
  return ok;
}

/** Builds the addon when a file has changed. Returns false when that failed. */
export async function buildAddon(say) {
  const { code } = await runNode('scripts/build-native.mjs', [], { output: 'stderr', timeoutMs: 600_000 });
  if (code !== 0) say('the addon did not build');
  return code === 0;
}
