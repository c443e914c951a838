import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';
import { directivesError } from './fault.js';
import { checkList, type Kinds } from './shape.js';

/** Before anything was published. */
export const emptySnapshot: DirectiveSnapshot = snapshotOf(0, []);

export function snapshotOf(revision: number, directives: readonly Directive[]): DirectiveSnapshot {
  return Object.freeze({ revision, directives: frozenDirectives(directives) });
}

/** A copy that nobody can change. */
export function frozenDirectives(directives: readonly Directive[]): readonly Directive[] {
  return Object.freeze(directives.map((directive) => Object.freeze({ ...directive })));
}

export interface StoreOptions {
  /** The application's kinds of record; without them any name will do, and one that means nothing matches nothing. */
  readonly kinds?: Kinds;
  /** Unix milliseconds (default `Date.now`). */
  readonly now?: () => number;
}

/** The same rules as for a set that is sent, except that a directive may be over. Throws a `DirectivesError`. */
export function checkedDirectives(
  value: unknown,
  { kinds, now = Date.now }: StoreOptions,
): readonly Directive[] {
  const checked = checkList(value, { nowMs: now(), kinds, times: 'kept' });
  if ('slug' in checked) throw directivesError(checked);
  return frozenDirectives(checked.directives);
}
