import { Policy } from '../../policy/index.js';

/** What a policy asks for and does not get from so many connected nodes, in words; null when it gets it. */
export function missingNodes(policy: Policy, connected: number): string | null {
  const most = (across: 'nodes' | 'zones') =>
    Math.max(
      0,
      ...policy.clauses.filter((one) => (one.across ?? 'nodes') === across).map(({ count }) => count),
    );
  if (most('nodes') > connected) return `policy needs ${most('nodes')} nodes, ${connected} connected`;
  // Zones can't be more than nodes; whether they are fewer is not known here.
  if (most('zones') > connected)
    return `policy needs ${most('zones')} zones, ${nodesOf(connected)} connected`;
  return null;
}

/** The same for a policy that is known to be degraded. */
export function degradedBecause(policyText: string, connected: number): string {
  let missing: string | null = null;
  try {
    missing = missingNodes(Policy.parse(policyText), connected);
  } catch {
    // A later version's policy: its text is shown elsewhere.
  }
  return missing ?? `policy needs more nodes or zones than the ${nodesOf(connected)} connected`;
}

function nodesOf(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`;
}
