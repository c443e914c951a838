import { z } from 'zod';
import { directivesMax, kindNumber } from '../diagnosis/compiled-directives.js';
import type { Directive } from '../diagnosis/directive.js';
import { diagnosisLevels } from '../diagnosis/levels.js';
import { argument, integer } from '../shared/checks.js';
import { type DirectiveFault, type DirectiveSlug, directiveSlugs } from './fault.js';

/** No directive lasts longer. */
export const ttlSecsMax = 24 * 60 * 60;
const charsMax = 64;

/** The names of an application's kinds of record, with their numbers. */
export type Kinds = Readonly<Record<string, number>>;

/** Throws for what can't be names: undefined is none. */
export function checkKinds(kinds: unknown): void {
  if (kinds === undefined) return;
  if (typeof kinds !== 'object' || kinds === null) throw argument('kinds', 'an object of numbers');
  for (const [name, number] of Object.entries(kinds)) integer(`kinds.${name}`, number, 0, 0xffff);
}

/** How times are given: relative or absolute and in the future, or absolute only and perhaps over. */
export type TimeForm = 'asked' | 'kept';

export interface SetRules {
  readonly nowMs: number;
  /** Undefined: any name will do. */
  readonly kinds: Kinds | undefined;
  readonly times: TimeForm;
}

/** Directives as they came, and what is wrong with the first one that is faulty. */
export type CheckedSet = { readonly directives: readonly Directive[] } | DirectiveFault;

// The message of each issue is its slug, so that the shape below is all there is to say about the fields.

/** Half a surrogate pair has no bytes of its own in UTF-8: two different texts would be sampled or matched alike. */
const wellFormed = (text: string) => !/\p{Surrogate}/u.test(text);

const text = (fault: DirectiveSlug, least: number) =>
  z.string(fault).min(least, fault).max(charsMax, fault).refine(wellFormed, fault);

const fields = {
  id: text('missing_id', 1),
  level: z.enum(diagnosisLevels, {
    error: ({ input }) => (input === undefined ? 'missing_level' : 'unknown_level') satisfies DirectiveSlug,
  }),
  /** Looked at by `timeFaults`: what is right depends on the time and on each other. */
  expiresAt: z.unknown().optional(),
  // Exactly optional: an undefined target is one that got lost on the way, and must not widen the directive.
  tenant: z.exactOptional(text('bad_target', 1)),
  connection: z.exactOptional(z.int(slug('bad_target')).min(1, slug('bad_target'))),
  kind: z.exactOptional(z.string(slug('bad_target'))),
  samplePerMille: z.exactOptional(
    z.int(slug('bad_sample_rate')).min(0, slug('bad_sample_rate')).max(1000, slug('bad_sample_rate')),
  ),
  salt: z.exactOptional(text('bad_sample_rate', 0)),
};

const forms = {
  asked: strict({ ...fields, ttlSecs: z.unknown().optional() }),
  kept: strict(fields),
};

const list = z.array(z.unknown(), slug('missing_directives')).max(directivesMax, slug('too_many'));
const frame = strict({ directives: list });

/** Has its spelling checked by the compiler. */
function slug(name: DirectiveSlug): DirectiveSlug {
  return name;
}

function strict<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: ({ code }) => slug(code === 'unrecognized_keys' ? 'unknown_field' : 'not_an_object'),
  });
}

/** A set in its frame, as it is sent. */
export function checkFrame(value: unknown, rules: SetRules): CheckedSet {
  const framed = frame.safeParse(value);
  if (!framed.success) return { slug: firstOf(slugsOf(framed.error)), index: -1 };
  return checkEach(framed.data.directives, rules);
}

/** A set as it is in code. */
export function checkList(value: unknown, rules: SetRules): CheckedSet {
  const listed = list.safeParse(value);
  if (!listed.success) return { slug: firstOf(slugsOf(listed.error)), index: -1 };
  return checkEach(listed.data, rules);
}

function checkEach(values: readonly unknown[], rules: SetRules): CheckedSet {
  const directives: Directive[] = [];
  const ids = new Set<unknown>();
  for (const [index, value] of values.entries()) {
    const checked = checkOne(value, ids, rules);
    if (typeof checked === 'string') return { slug: checked, index };
    ids.add(checked.id);
    directives.push(checked);
  }
  return { directives };
}

function checkOne(value: unknown, ids: ReadonlySet<unknown>, rules: SetRules): Directive | DirectiveSlug {
  const shaped = forms[rules.times].safeParse(value);
  // Of something that is not an object at all, nothing else is to be said.
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not_an_object';
  const { id, kind, expiresAt, ttlSecs } = value as Record<string, unknown>;
  const faults = shaped.success ? [] : slugsOf(shaped.error);
  if (ids.has(id)) faults.push('duplicate_id');
  faults.push(...timeFaults(ttlSecs, expiresAt, rules));
  if (typeof kind === 'string' && !knows(rules.kinds, kind)) faults.push('unknown_kind');
  if (faults.length > 0 || !shaped.success) return firstOf(faults);
  const { ttlSecs: _, ...rest } = shaped.data as Directive & { ttlSecs?: unknown };
  return { ...rest, expiresAt: endOf(ttlSecs, expiresAt, rules.nowMs) };
}

function knows(kinds: Kinds | undefined, name: string): boolean {
  return kinds === undefined ? name.length >= 1 && name.length <= charsMax : kindNumber(kinds, name) >= 0;
}

function timeFaults(ttlSecs: unknown, expiresAt: unknown, { nowMs, times }: SetRules): DirectiveSlug[] {
  if (expiresAt === undefined && (times === 'kept' || ttlSecs === undefined)) return ['missing_ttl'];
  // What is kept may be over: it is off then, and its neighbours hold.
  const begin = times === 'kept' ? Number.NEGATIVE_INFINITY : nowMs;
  const faults = [
    expiresAt === undefined ? null : timeFault(expiresAt, begin, nowMs + ttlSecsMax * 1000),
    ttlSecs === undefined ? null : timeFault(ttlSecs, 0, ttlSecsMax),
  ];
  return faults.filter((fault) => fault !== null);
}

function timeFault(value: unknown, begin: number, end: number): DirectiveSlug | null {
  // JSON's 1e999.
  const isWhole = Number.isInteger(value) || value === Number.POSITIVE_INFINITY;
  if (!isWhole) return 'missing_ttl';
  const time = value as number;
  return time <= begin ? 'zero_ttl' : time > end ? 'ttl_too_long' : null;
}

/** Of two times the earlier one counts, so that what was listed can be published as it is, and no longer. */
function endOf(ttlSecs: unknown, expiresAt: unknown, nowMs: number): number {
  const never = Number.POSITIVE_INFINITY;
  const relative = typeof ttlSecs === 'number' ? nowMs + ttlSecs * 1000 : never;
  return Math.min(relative, typeof expiresAt === 'number' ? expiresAt : never);
}

function slugsOf(error: z.ZodError): DirectiveSlug[] {
  return error.issues.map(({ message }) => message as DirectiveSlug);
}

function firstOf(faults: readonly DirectiveSlug[]): DirectiveSlug {
  return directiveSlugs[Math.min(...faults.map((fault) => directiveSlugs.indexOf(fault)))];
}
