import { z } from 'zod';
import { AckgateError } from '../errors.js';
import type { PolicyInput, ResolvedPolicy } from '../policy/index.js';
import { argument, checkKeys, integer } from '../shared/checks.js';
import { describe } from '../shared/describe.js';
import { parseJson } from '../shared/parse-json.js';
import type { KeptText } from '../shared/text-source.js';
import { checkPolicy } from '../stage/options.js';

/** In the place of a policy: nothing overrides, every stage goes back to its own. */
export const fallbackWord = 'fallback';

/** No override is published for longer; without an end it may stay. */
const modeTtlSecsMax = 366 * 24 * 60 * 60;
const textCharsMax = 4096;
const policyCharsMax = 1000;
const byCharsMax = 256;

/** What a mode store keeps. */
export interface ModeSetting {
  /** A mode, a policy text, or `fallback`: nothing overrides. */
  readonly policy: string;
  /** Unix milliseconds from which on nothing overrides; left out: there is no such time. */
  readonly expiresAt?: number;
  /** Who set it. */
  readonly by?: string;
}

/** What is to be kept. With both times the earlier one counts; with neither it stays until somebody changes it. */
export interface ModeChange {
  /** A mode, a policy text or a `Policy`; `fallback` ends what overrides. `publish` throws for a text that is none. */
  readonly policy: PolicyInput | 'fallback';
  /** Whole seconds from now, 1 … 31,622,400 (366 days). */
  readonly ttlSecs?: number;
  /** Unix milliseconds, in the future and at most 366 days ahead. */
  readonly expiresAt?: number;
  /** Who wants it, 1 to 256 characters. */
  readonly by?: string;
}

/** A setting with its policy read; null: nothing overrides. */
export interface ReadSetting {
  readonly setting: ModeSetting;
  readonly resolved: ResolvedPolicy | null;
}

const control = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const form = z.strictObject(
  {
    policy: z
      .string('policy must be a text')
      .min(1, 'policy must not be empty')
      .max(policyCharsMax, {
        error: `policy must have at most ${policyCharsMax} characters`,
      }),
    // One that is over is no fault. Exactly optional: an end that got lost on the way must not make it last for ever.
    expiresAt: z.exactOptional(z.int('expiresAt must be unix milliseconds').min(0, 'expiresAt is negative')),
    by: z.exactOptional(z.string('by must be a text').refine(isName, `by must be ${nameRule()}`)),
  },
  {
    error: ({ code }) =>
      code === 'unrecognized_keys' ? 'has a field that does not exist' : 'must be an object',
  },
);

/** Reads what is kept. Throws `ERR_ACKGATE_MODE_INVALID`: an unknown mode is never taken for another one. */
export function decodeMode({ revision, text }: KeptText): ReadSetting {
  const fault = (why: string, cause?: unknown) =>
    new AckgateError('ERR_ACKGATE_MODE_INVALID', `the mode kept as revision ${revision}: ${why}`, { cause });
  if (typeof text !== 'string' || text.length > textCharsMax) {
    throw fault(`it must be a text of at most ${textCharsMax} characters`);
  }
  const value = parseJson(text);
  if (value === undefined) throw fault('it must be JSON in which no name is repeated');
  const formed = form.safeParse(value);
  if (!formed.success) throw fault(formed.error.issues[0].message);
  const setting = Object.freeze(formed.data as ModeSetting);
  try {
    return { setting, resolved: readPolicy(setting.policy) };
  } catch (error) {
    throw fault(error instanceof Error ? error.message : describe(error), error);
  }
}

/** Reads what somebody wants to publish, with its end as an absolute time. Throws for what can't be meant. */
export function checkModeChange(change: ModeChange, nowMs: number): ReadSetting {
  checkKeys('the mode', change, ['policy', 'ttlSecs', 'expiresAt', 'by']);
  const { policy, by } = change;
  const resolved = readPolicy(policy);
  if (by !== undefined && !isName(by)) throw argument('by', nameRule());
  const expiresAt = endOf(change, nowMs);
  const setting = Object.freeze({
    policy: resolved === null ? fallbackWord : nameOf(resolved),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(by !== undefined && { by }),
  });
  return { setting, resolved };
}

/** The form in which a source keeps it. */
export function encodeMode(setting: ModeSetting): string {
  return JSON.stringify(setting);
}

/** A mode by its name, a policy of one's own by its text. */
export function nameOf({ mode, policy }: ResolvedPolicy): string {
  return mode === 'custom' ? policy.toString() : mode;
}

export function isOver({ expiresAt }: ModeSetting, nowMs: number): boolean {
  return expiresAt !== undefined && nowMs >= expiresAt;
}

function readPolicy(policy: unknown): ResolvedPolicy | null {
  return policy === fallbackWord ? null : checkPolicy(policy);
}

function endOf({ ttlSecs, expiresAt }: ModeChange, nowMs: number): number | undefined {
  const aheadMax = modeTtlSecsMax * 1000;
  if (ttlSecs !== undefined) integer('ttlSecs', ttlSecs, 1, modeTtlSecsMax);
  if (expiresAt !== undefined) integer('expiresAt', expiresAt, nowMs + 1, nowMs + aheadMax);
  if (ttlSecs === undefined) return expiresAt;
  // A clock may have a fraction.
  return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, Math.floor(nowMs) + ttlSecs * 1000);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= byCharsMax && !control.test(value);
}

function nameRule(): string {
  return `a text of 1 to ${byCharsMax} characters, none of them a control character`;
}
