import type { DegradationFields } from '../gate/degradation-logger.js';
import type { Gate } from '../gate/gate.js';
import { clauseText, type ResolvedPolicy } from '../policy/index.js';
import type { Logger } from '../shared/logger.js';
import type { ModeChangedEvent } from './channels.js';

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

export function describeChange(from: ResolvedPolicy, to: ResolvedPolicy): ModeChangedEvent {
  return {
    from: from.mode,
    fromPolicy: from.policy.toString(),
    to: to.mode,
    toPolicy: to.policy.toString(),
  };
}

/** Logs a change of policy; one that holds nothing back deserves a warning. */
export function logPolicyChange(logger: Logger, change: ModeChangedEvent, gate: Gate): void {
  logger.info(change, 'durability policy changed');
  if (gate.durablePos === Number.POSITIVE_INFINITY) {
    logger.warn({ policy: change.toPolicy }, 'durability policy holds nothing back');
  }
}
