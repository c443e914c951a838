import type { DegradationFields } from '../gate/degradation-logger.js';
import type { Gate } from '../gate/gate.js';
import { clauseText, type ResolvedPolicy } from '../policy/index.js';
import type { Logger } from '../shared/logger.js';

/** What the degradation log says of the gate as it stands. */
export function describeDegradation(gate: Gate): DegradationFields {
  const { policy, mode } = gate.policy;
  const { unmetClause } = gate.evaluator;
  const unmet = unmetClause < 0 ? null : policy.clauses[unmetClause];
  return {
    policy: policy.toString(),
    mode,
    connectedNodes: gate.connectedNodes,
    neededNodes: unmet?.count ?? Math.max(...policy.clauses.map((clause) => clause.count)),
    clause: unmet === null ? null : clauseText(unmet),
  };
}

/** Logs a change of policy; one that holds nothing back deserves a warning. */
export function logPolicyChange(logger: Logger, from: ResolvedPolicy, to: ResolvedPolicy, gate: Gate): void {
  const fields = {
    from: from.mode,
    fromPolicy: from.policy.toString(),
    to: to.mode,
    toPolicy: to.policy.toString(),
  };
  logger.info(fields, 'durability policy changed');
  if (gate.durablePos === Number.POSITIVE_INFINITY) {
    logger.warn({ policy: fields.toPolicy }, 'durability policy holds nothing back');
  }
}
