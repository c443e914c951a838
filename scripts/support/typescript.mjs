import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root, runNode } from './run.mjs';

/** Files below `folder` with one of the endings, as sorted paths relative to it. */
function filesBelow(folder, endings) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .sort();
}

const outputEndings = ['.js', '.js.map', '.d.ts'];
const outputsOf = (source) => outputEndings.map((ending) => source.replace(/\.ts$/, ending));

/** What the compiler reads and writes in a project folder. */
export function typescriptProject(folder = root) {
  const paths = {
    src: join(folder, 'src'),
    dist: join(folder, 'dist'),
    // Inside node_modules: a new installation may bring another compiler, and takes the stamp away with it.
    stamp: join(folder, 'node_modules/.cache/ackgate/typescript.sha256'),
  };
  const sources = filesBelow(paths.src, ['.ts']);
  const expected = new Set(sources.flatMap(outputsOf));

  const digest = () => {
    const hash = createHash('sha256');
    for (const path of ['package.json', 'tsconfig.json', ...sources.map((name) => join('src', name))]) {
      hash
        .update(`${path}\0`)
        .update(readFileSync(join(folder, path)))
        .update('\0');
    }
    return hash.digest('hex');
  };

  /** Outputs whose source is gone; a folder that only held such files is left empty, which hurts nobody. */
  const orphans = () => filesBelow(paths.dist, outputEndings).filter((name) => !expected.has(name));

  const outputsCurrent = () =>
    sources.every((source) => {
      const changed = statSync(join(paths.src, source)).mtimeMs;
      return outputsOf(source).every((name) => {
        const output = statSync(join(paths.dist, name), { throwIfNoEntry: false });
        return output !== undefined && output.mtimeMs >= changed;
      });
    });

  return {
    /**
     * The digest sees a source replaced by an older file; the times see a compiler run by hand on sources that have
     * since been put back.
     */
    stale: () =>
      !existsSync(paths.stamp) ||
      !outputsCurrent() ||
      orphans().length > 0 ||
      readFileSync(paths.stamp, 'utf8') !== digest(),

    /** Compiles; returns false when the compiler complained (it writes what it can all the same). */
    async build() {
      rmSync(paths.stamp, { force: true });
      const before = digest();
      const { code } = await runNode(join(root, 'node_modules/typescript/bin/tsc'), ['-p', folder], {
        output: 'stderr',
      });
      for (const name of orphans()) rmSync(join(paths.dist, name));
      if (code !== 0) return false;
      mkdirSync(dirname(paths.stamp), { recursive: true });
      writeFileSync(paths.stamp, before);
      return true;
    },
  };
}
