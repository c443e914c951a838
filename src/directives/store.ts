import type { Directive, DirectiveStore } from '../diagnosis/directive.js';
import { AckgateError } from '../errors.js';

/** On which condition a set is published. */
export interface PublishOptions {
  /**
   * Only if this is still the revision in force, 0 for none; otherwise `ERR_ACKGATE_DIRECTIVES_STALE`, and nothing changes
   * (default: whatever is in force).
   */
  readonly ifRevision?: number;
}

/** A store whose set can be changed. */
export interface PublishableStore extends DirectiveStore {
  /**
   * Puts this set in the place of the one in force, all at once; an empty one clears. Returns the new revision.
   *
   * @throws ERR_ACKGATE_DIRECTIVES_INVALID with the first fault as `slug`, ERR_ACKGATE_DIRECTIVES_STALE
   */
  publish(directives: readonly Directive[], options?: PublishOptions): number | Promise<number>;
}

export function staleError(asked: number): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_DIRECTIVES_STALE',
    `ifRevision ${asked} is not the revision in force any more: look at the set in force, then publish again`,
  );
}
