import { z } from 'zod';
import { sizeClasses } from './config.js';
import { operations } from './driver.js';
import { findingIds } from './findings.js';

type Issue = { readonly input?: unknown };
const expected = (what: string) => ({ error: ({ input }: Issue) => `must be ${what}, got ${shown(input)}` });

/** Ends included, unless `above` or `below` is given in place of one. */
interface Range {
  readonly min?: number;
  readonly above?: number;
  readonly max?: number;
  readonly below?: number;
}

function number(range: Range, kind: 'number' | 'integer' = 'number') {
  const { min, above, max, below } = range;
  const low = above === undefined ? `from ${min} on` : `above ${above}`;
  const high = max === undefined && below === undefined ? '' : bound(range);
  const article = kind === 'integer' ? 'an integer' : 'a number';
  const rule = expected(
    high === '' || above !== undefined || below !== undefined
      ? `${article} ${low}${high}`
      : `${article} from ${min} to ${max}`,
  );
  let field = kind === 'integer' ? z.int(rule) : z.number(rule);
  if (min !== undefined) field = field.min(min, rule);
  if (above !== undefined) field = field.gt(above, rule);
  if (max !== undefined) field = field.max(max, rule);
  if (below !== undefined) field = field.lt(below, rule);
  return field.optional();
}

const bound = ({ max, below }: Range): string =>
  below === undefined ? ` and at most ${max}` : ` and below ${below}`;
const integer = (min: number, max: number) => number({ min, max }, 'integer');
const positiveBytes = number({ above: 0, max: Number.MAX_SAFE_INTEGER });

function object<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const names = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: ({ code, input }) =>
      code === 'unrecognized_keys' ? `: known are ${names}` : `must be an object, got ${shown(input)}`,
  });
}

const weight = number({ min: 0, max: 1 });
const weights = <Name extends string>(names: readonly Name[]) =>
  object(Object.fromEntries(names.map((name) => [name, weight])) as Record<Name, typeof weight>).optional();

const perMinute = number({ min: 0, max: 6000 });

const serverChaos = object({
  fault: z.string(expected("the name of one of the driver's faults")).min(1).max(64),
  everySeconds: number({ min: 0.1, max: 604_800 }).unwrap(),
  forMs: number({ min: 1, max: 600_000 }).unwrap(),
}).refine(({ everySeconds, forMs }) => forMs < everySeconds * 1000, {
  path: ['forMs'],
  error: 'must be less than everySeconds, in milliseconds: a fault ends before it begins again',
});

const closedLoad = object({
  /** 0: none. */
  requests: integer(0, 100_000_000),
  concurrency: integer(1, 1024),
}).optional();

const thresholds = object({
  idleRssBytesMax: positiveBytes,
  growthRatioMax: number({ min: 1, max: 1000 }),
  growthBytesMax: positiveBytes,
  plateauRatioMax: number({ above: 0, max: 1000 }),
  plateauBytesMax: positiveBytes,
  bytesPerRequestMax: positiveBytes,
  bytesPerRequestFromRequests: integer(1, 1_000_000_000),
  leakBytesPerHourMax: positiveBytes,
  secondHalfBytesPerHourMax: positiveBytes.unwrap().nullable().optional(),
  leakCountPerHourMax: number({ above: 0, max: 1_000_000 }),
  leakR2Min: number({ above: 0, below: 1 }),
  // Any two points lie on a line.
  leakWindowsMin: integer(3, 2000),
  leakGrowthBytesMin: number({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  leakGrowthCountMin: number({ min: 0, max: 1_000_000 }),
  slowdownRatioMax: number({ above: 1, max: 1000 }),
  slowdownWindowsMin: integer(1, 1000),
  windowAnswersMin: integer(1, 1_000_000_000),
  successShareMin: number({ above: 0, max: 1 }),
  peakBytesMax: positiveBytes,
}).optional();

const finding = z.enum(findingIds, expected(`a finding: ${findingIds.join(', ')}`));

/** As a configuration is written: every field may be missing, unknown ones may not be there. */
export const configSchema = object({
  scenario: z
    .string(expected('a name'))
    .regex(/^\w[\w.-]{0,63}$/, expected('a name of letters, digits, ".", "-" and "_", 64 at most'))
    .optional(),
  // A timer of Node takes 24 days.
  durationSeconds: number({ min: 1, max: 2_000_000 }),
  warmupSeconds: number({ min: 0, max: 2_000_000 }),
  sampleSeconds: number({ min: 0.1, max: 3600 }),
  settleSeconds: number({ min: 0, max: 600 }),
  readySeconds: number({ min: 0.1, max: 600 }),
  requestsPerSecond: number({ min: 0.1, max: 100_000 }),
  clients: integer(1, 10_000),
  requestTimeoutMs: number({ min: 1, max: 600_000 }),
  mix: weights(operations),
  sizes: weights(sizeClasses),
  chaos: object({
    disconnectsPerClientMinute: weight,
    reconnectDelayMs: number({ min: 0, max: 600_000 }),
    slowReadersPerMinute: perMinute,
    stuckReadersPerMinute: perMinute,
    halfFramesPerMinute: perMinute,
    server: z
      .array(serverChaos, expected('a list of faults'))
      .max(16, expected('a list of at most 16'))
      .optional(),
  }).optional(),
  footprint: closedLoad,
  burst: closedLoad,
  thresholds,
  required: z.array(finding, expected('a list of findings')).optional(),
  seed: integer(0, 0xffff_ffff),
});

/** A value of whatever kind, briefly. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}
