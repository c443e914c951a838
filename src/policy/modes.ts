import { AckgateError } from '../errors.js';
import { Policy } from './policy.js';
import { policyError } from './policy-error.js';

/** The named policies. */
export type DurabilityMode = 'local' | 'replicated' | 'hybrid' | 'durably-replicated';

/**
 * What may be given for a policy: a mode, another text (a mode by its other name, or a policy such as
 * `persisted>=1 && in_memory>=2`), or a `Policy`.
 *
 * A text that is none is refused where it is given, with an error of code `ERR_ACKGATE_POLICY_…` that has the `position` of
 * the fault; anything else with `ERR_ACKGATE_INVALID_ARGUMENT`.
 */
export type PolicyInput = DurabilityMode | (string & {}) | Policy;

/** Byte of a custom policy, whose text is sent along. */
export const customModeByte = 255;

// The bytes are a wire format: they never change and are never used again for another mode.
const modes = [
  { mode: 'local', byte: 0, otherName: 'disk', policy: Policy.parse('persisted>=1') },
  { mode: 'hybrid', byte: 1, otherName: 'disk+ram', policy: Policy.parse('persisted>=1 && in_memory>=2') },
  { mode: 'durably-replicated', byte: 2, otherName: 'two-disks', policy: Policy.parse('persisted>=2') },
  { mode: 'replicated', byte: 3, otherName: 'ram', policy: Policy.parse('in_memory>=2') },
] as const satisfies readonly {
  mode: DurabilityMode;
  byte: number;
  otherName: string;
  policy: Policy;
}[];

const modeNames = modes.map((row) => row.mode).join(', ');

/** The mode's policy. Throws `ERR_ACKGATE_INVALID_ARGUMENT` for anything that isn't a mode. */
export function modeToPolicy(mode: DurabilityMode): Policy {
  return rowOf(mode).policy;
}

/** The mode's byte on the wire. Throws `ERR_ACKGATE_INVALID_ARGUMENT` for anything that isn't a mode. */
export function modeToByte(mode: DurabilityMode): number {
  return rowOf(mode).byte;
}

/** The mode of a byte; null for a byte that names none (`customModeByte` included): keep the mode in force then. */
export function modeFromByte(byte: number): DurabilityMode | null {
  return modes.find((row) => row.byte === byte)?.mode ?? null;
}

/** The mode of a name, also of its other name (`disk`, `disk+ram`, `two-disks`, `ram`); null for no mode's name. */
export function parseMode(text: string): DurabilityMode | null {
  return modes.find((row) => row.mode === text || row.otherName === text)?.mode ?? null;
}

/** A policy as it is configured: one of the modes, or a text of one's own. */
export interface ResolvedPolicy {
  /** Its mode; `custom`: a text of one's own. */
  readonly mode: DurabilityMode | 'custom';
  /** The mode's byte on the wire, `customModeByte` for a custom one. */
  readonly byte: number;
  /** What is asked of the nodes. */
  readonly policy: Policy;
}

/**
 * Reads what may be given for a policy.
 *
 * @throws ERR_ACKGATE_POLICY_… for a text that is none, with the `position` of the fault; ERR_ACKGATE_INVALID_ARGUMENT
 */
export function resolvePolicy(input: PolicyInput): ResolvedPolicy {
  if (input instanceof Policy) return { mode: 'custom', byte: customModeByte, policy: input };
  if (typeof input !== 'string') {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `policy must be a mode, a policy text or a Policy, got ${input === null ? 'null' : typeof input}`,
    );
  }
  const text: string = input;
  const word = text.trim();
  const mode = parseMode(word);
  if (mode !== null) {
    const { byte, policy } = rowOf(mode);
    return { mode, byte, policy };
  }
  // One word that isn't a level: more likely a mode misspelt than a clause cut short.
  if (/^[a-z][a-z+-]*$/i.test(word) && word !== 'persisted') {
    throw policyError(
      'ERR_ACKGATE_POLICY_UNKNOWN_LEVEL',
      `"${word}" is neither a mode (${modeNames}) nor a policy such as "persisted>=2"`,
      null,
      text.indexOf(word),
    );
  }
  return { mode: 'custom', byte: customModeByte, policy: Policy.parse(text) };
}

function rowOf(mode: DurabilityMode): (typeof modes)[number] {
  const row = modes.find((candidate) => candidate.mode === mode);
  if (row === undefined) {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `mode must be one of ${modeNames}`);
  }
  return row;
}
