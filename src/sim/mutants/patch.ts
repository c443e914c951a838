import { AckgateError } from '../../errors.js';

/** An edit of one compiled file. */
export interface Patch {
  /** Path below `dist`, such as `egress/egress.js`. */
  readonly file: string;
  /** Text that stands there exactly once; any white space in it stands for any other. */
  readonly find: string;
  readonly replace: string;
}

/**
 * The text with the patch applied.
 *
 * Throws `ERR_ACKGATE_INVALID_ARGUMENT` when `find` does not stand there exactly once: the code has changed since the
 * patch was written, and what it would test now is unknown.
 */
export function applyPatch(mutant: string, text: string, { file, find, replace }: Patch): string {
  const pattern = find
    .trim()
    .split(/\s+/)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('\\s+');
  const places = [...text.matchAll(new RegExp(pattern, 'g'))];
  const place = places[0];
  if (places.length !== 1 || place === undefined) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `the patch of ${mutant} to ${file} is stale: its text stands there ${places.length} times, and must stand ` +
        `there once. Fit it to the code. It looks for: ${find.trim().split('\n', 1)[0]}`,
    );
  }
  return text.slice(0, place.index) + replace + text.slice(place.index + place[0].length);
}
