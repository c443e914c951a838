import type { z } from 'zod';
import { AckgateError, AckgateRangeError } from '../errors.js';
import { type ChaosConfig, type ClosedLoad, type SizeClass, type SoakConfig, sizeClasses } from './config.js';
import { configSchema } from './config-schema.js';
import { type Operation, operations, type SoakDriver } from './driver.js';
import type { FindingId } from './findings.js';
import { leftOut } from './left-out.js';
import {
  fitSample,
  isScenarioName,
  requiredFindings,
  samplesMax,
  scenarioNames,
  soakScenario,
} from './scenarios.js';
import type { Thresholds } from './thresholds.js';

/** As a configuration is written: what is missing comes from the built-in scenario that it names. */
export interface SoakConfigInput
  extends Partial<
    Omit<SoakConfig, 'mix' | 'sizes' | 'chaos' | 'footprint' | 'burst' | 'thresholds' | 'required'>
  > {
  /** Share of each operation, 0 … 1; one that is missing is 0, and they sum to 1. */
  readonly mix?: Partial<SoakConfig['mix']>;
  /** Share of each class of message sizes, 0 … 1; one that is missing is 0, and they sum to 1. */
  readonly sizes?: Partial<SoakConfig['sizes']>;
  /** What happens to the server besides its load. */
  readonly chaos?: Partial<ChaosConfig>;
  /** A load before the warm-up, around which resident memory is read when the server has settled. */
  readonly footprint?: Partial<ClosedLoad>;
  /** A load after that, in which resident memory is read every 2 ms. */
  readonly burst?: Partial<ClosedLoad>;
  /** What the findings are held against. */
  readonly thresholds?: Partial<Thresholds>;
  /** Findings that a run has to make (default: what a run of this length and rate can be expected to find out). */
  readonly required?: readonly FindingId[];
}

/** A number off by less is a sum of rounded weights. */
const sumTolerance = 1e-9;
const baseDefault = 'moderate';
/** A driver that takes less than this never sends one of the class. */
const sizeBytesMin: Readonly<Record<SizeClass, number>> = {
  small: 0,
  medium: 1024,
  large: 100 * 1024,
  huge: 10 * 1024 * 1024 + 1,
};

/**
 * The whole configuration of what was written down. `scenario` says where missing fields come from: one of the built-in
 * scenarios, `moderate` without any; a configuration with a name of its own has to be complete. In `mix` and `sizes`
 * missing weights are 0, and without `required` it is what a run of this length and rate can be expected to find out.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_UNKNOWN_OPTION; the message names the field
 *   by its path, what is allowed and what was given
 */
export function checkSoakConfig(value: unknown): SoakConfig {
  const parsed = configSchema.safeParse(value, { reportInput: true });
  if (!parsed.success) throw wrongField(parsed.error);
  const given = parsed.data;
  const { scenario = baseDefault } = given;
  const base = isScenarioName(scenario)
    ? soakScenario(scenario, defined({ durationSeconds: given.durationSeconds, seed: given.seed }))
    : null;
  const config = base === null ? wholeConfig(given) : overlaid(base, given);
  checkSums(config);
  checkTimes(config);
  checkRequired(config, given.required ?? []);
  return { ...config, required: given.required ?? requiredFindings(config) };
}

type Given = z.output<typeof configSchema>;

/** A configuration with a name of its own has no other place to take a field from. */
function wholeConfig(given: Given): SoakConfig {
  const missing = missingFields(given);
  if (missing.length === 0) return overlaid(soakScenario(baseDefault), given);
  throw new AckgateError(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing: a configuration that is named ` +
      `"${given.scenario}" has to be complete; to fill it up from a built-in one, name that as scenario ` +
      `(${scenarioNames.join(', ')})`,
  );
}

function missingFields(given: Given): string[] {
  const model = soakScenario(baseDefault);
  return Object.entries(model).flatMap(([name, whole]) => {
    if (name === 'required') return [];
    const part = given[name as keyof Given];
    if (part === undefined) return [name];
    const isGroup = name === 'chaos' || name === 'thresholds' || name === 'footprint' || name === 'burst';
    if (!isGroup) return [];
    return Object.keys(whole)
      .filter((key) => (part as Record<string, unknown>)[key] === undefined)
      .map((key) => `${name}.${key}`);
  });
}

function overlaid(base: SoakConfig, given: Given): SoakConfig {
  const { mix, sizes, chaos, footprint, burst, thresholds, required: _, ...plain } = given;
  const whole: SoakConfig = {
    ...base,
    ...defined(plain),
    mix: mix === undefined ? base.mix : filledUp(operations, mix),
    sizes: sizes === undefined ? base.sizes : filledUp(sizeClasses, sizes),
    chaos: { ...base.chaos, ...defined(chaos ?? {}) },
    footprint: { ...base.footprint, ...defined(footprint ?? {}) },
    burst: { ...base.burst, ...defined(burst ?? {}) },
    thresholds: { ...base.thresholds, ...defined(thresholds ?? {}) },
  };
  if (given.sampleSeconds !== undefined || given.warmupSeconds === undefined) return whole;
  const own = soakScenario(base.scenario);
  return { ...whole, sampleSeconds: fitSample(own, whole.durationSeconds, whole.warmupSeconds) };
}

/** Without the fields that are undefined, which would hide those of the base. */
function defined<T extends object>(part: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function filledUp<Name extends string>(
  names: readonly Name[],
  given: Partial<Record<Name, number | undefined>>,
): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, given[name] ?? 0])) as Record<Name, number>;
}

function checkSums(config: SoakConfig): void {
  for (const name of ['mix', 'sizes'] as const) {
    const sum = Object.values(config[name]).reduce((total, part) => total + part, 0);
    if (Math.abs(sum - 1) <= sumTolerance) continue;
    throw outOfRange(`${name}: the weights must sum to 1, they sum to ${Number(sum.toPrecision(12))}`);
  }
}

function checkTimes({ durationSeconds, warmupSeconds, sampleSeconds }: SoakConfig): void {
  if (durationSeconds <= warmupSeconds) {
    throw outOfRange(
      `durationSeconds must be more than warmupSeconds (${warmupSeconds}), which it includes, got ${durationSeconds}`,
    );
  }
  if (sampleSeconds > durationSeconds) {
    throw outOfRange(
      `sampleSeconds must be at most durationSeconds (${durationSeconds}), got ${sampleSeconds}`,
    );
  }
  if (durationSeconds / sampleSeconds <= samplesMax) return;
  const least = Math.ceil((durationSeconds / samplesMax) * 10) / 10;
  throw outOfRange(
    `sampleSeconds ${sampleSeconds} makes more than ${samplesMax} samples in durationSeconds ${durationSeconds}: ` +
      `use ${least} or more`,
  );
}

/** What is asked for by name is never dropped: it has to be there to be judged. */
function checkRequired(config: SoakConfig, required: readonly FindingId[]): void {
  for (const [index, id] of required.entries()) {
    const left = leftOut(id, config);
    if (left === null) continue;
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `required[${index}] is ${id}, which can't be judged, as ${left.by}: change that field, or leave ${id} out`,
    );
  }
}

/** A configuration as this driver can carry it out, and what a reader should know of the difference. */
export interface FittedConfig {
  /** What will be run. */
  readonly config: SoakConfig;
  /** What was left out or cut, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Leaves out what the driver can't do where a built-in scenario asks for it, with a note: weights of operations that the
 * protocol does not have go to the others, in proportion.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT when it was asked for by hand, or nothing is left
 */
export function checkForDriver(config: SoakConfig, driver: SoakDriver): FittedConfig {
  const own = isScenarioName(config.scenario) ? soakScenario(config.scenario) : null;
  const notes: string[] = [];
  const mix = fitMix(config, own, driver, notes);
  const server = fitFaults(config, own, driver, notes);
  const required = fitRequired(config, mix, driver);
  let { halfFramesPerMinute } = config.chaos;
  if (halfFramesPerMinute > 0 && driver.sampleRequest === undefined) {
    notes.push(`no half-frames: the driver ${driver.name} has no sampleRequest`);
    halfFramesPerMinute = 0;
  }
  noteSizes(config, driver, notes);
  return {
    config: { ...config, mix, required, chaos: { ...config.chaos, halfFramesPerMinute, server } },
    notes,
  };
}

function fitMix(
  config: SoakConfig,
  own: SoakConfig | null,
  driver: SoakDriver,
  notes: string[],
): SoakConfig['mix'] {
  const { mix } = config;
  const lacking = operations.filter((name) => mix[name] > 0 && !driver.operations.includes(name));
  if (lacking.length === 0) return mix;
  const has = driver.operations.length === 0 ? 'none' : driver.operations.join(', ');
  const left = operations.reduce((sum, name) => sum + (lacking.includes(name) ? 0 : mix[name]), 0);
  if (left === 0 || own === null || operations.some((name) => mix[name] !== own.mix[name])) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${lacking.map((name) => `mix.${name}`).join(', ')}: the driver ${driver.name} does not have ` +
        `${lacking.length === 1 ? 'this operation' : 'these operations'}; it has ${has}`,
    );
  }
  notes.push(`the driver ${driver.name} has no ${lacking.join(', ')}: their share of the mix went to ${has}`);
  const share = (name: Operation) => (lacking.includes(name) ? 0 : mix[name] / left);
  return Object.fromEntries(operations.map((name) => [name, share(name)])) as Record<Operation, number>;
}

/** Without slow operations nothing is said of them. */
function fitRequired(config: SoakConfig, mix: SoakConfig['mix'], driver: SoakDriver): SoakConfig['required'] {
  const { required } = config;
  if (mix.slow > 0 || !required.includes('degradation-slow')) return required;
  const own = requiredFindings(config);
  if (required.length === own.length && own.every((id) => required.includes(id))) {
    return required.filter((id) => id !== 'degradation-slow');
  }
  throw new AckgateError(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `required[${required.indexOf('degradation-slow')}] is degradation-slow, which can't be judged: the driver ` +
      `${driver.name} has no slow operations; leave it out`,
  );
}

function fitFaults(
  { chaos }: SoakConfig,
  own: SoakConfig | null,
  driver: SoakDriver,
  notes: string[],
): SoakConfig['chaos']['server'] {
  const known = Object.keys(driver.faults ?? {});
  return chaos.server.filter(({ fault }, index) => {
    if (known.includes(fault)) return true;
    if (own?.chaos.server.some((other) => other.fault === fault)) {
      notes.push(`no ${fault}: the driver ${driver.name} has no such fault`);
      return false;
    }
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `chaos.server[${index}].fault: the driver ${driver.name} has no fault "${fault}"; it has ` +
        `${known.length === 0 ? 'none' : known.join(', ')}`,
    );
  });
}

function noteSizes({ sizes }: SoakConfig, { name, requestBytesMax }: SoakDriver, notes: string[]): void {
  const cut = sizeClasses.filter((size) => sizes[size] > 0 && requestBytesMax < sizeBytesMin[size]);
  if (cut.length === 0) return;
  notes.push(
    `${cut.join(', ')} messages are cut to ${requestBytesMax} bytes, the most that the driver ${name} takes`,
  );
}

function wrongField({ issues }: z.ZodError): AckgateError | AckgateRangeError {
  // A misspelt name may be the cause of whatever else is wrong.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  const at = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => (at === '' ? key : `${at}.${key}`)).join(', ');
    const word = issue.keys.length === 1 ? 'unknown field' : 'unknown fields';
    return new AckgateError('ERR_ACKGATE_UNKNOWN_OPTION', `${word} ${names}${issue.message}`);
  }
  const message = `${at === '' ? 'the configuration' : at} ${issue.message}`;
  return isRange(issue) ? outOfRange(message) : new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
}

/** Whether a number was wanted and given. */
function isRange(issue: z.core.$ZodIssue): boolean {
  if (issue.code === 'invalid_type') {
    return typeof issue.input === 'number' && (issue.expected === 'number' || issue.expected === 'int');
  }
  return issue.code === 'custom' || typeof issue.input === 'number';
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`))
    .join('');
}

const outOfRange = (message: string) => new AckgateRangeError('ERR_ACKGATE_OUT_OF_RANGE', message);
