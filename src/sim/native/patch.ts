import { AckgateError } from '../../errors.js';

/** An edit of one source file. */
export interface Patch {
  /** Path in the package, such as `native/uring_sender.cc`. */
  file: string;
  /** Text that stands there exactly once. */
  find: string;
  replace: string;
}

/**
 * Edits sources, given by their paths below `native/`, in place.
 *
 * Throws `ERR_ACKGATE_INVALID_ARGUMENT` when a text is not found exactly once: the sources have changed since the patch
 * was written.
 */
export function applyPatches(sources: Map<string, string>, patches: readonly Patch[]): void {
  for (const { file, find, replace } of patches) {
    const name = file.replace(/^native\//, '');
    const before = sources.get(name);
    const parts = before?.split(find) ?? [];
    if (parts.length !== 2) {
      const found =
        before === undefined ? 'there is no such file' : `its text stands there ${parts.length - 1} times`;
      throw new AckgateError(
        'ERR_ACKGATE_INVALID_ARGUMENT',
        `a patch of ${file} is stale (${found}): fit it to the sources. It looks for: ${find.trim().split('\n', 1)[0]}`,
      );
    }
    sources.set(name, parts.join(replace));
  }
}
