import { clauseText, type Policy } from '../../policy/index.js';

/** The machines. Node 0 is the primary; node n stands in zone n modulo `zones`. */
export interface ClusterShape {
  /** Machines, the primary included, 1 … 16. */
  readonly nodes: number;
  /** Zones that they are spread over in turn, 1 … `nodes`. */
  readonly zones: number;
}

/** What clients do to it. */
export interface LoadShape {
  /** In the mean. */
  readonly ordersPerSecond: number;
  /** Responses per order: its own acknowledgement and what goes to others. */
  readonly fanOut: number;
  /** Size of each response. */
  readonly payloadBytes: number;
  /** Clients that responses go to. */
  readonly connections: number;
  /** `poisson`: orders know nothing of each other; `even`: one after the other, at equal distances. */
  readonly arrivals: 'poisson' | 'even';
}

export function zoneOf(node: number, { zones }: ClusterShape): string {
  return `zone-${(node % zones) + 1}`;
}

/** Why a policy can't be met by the whole cluster; null when it can. */
export function unmetClause(policy: Policy, cluster: ClusterShape): string | null {
  const view = Array.from({ length: cluster.nodes }, (_, node) => ({
    inMemory: 1,
    persisted: 1,
    zone: zoneOf(node, cluster),
  }));
  if (!policy.evaluate(view).degraded) return null;
  const has = { nodes: cluster.nodes, zones: Math.min(cluster.nodes, cluster.zones) };
  const clause = policy.clauses.find(({ count, across = 'nodes' }) => count > has[across]);
  if (clause === undefined) return null;
  const { count, across = 'nodes' } = clause;
  const number = has[across];
  return `${clauseText(clause)} needs ${count} ${across}, the cluster has ${number}`;
}
