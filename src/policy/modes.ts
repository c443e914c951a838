import { AckgateError } from '../errors.js';
import { Policy } from './policy.js';
import { policyError } from './policy-error.js';

/** The named policies. */
export type DurabilityMode = 'local' | 'replicated' | 'hybrid' | 'durably-replicated';

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
  readonly mode: DurabilityMode | 'custom';
  readonly byte: number;
  readonly policy: Policy;
}

/** Reads what a user may write for a policy: a mode's name or a policy text. Throws like `Policy.parse`. */
export function resolvePolicy(text: string): ResolvedPolicy {
  if (typeof text !== 'string') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'the policy must be a string');
  }
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
