import { isFresh } from '../binaries/build.mjs';
import { ownTarget, targets } from '../binaries/targets.mjs';
import { buildTypescript } from '../build.mjs';
import { root, runNode } from '../run.mjs';
import { isStale, orphans, projects } from '../typescript.mjs';

/** The names of the targets whose binaries can be made here: this machine's own, if there is one. */
export const ownTargets = () =>
  [ownTarget()].filter((target) => target !== undefined).map(({ name }) => name);

/** What is wrong with the binary for a target, or null. */
export function binaryProblem(name, top = root) {
  const target = targets.find((one) => one.name === name);
  if (isFresh(target, top)) return null;
  const how = target === ownTarget() ? '' : ` -- --target ${name}`;
  return `${target.file} is not there, or older than what it is made of: npm run binaries${how}`;
}

/** Why packing now would pack something else than the sources say, as sentences; none when all is built. */
export function unready(names) {
  return [
    ...projects
      .filter((project) => isStale(project))
      .map(({ sources, output }) => `${output} is not what ${sources} compiles to: npm run build`),
    ...orphans().map((path) => `${path} has no source any more: npm run build`),
    ...names.map((name) => binaryProblem(name)).filter((problem) => problem !== null),
  ];
}

/** Builds what is stale, of the binaries only this machine's. Returns what is still wrong. */
export async function makeReady(names) {
  const say = (line) => console.error(`package: ${line}`);
  await buildTypescript(say);
  if (ownTargets().some((name) => binaryProblem(name) !== null)) {
    say("building this machine's binary");
    await runNode('scripts/binaries.mjs', [], { output: 'stderr', timeoutMs: 600_000 });
  }
  return unready(names);
}
