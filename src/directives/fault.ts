import { AckgateError } from '../errors.js';

/**
 * What can be wrong with a set of directives. Within a directive, and within the frame around them, the fault that
 * comes first here wins; see docs/DIRECTIVES.md.
 */
export const directiveSlugs = [
  'invalid_json',
  'not_an_object',
  'unknown_field',
  'missing_directives',
  'missing_id',
  'duplicate_id',
  'missing_level',
  'unknown_level',
  'missing_ttl',
  'zero_ttl',
  'ttl_too_long',
  'bad_sample_rate',
  'bad_target',
  'unknown_kind',
  'too_many',
] as const;

/** One of `directiveSlugs`. */
export type DirectiveSlug = (typeof directiveSlugs)[number];

/** The first fault of a set. */
export interface DirectiveFault {
  /** What is wrong, in a fixed word; see the table in docs/DIRECTIVES.md. */
  readonly slug: DirectiveSlug;
  /** Which directive, from 0; -1 when it is the set itself. */
  readonly index: number;
}

/** An `AckgateError` about a set of directives. */
export interface DirectivesError extends AckgateError, DirectiveFault {}

const advice: Readonly<Record<DirectiveSlug, string>> = {
  invalid_json: 'must be JSON in which no name is repeated',
  not_an_object: 'must be an object',
  unknown_field: 'has a field that does not exist',
  missing_directives: 'must be an array of directives',
  missing_id: 'must have an id, a text of 1 to 64 characters',
  duplicate_id: 'has the id of an earlier one',
  missing_level: 'must have a level',
  unknown_level: 'must have one of the levels off, shape, timing, capture',
  missing_ttl: 'must say when it ends, in whole seconds from now or unix milliseconds',
  zero_ttl: 'has ended already',
  ttl_too_long: 'must end within 24 hours',
  bad_sample_rate: 'must have a samplePerMille from 0 to 1000, and a salt of at most 64 characters',
  bad_target:
    'must have targets of the right type: tenant 1 to 64 characters, connection from 1 on, kind a text',
  unknown_kind: 'must have a kind that the application knows',
  too_many: 'must be at most 256 directives, and at most 1 Mi characters',
};

// A plain AckgateError with two more own properties, not a subclass: `instanceof` goes by brand and could not tell
// the two apart. Never the value: it may be a customer's name, and it ends up in logs.
export function directivesError(fault: DirectiveFault, what = 'directives'): DirectivesError {
  const { slug, index } = fault;
  const error = new AckgateError('ERR_ACKGATE_DIRECTIVES_INVALID', `${faultText(fault, what)} (${slug})`);
  return Object.assign(error, { slug, index });
}

/** Which directive is at fault, and what it must be. */
export function faultText({ slug, index }: DirectiveFault, what = 'directives'): string {
  return `${index < 0 ? what : `${what}[${index}]`} ${advice[slug]}`;
}

export function isDirectiveSlug(value: unknown): value is DirectiveSlug {
  return (directiveSlugs as readonly unknown[]).includes(value);
}
