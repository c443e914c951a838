import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';

/**
 * The directives that are on, as JSON, each with its remaining time twice: `ttlSecs`, rounded up, for people, and
 * `expiresAt`. `decodeDirectives` takes the text as it is and gives the same set with the same ends, however often and
 * however late, as long as none of them is over.
 */
export function encodeDirectives(snapshot: Pick<DirectiveSnapshot, 'directives'>, nowMs: number): string {
  const directives = snapshot.directives
    .filter(({ expiresAt }) => nowMs < expiresAt)
    .map(({ id, level, ...rest }) => {
      const ttlSecs = Math.ceil((rest.expiresAt - nowMs) / 1000);
      return { id, level, ttlSecs, ...rest };
    });
  return JSON.stringify({ directives });
}

/** The form in which a distributed store keeps a set: absolute ends only, those that are over too. */
export function encodeKeptDirectives(directives: readonly Directive[]): string {
  return JSON.stringify({ directives });
}
