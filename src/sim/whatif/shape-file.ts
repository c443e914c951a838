import { z } from 'zod';
import { AckgateError, AckgateRangeError } from '../../errors.js';
import type { QuantilePoint } from '../distributions.js';
import { type Component, components, type Shapes } from './components.js';

/** What a file of distributions holds: recorded, or written by hand. */
export interface DistributionFile {
  /** Version of the format. */
  readonly format: 'ackgate-distributions/1';
  /** What was recorded, where and how; printed with the results. */
  readonly about: string;
  /** A distribution for each component that was recorded. */
  readonly distributions: Shapes;
}

export const distributionFormat = 'ackgate-distributions/1';

/** Two neighbours of a quantile table are at most so far apart, and the last but one is at least here. */
const shareStepMax = 0.25;
const tailShareMin = 0.99;

const nanoseconds = z.number().min(0);

const quantilesNs = z
  .array(z.tuple([z.number().min(0).max(1), nanoseconds]))
  .superRefine((points, context) => {
    const fault = tableFault(points);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  });

/** What is wrong with a table, and what would be right; null when nothing is. */
function tableFault(points: readonly QuantilePoint[]): string | null {
  if (points.length < 2) return 'must have at least two points, [0, shortest] and [1, longest]';
  if (points[0][0] !== 0) return `has a gap: it must begin with the share 0, not ${points[0][0]}`;
  const last = points[points.length - 1];
  if (last[0] !== 1) return `has a gap: it must end with the share 1, not ${last[0]}`;
  for (let i = 1; i < points.length; i++) {
    const [before, nsBefore] = points[i - 1];
    const [share, ns] = points[i];
    if (share <= before) return `must have rising shares: ${share} comes after ${before}`;
    if (ns < nsBefore)
      return `must not fall: ${ns} ns at the share ${share} is less than ${nsBefore} ns at ${before}`;
    if (share - before > shareStepMax + 1e-9) {
      return `has a gap from the share ${before} to ${share}: neighbours may be ${shareStepMax} apart at most`;
    }
  }
  const tail = points[points.length - 2][0];
  if (tail < tailShareMin) {
    return `has a gap from the share ${tail} to 1: give a point from ${tailShareMin} on, or no p99 can be told`;
  }
  return null;
}

/** The ways to write a distribution: an object with one of these keys. */
const kinds = {
  fixedNs: nanoseconds,
  uniformNs: z
    .tuple([nanoseconds, nanoseconds])
    .refine(([low, high]) => low <= high, 'must be [lowest, highest]'),
  exponentialNs: z.strictObject({ low: nanoseconds, mean: nanoseconds }),
  quantilesNs,
  replayNs: z.array(nanoseconds).min(1),
  atNs: z.array(nanoseconds).min(1),
} as const;

const kindNames = Object.keys(kinds)
  .filter((kind) => kind !== 'atNs')
  .join(', ');

// Not a union: the error of a union does not say which of its ways was meant.
const shape = z.record(z.string(), z.unknown()).superRefine((value, context) => {
  const keys = Object.keys(value).filter((key) => key !== 'atNs' || !('replayNs' in value));
  const [key] = keys;
  if (keys.length !== 1 || key === 'atNs' || !Object.hasOwn(kinds, key)) {
    const found = keys.length === 0 ? 'nothing' : keys.join(', ');
    context.addIssue({
      code: 'custom',
      message: `must be an object with one of ${kindNames}, found ${found}`,
    });
    return;
  }
  for (const part of Object.keys(value)) {
    const inner = kinds[part as keyof typeof kinds].safeParse(value[part]);
    for (const issue of inner.error?.issues ?? []) {
      context.addIssue({
        code: 'custom',
        message: issue.message,
        path: [part, ...issue.path],
        params: issue,
      });
    }
    if (inner.error !== undefined) return;
  }
  const { replayNs, atNs } = value as { replayNs?: number[]; atNs?: number[] };
  if (atNs === undefined || replayNs === undefined) return;
  const fault =
    atNs.length !== replayNs.length
      ? `must have a time for each of the ${replayNs.length} latencies of replayNs, not ${atNs.length}`
      : atNs.some((ns, i) => i > 0 && ns < atNs[i - 1])
        ? 'must not fall'
        : null;
  if (fault !== null) context.addIssue({ code: 'custom', message: fault, path: ['atNs'] });
});

/** Every component, each of them optional. */
const shapesSchema = z.strictObject(
  Object.fromEntries(components.map((name) => [name, shape.optional()])) as Record<
    Component,
    z.ZodOptional<typeof shape>
  >,
);

const fileSchema = z.strictObject({
  format: z.literal(distributionFormat),
  about: z.string(),
  distributions: shapesSchema,
});

/**
 * Reads a file of distributions.
 *
 * @param name of the file, for the error
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_UNKNOWN_OPTION; the message names the
 *   place in the file and what would be valid
 */
export function parseDistributions(text: string, name: string): DistributionFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${name} is not JSON: ${(error as Error).message}; it must be an object { format: "${distributionFormat}", ` +
        'about, distributions }',
    );
  }
  const file = fileSchema.safeParse(value);
  if (file.success) return file.data as DistributionFile;
  throw wrongInput(file.error, name);
}

/** The first thing that is wrong, with its place and what would be valid, as one of our errors. */
function wrongInput(error: z.ZodError, what: string): AckgateError | AckgateRangeError {
  const [issue] = error.issues;
  const at = [
    what,
    ...issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)),
  ].join('');
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => `"${key}"`).join(', ');
    const hint = issue.path.at(-1) === 'distributions' ? `: known are ${components.join(', ')}` : '';
    return new AckgateError('ERR_ACKGATE_UNKNOWN_OPTION', `unknown ${names} in ${at}${hint}`);
  }
  const inner = issue.code === 'custom' ? (issue.params as z.core.$ZodIssue | undefined) : issue;
  const message = `${at}: ${issue.message}`;
  return inner?.code === 'too_small' || inner?.code === 'too_big'
    ? new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', message)
    : new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
}

/** The same check for an object in memory. */
export function checkShapes(file: unknown): DistributionFile {
  const checked = fileSchema.safeParse(file);
  if (!checked.success) throw wrongInput(checked.error, 'distributions');
  return checked.data as unknown as DistributionFile;
}
