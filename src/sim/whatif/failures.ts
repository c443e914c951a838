import type { Policy } from '../../policy/index.js';
import { type ClusterShape, zoneOf } from './shape.js';

/** What can go, in words: memory goes with its process, a disk only with its machine. */
export const failureTexts = {
  process: "the primary's process dies; its disk can be read again",
  machine: "the primary's machine is gone, with its disk",
  zone: "the primary's zone is gone, with all nodes in it",
  power: 'power fails everywhere; disks can be read again',
} as const;

/** Name of such a failure; `failureTexts` says what goes with it. */
export type Failure = keyof typeof failureTexts;
export const failures = Object.keys(failureTexts) as Failure[];

/**
 * Whether a policy lets an acknowledged order be lost with a failure, whatever the timing: true when the nodes, or
 * memories, that the failure takes are enough to meet the policy, so that nobody else needs to have the order.
 */
export function mayLose(policy: Policy, cluster: ClusterShape, failure: Failure): boolean {
  const ownZone = zoneOf(0, cluster);
  // Whoever survives has nothing; what is lost has everything. Policies are monotone: no state is worse than this.
  const isLost: Record<Failure, (node: number, zone: string) => { memory: boolean; disk: boolean }> = {
    process: (node) => ({ memory: node === 0, disk: false }),
    machine: (node) => ({ memory: node === 0, disk: node === 0 }),
    zone: (_, zone) => ({ memory: zone === ownZone, disk: zone === ownZone }),
    power: () => ({ memory: true, disk: false }),
  };
  const view = Array.from({ length: cluster.nodes }, (_, node) => {
    const zone = zoneOf(node, cluster);
    const { memory, disk } = isLost[failure](node, zone);
    return { inMemory: Number(memory), persisted: Number(disk), zone };
  });
  const { durablePos, degraded } = policy.evaluate(view);
  return !degraded && durablePos >= 1;
}
