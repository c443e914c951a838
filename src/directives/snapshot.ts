import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';
import { checkKeys, optionalFunction } from '../shared/checks.js';
import { directivesError } from './fault.js';
import { checkKinds, checkList, type Kinds } from './shape.js';

/** Before anything was published. */
export const emptySnapshot: DirectiveSnapshot = snapshotOf(0, []);

export function snapshotOf(revision: number, directives: readonly Directive[]): DirectiveSnapshot {
  return Object.freeze({ revision, directives: frozenDirectives(directives) });
}

/** A copy that nobody can change. */
export function frozenDirectives(directives: readonly Directive[]): readonly Directive[] {
  return Object.freeze(directives.map((directive) => Object.freeze({ ...directive })));
}

/** What a store checks its directives by. */
export interface StoreOptions {
  /**
   * The application's names for its kinds of record (default none: they are called by their numbers, `"0"` to
   * `"65535"`). A directive for another name is refused.
   */
  readonly kinds?: Kinds;
  /** The time in unix milliseconds (default `Date.now`). */
  readonly now?: () => number;
}

export function checkStoreOptions(options: StoreOptions): void {
  checkKeys('store options', options, ['kinds', 'now']);
  checkKinds(options.kinds);
  optionalFunction('now', options.now);
}

/** The same rules as for a set that is sent, except that a directive may be over. Throws a `DirectivesError`. */
export function checkedDirectives(
  value: unknown,
  { kinds = {}, now = Date.now }: StoreOptions,
): readonly Directive[] {
  const checked = checkList(value, { nowMs: now(), kinds, times: 'kept' });
  if ('slug' in checked) throw directivesError(checked);
  return frozenDirectives(checked.directives);
}
