import type { Directive } from '../diagnosis/directive.js';
import { argument, checkKeys } from '../shared/checks.js';
import { parseJson } from '../shared/parse-json.js';
import type { DirectiveFault, DirectiveSlug } from './fault.js';
import { checkFrame, checkKinds, type Kinds, type SetRules, type TimeForm } from './shape.js';
import { frozenDirectives } from './snapshot.js';

/** The largest set that can be right is smaller, however its texts are escaped. */
const textCharsMax = 1 << 20;

/** By which clock and names a set is read: `decodeDirectives`. */
export interface DecodeOptions {
  /** The time now in unix milliseconds, from which `ttlSecs` counts. */
  readonly nowMs: number;
  /**
   * The application's names for its kinds of record (default none: they are called by their numbers, `"0"` to
   * `"65535"`). A directive for another name is refused.
   */
  readonly kinds?: Kinds;
}

/** The set, frozen; or the first thing that is wrong with it. */
export type DecodedDirectives =
  | {
      /** The set, frozen, in the order given. */
      readonly directives: readonly Directive[];
    }
  | {
      /** What is wrong; nothing of the set is taken. */
      readonly slug: DirectiveSlug;
    };

/**
 * Reads a set of directives as an operator sends it: `{"directives": [{ id, level, ttlSecs | expiresAt, … }]}`. It is
 * taken whole or not at all, and what is wrong is told by a fixed word, never by the value. Never throws for the text.
 *
 * With both `ttlSecs` and `expiresAt` the earlier one counts: that is how `encodeDirectives` writes them.
 *
 * @throws ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE for options
 */
export function decodeDirectives(text: string | Uint8Array, options: DecodeOptions): DecodedDirectives {
  checkKeys('decode options', options, ['nowMs', 'kinds']);
  if (typeof options.nowMs !== 'number') throw argument('nowMs', 'unix milliseconds, a number');
  checkKinds(options.kinds);
  const decoded = decodeAsked(text, options);
  return 'slug' in decoded ? { slug: decoded.slug } : decoded;
}

/** As `decodeDirectives`, and says which directive is at fault. */
export function decodeAsked(
  text: string | Uint8Array,
  options: DecodeOptions,
): { readonly directives: readonly Directive[] } | DirectiveFault {
  return decode(text, options, 'asked');
}

/**
 * Reads a set as a distributed store keeps it (`encodeKeptDirectives`): times are absolute, for a relative one would
 * begin anew with every reading; and a directive whose time is over is no fault.
 */
export function decodeKept(
  text: string | Uint8Array,
  options: DecodeOptions,
): { readonly directives: readonly Directive[] } | DirectiveFault {
  return decode(text, options, 'kept');
}

function decode(text: string | Uint8Array, { nowMs, kinds = {} }: DecodeOptions, times: TimeForm) {
  if (typeof text !== 'string' && !(text instanceof Uint8Array)) return setFault('invalid_json');
  if (text.length > textCharsMax) return setFault('too_many');
  const value = parseJson(text);
  if (value === undefined) return setFault('invalid_json');
  const rules: SetRules = { nowMs, kinds, times };
  const checked = checkFrame(value, rules);
  return 'slug' in checked ? checked : { directives: frozenDirectives(checked.directives) };
}

function setFault(slug: DirectiveSlug): DirectiveFault {
  return { slug, index: -1 };
}
