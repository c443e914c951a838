import { bundleCharts } from './charts-bundle.mjs';
import { bundlePage } from './page-bundle.mjs';
import { runNode } from './run.mjs';
import { compile, isStale, projects, removeOrphans } from './typescript.mjs';

/** Compiles what has changed of the TypeScript sources. Returns false when the compiler complained. */
export async function buildTypescript(say) {
  let ok = true;
  for (const project of projects.filter((one) => isStale(one))) {
    say(`compiling ${project.sources}`);
    if (await compile(project)) continue;
    say(`${project.sources} did not compile`);
    ok = false;
  }
  removeOrphans();
  await bundleCharts(say);
  await bundlePage(say);
  return ok;
}

/** Builds the addon when a file has changed. Returns false when that failed. */
export async function buildAddon(say) {
  const { code } = await runNode('scripts/build-native.mjs', [], { output: 'stderr', timeoutMs: 600_000 });
  if (code !== 0) say('the addon did not build');
  return code === 0;
}
