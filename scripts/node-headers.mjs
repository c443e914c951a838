import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/**
 * The installation that holds the headers of the running Node, or null: with them nothing has to be downloaded.
 * Headers of another major version beside it don't count.
 */
export function nodeDirectory() {
  const prefix = resolve(dirname(process.execPath), '..');
  const header = join(prefix, 'include/node/node_version.h');
  if (!existsSync(header) || !existsSync(join(prefix, 'include/node/common.gypi'))) return null;
  const major = /NODE_MAJOR_VERSION (\d+)/.exec(readFileSync(header, 'utf8'))?.[1];
  return major === process.versions.node.split('.')[0] ? prefix : null;
}

/** Arguments for node-gyp that point it there. */
export function nodeGypArguments() {
  const directory = nodeDirectory();
  return directory === null ? [] : [`--nodedir=${directory}`];
}
