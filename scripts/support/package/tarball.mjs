import { readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { root } from '../run.mjs';
import { mustExec } from './exec.mjs';
import {
  declarationProblems,
  fileProblems,
  folderProblems,
  importProblems,
  manifestProblems,
  mapProblems,
  sizeProblems,
  sourceProblems,
} from './rules.mjs';

const bin = (path) => join(root, 'node_modules', path);

/**
 * Packs the tree into `folder`, or takes the tarball that is given, and unpacks it there: `{ file, list, unpacked }`, where
 * `list` is what npm says of it.
 */
export async function pack(folder, npm, given) {
  const what = given === undefined ? ['--pack-destination', folder] : [resolve(given), '--dry-run'];
  const args = [npm, 'pack', '--json', '--loglevel=error', ...what];
  const { stdout } = await mustExec(process.execPath, args, { cwd: root, env: process.env });
  // A script that runs before may have printed something.
  const [list] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  const file = given === undefined ? join(folder, list.filename) : resolve(given);
  await mustExec('tar', ['-xzf', file, '-C', folder], { cwd: folder, env: process.env });
  return { file, list, unpacked: join(folder, 'package') };
}

/** Throws with all of the problems, if there are any. */
function refuse(problems) {
  if (problems.length === 0) return;
  const more = problems.length > 20 ? `\n… and ${problems.length - 20} more` : '';
  throw new Error(problems.slice(0, 20).join('\n') + more);
}

/** Checks of the tarball that need no installation. `names`: targets whose binaries have to be in it. */
export async function inspect({ file, list, unpacked }, names, results) {
  const paths = filesBelow(unpacked);
  const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8'));
  const kB = (bytes) => `${Math.round(bytes / 1000)} kB`;

  await results.check('files of the tarball', () => {
    refuse(fileProblems(paths, names));
    return `${paths.length} files`;
  });
  await results.check('size of the tarball', () => {
    refuse(sizeProblems(list));
    return `${kB(list.size)} packed, ${kB(list.unpackedSize)} unpacked`;
  });
  await results.check('package.json runs nothing at installation and names packed files', () =>
    refuse(manifestProblems(manifest, paths)),
  );
  const read = (path) => readFileSync(join(unpacked, path), 'utf8');
  await results.check(
    'content: what modules name is there, no source maps, no folder of this machine',
    () => {
      const folders = [root.replace(/\/$/, ''), `${homedir()}/`];
      refuse([
        ...importProblems(paths, read),
        ...declarationProblems(manifest, paths, read),
        ...sourceProblems(read('native/binding.gyp'), paths),
        ...paths.flatMap((path) => folderProblems(path, readFileSync(join(unpacked, path)), folders)),
        ...paths.filter((path) => path.endsWith('.js')).flatMap((path) => mapProblems(path, read(path))),
      ]);
    },
  );

  const quiet = { cwd: unpacked, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' } };
  await results.check('publint', async () => {
    const args = [bin('publint/src/cli.js'), file, '--strict'];
    return lastLine((await mustExec(process.execPath, args, quiet)).stdout);
  });
  await results.check('arethetypeswrong, profile esm-only', async () => {
    const options = ['--profile', 'esm-only', '--no-color', '--no-emoji', '--format', 'ascii'];
    const args = [bin('@arethetypeswrong/cli/dist/index.js'), file, ...options];
    const { stdout } = await mustExec(process.execPath, args, quiet);
    return / No problems found.*/.exec(stdout)?.[0].trim();
  });
}

const lastLine = (text) => text.trim().split('\n').at(-1);

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => relative(folder, path))
    .sort();
}
