import { AckgateError } from '../errors.js';
import { type PolicyInput, resolvePolicy } from '../policy/index.js';

/**
 * Whether a policy means something on PostgreSQL: it must have a `persisted` clause. One that only asks for memory would
 * never be faster than `local`, for the log is sent to standbys after the primary has it on its own disk.
 *
 * @throws ERR_ACKGATE_POLICY_UNSUPPORTED; ERR_ACKGATE_POLICY_… for a text that is no policy, ERR_ACKGATE_INVALID_ARGUMENT
 */
export function checkPostgresPolicy(policy: PolicyInput): void {
  const { clauses } = resolvePolicy(policy).policy;
  if (clauses.some(({ level }) => level === 'persisted')) return;
  throw new AckgateError(
    'ERR_ACKGATE_POLICY_UNSUPPORTED',
    `policy "${String(policy)}" asks for memory alone, but PostgreSQL sends its log to standbys only after its own disk ` +
      'has it: take "hybrid", or add a clause such as persisted>=1',
  );
}
