import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { AckgateError } from '../errors.js';
import { messageOf } from './error-text.js';

const runFiles = ['checkpoint.json', 'report.json', 'report.html', 'report.md', 'samples.ndjson'];
const serverPrefix = 'server-';

/**
 * Makes the directory of a run.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT when it can't be made, or has a run in it already
 */
export function prepareDirectory(directory: string): void {
  const used = runFiles.find((name) => existsSync(join(directory, name)));
  if (used !== undefined) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${directory} has another run's ${used}: name another directory, or go on with that run`,
    );
  }
  try {
    makeDirectory(resolve(directory));
  } catch (error) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `the directory ${directory} can't be made: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** One at a time: Node's own recursion never ends in file systems that take no directories, such as `/proc`. */
function makeDirectory(path: string): void {
  if (existsSync(path)) {
    if (!statSync(path).isDirectory()) throw new Error(`${path} is no directory`);
    return;
  }
  makeDirectory(dirname(path));
  mkdirSync(path);
}

/** An empty folder for the server's files, under a name that nobody else has. */
export const makeServerFolder = (directory: string): string =>
  mkdtempSync(join(resolve(directory), serverPrefix));

/** Removes a folder that `makeServerFolder` has made; by its name alone, as the directory may have been moved. */
export function removeServerFolder(directory: string, folder: string): void {
  const name = basename(folder);
  if (!name.startsWith(serverPrefix)) throw new TypeError(`${folder} is no folder of a server`);
  rmSync(join(resolve(directory), name), { recursive: true, force: true });
}
