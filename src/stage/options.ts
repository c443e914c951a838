import { type DiagnosisLevel, diagnosisLevels } from '../diagnosis/levels.js';
import { AckgateError, AckgateRangeError } from '../errors.js';
import { type PolicyInput, type ResolvedPolicy, resolvePolicy } from '../policy/index.js';
import { checkRingSize } from '../ring/layout.js';
import { boolean, checkKeys, checkLogger, integer, outOfRange } from '../shared/checks.js';
import type { Logger } from '../shared/logger.js';
import { silentLogger } from '../shared/logger.js';
import { captureDefaults } from '../shared/memory.js';
import { safeLogger } from '../shared/safe-logger.js';
import { timerMsMax } from '../shared/timer-ms-max.js';
import type { DiagnosisOptions, StageOptions } from './api.js';
import type { InlineStageOptions } from './inline-stage.js';

/** Limits that the stage itself works with. Plain data: they are posted to the Worker. */
export interface StageLimits {
  epoch: number;
  heartbeatIntervalNs: number;
  blockedTimeoutNs: number;
  blockedTotalNs: number;
  recordsPerBatch: number;
  flushBytes: number;
  flushRecords: number;
  flushDelayNs: number;
  staleAfterNs: number;
}

/** Options after checking, with every default filled in. */
export interface CheckedOptions {
  ring: { capacity: number; maxPayload: number };
  connections: number;
  policy: ResolvedPolicy;
  zone: string | undefined;
  backend: 'auto' | 'uring' | 'posix';
  idle: 'spin' | 'backoff' | 'park';
  encoder: string | null;
  framing: string | null;
  kernelSendBufferBytes: number;
  ringEntries: number;
  sqpoll: boolean;
  diagnosis: CheckedDiagnosis;
  logger: Logger;
  limits: StageLimits;
}

/** The same for diagnosis. `redactor`: URL of its module. */
export interface CheckedDiagnosis {
  baseline: DiagnosisLevel;
  kinds: Readonly<Record<string, number>>;
  redactor: string | null;
  captureRecords: number;
  captureBytes: number;
}

const diagnosisNames = ['baseline', 'kinds', 'redactor', 'captureRecords', 'captureBytes'];

export const connectionsMax = 32_768;

const known = [
  'ring',
  'policy',
  'epoch',
  'zone',
  'connections',
  'heartbeatIntervalMs',
  'backend',
  'idle',
  'encoder',
  'framing',
  'blockedTimeoutMs',
  'blockedTotalMs',
  'staleAfterMs',
  'kernelSendBufferBytes',
  'recordsPerBatch',
  'flushBytes',
  'flushRecords',
  'flushDelayUs',
  'ringEntries',
  'sqpoll',
  'diagnosis',
  'logger',
] as const satisfies readonly (keyof StageOptions)[];

/** Refuses unknown ones, also those of diagnosis. */
export function checkNames(options: StageOptions | InlineStageOptions): void {
  checkKeys('options', options, known);
  const { diagnosis = {} } = options;
  checkKeys('diagnosis', diagnosis, diagnosisNames);
}

/** Throws an `AckgateError` that names the option for everything that can't be meant. */
export function checkOptions(options: StageOptions): CheckedOptions {
  checkNames(options);
  // Defaults are for what was left out: a null may be a setting that got lost, and must not become the mode `local`.
  const { ring = {}, policy = 'local', backend = 'auto', idle = 'park', sqpoll = false } = options;
  const { diagnosis = {}, logger = silentLogger } = options;
  checkKeys('ring', ring, ['capacity', 'maxPayload']);
  const { capacity = 4096, maxPayload = 448 } = ring;
  checkRingSize(capacity, maxPayload);
  if (maxPayload > 60_000) {
    throw outOfRange(
      'ring.maxPayload',
      'an integer from 1 to 60,000 bytes: a frame must fit into a send buffer',
      maxPayload,
    );
  }
  const number = (name: NumericOption, fallback: number, min: number, max: number, whole = true): number => {
    const value: unknown = options[name] === undefined ? fallback : options[name];
    const fits =
      typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value));
    if (!fits) throw outOfRange(name, `${whole ? 'an integer' : 'a number'} from ${min} to ${max}`, value);
    return value;
  };
  const ringEntries = number('ringEntries', 4096, 64, 32_768);
  if ((ringEntries & (ringEntries - 1)) !== 0) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_NOT_POWER_OF_TWO',
      `ringEntries must be a power of two, got ${ringEntries}`,
    );
  }
  return {
    ring: { capacity, maxPayload },
    connections: number('connections', 16_384, 1, connectionsMax),
    policy: checkPolicy(policy),
    zone: checkZone(options.zone),
    backend: oneOf('backend', backend, ['auto', 'uring', 'posix']),
    idle: oneOf('idle', idle, ['spin', 'backoff', 'park']),
    encoder: checkModule('encoder', options.encoder),
    framing: checkModule('framing', options.framing),
    kernelSendBufferBytes: number('kernelSendBufferBytes', 0, 0, 2 ** 30),
    ringEntries,
    sqpoll: boolean('sqpoll', sqpoll),
    diagnosis: checkDiagnosis(diagnosis),
    logger: safeLogger(checkLogger(logger)),
    limits: {
      epoch: number('epoch', 0, 0, Number.MAX_SAFE_INTEGER),
      // A timer can't count further than 2^31-1 ms, and nobody means to.
      heartbeatIntervalNs: number('heartbeatIntervalMs', 1000, 0, timerMsMax, false) * 1e6,
      blockedTimeoutNs: number('blockedTimeoutMs', 5000, 1, timerMsMax, false) * 1e6,
      blockedTotalNs: number('blockedTotalMs', 0, 0, timerMsMax, false) * 1e6,
      recordsPerBatch: number('recordsPerBatch', 1024, 1, 1 << 20),
      flushBytes: number('flushBytes', 32_768, 1, 65_536),
      flushRecords: number('flushRecords', 1024, 1, 1 << 20),
      flushDelayNs: number('flushDelayUs', 200, 0, 1e6, false) * 1e3,
      staleAfterNs: number('staleAfterMs', 1000, 50, 60_000, false) * 1e6,
    },
  };
}

type NumericOption = {
  [K in keyof StageOptions]-?: NonNullable<StageOptions[K]> extends number ? K : never;
}[keyof StageOptions];

/** Longest text of a policy: it has to fit into a control record, and into the status block. */
const policyTextMax = 400;

/** A mode, a policy text, or a `Policy`. */
export function checkPolicy(policy: unknown): ResolvedPolicy {
  const resolved = resolvePolicy(policy as PolicyInput);
  const { length } = resolved.policy.toString();
  if (length > policyTextMax) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `policy must have at most ${policyTextMax} characters as text, got ${length}`,
    );
  }
  return resolved;
}

/** Of a disconnect frame. */
export function checkReason(reason: number): void {
  integer('reason', reason, 0, 255);
}

function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${name} must be one of ${allowed.join(', ')}, got ${String(value)}`,
    );
  }
  return value as T;
}

function checkZone(zone: unknown): string | undefined {
  if (zone !== undefined && (typeof zone !== 'string' || zone === '')) {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'zone must be a non-empty string');
  }
  return zone;
}

function checkModule(name: string, module: unknown): string | null {
  if (module === undefined) return null;
  if (module instanceof URL) return module.href;
  if (typeof module === 'string' && URL.canParse(module)) return module;
  const why =
    typeof module === 'string'
      ? `got "${module}": write new URL('${module}', import.meta.url)`
      : "since the stage runs on a thread of its own, where an object can't be sent";
  throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `${name} must be the URL of a module, ${why}`);
}

function checkDiagnosis(options: DiagnosisOptions): CheckedDiagnosis {
  const { baseline = 'off', kinds = {}, captureRecords = captureDefaults.records } = options;
  const { captureBytes = captureDefaults.bytes } = options;
  const whole = (name: string, value: unknown, min: number, max: number): number =>
    integer(`diagnosis.${name}`, value, min, max);
  if (typeof kinds !== 'object' || kinds === null) {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'diagnosis.kinds must be an object of numbers');
  }
  for (const [name, kind] of Object.entries(kinds)) whole(`kinds.${name}`, kind, 0, 0xffff);
  return {
    baseline: oneOf('diagnosis.baseline', baseline, diagnosisLevels),
    kinds: Object.freeze({ ...kinds }),
    redactor: checkModule('diagnosis.redactor', options.redactor),
    captureRecords: whole('captureRecords', captureRecords, 1, 65_536),
    captureBytes: whole('captureBytes', captureBytes, 0, 65_536),
  };
}
