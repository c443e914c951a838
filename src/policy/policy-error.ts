import { AckgateError, type AckgateErrorCode } from '../errors.js';

/** An `AckgateError` about a policy. */
export interface PolicyError extends AckgateError {
  /** Where in the text the fault is, 0-based in UTF-16 units; null when the policy didn't come as a text. */
  readonly position: number | null;
}

export type PolicyErrorCode = Extract<AckgateErrorCode, `ERR_ACKGATE_POLICY_${string}`>;

/** The clause at fault: its 0-based number and its text as given. */
export interface FaultyClause {
  readonly index: number;
  readonly text: string;
}

// A plain AckgateError with one more own property, not a subclass: `instanceof` goes by brand and could not
// tell the two apart.
export function policyError(
  code: PolicyErrorCode,
  what: string,
  clause: FaultyClause | null,
  position: number | null = null,
): PolicyError {
  const where =
    clause === null ? 'policy' : `policy clause ${clause.index + 1} ${JSON.stringify(clause.text)}`;
  const at = position === null ? '' : ` (at position ${position})`;
  return Object.assign(new AckgateError(code, `${where}: ${what}${at}`), { position });
}

/** The position of the fault if `error` is about a policy text, else null. */
export function faultPosition(error: unknown): number | null {
  if (!(error instanceof AckgateError)) return null;
  const { position } = error as Partial<PolicyError>;
  return typeof position === 'number' ? position : null;
}
