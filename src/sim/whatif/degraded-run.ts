import type { Policy, ResolvedPolicy } from '../../policy/index.js';
import { fixed } from '../distributions.js';
import { Random } from '../random.js';
import { Timeline } from '../timeline.js';
import { PromptSender } from './prompt-sender.js';
import { type ClusterShape, zoneOf } from './shape.js';
import { createVirtualStage } from './virtual-stage.js';

/** How often each replica fails, and how long it then takes to come back; both exponentially distributed. */
export interface FailureRate {
  /** Mean time between the end of one failure and the next, hours. */
  readonly mtbfHours: number;
  /** Mean time to repair, minutes. */
  readonly mttrMinutes: number;
}

const hourNs = 3600e9;
const minuteNs = 60e9;

/**
 * Share of the time that a policy is degraded, exactly: the sum over all sets of replicas that may be there, each with
 * its probability. Replicas fail independently of each other; the primary is there.
 */
export function degradedShare(policy: Policy, cluster: ClusterShape, rate: FailureRate): number {
  const replicas = cluster.nodes - 1;
  const down = (rate.mttrMinutes * minuteNs) / (rate.mtbfHours * hourNs + rate.mttrMinutes * minuteNs);
  let share = 0;
  let isAlways = true;
  for (let there = 0; there < 2 ** replicas; there++) {
    const view = [{ inMemory: 1, persisted: 1, zone: zoneOf(0, cluster) }];
    for (let replica = 0; replica < replicas; replica++) {
      if ((there >> replica) & 1)
        view.push({ inMemory: 1, persisted: 1, zone: zoneOf(replica + 1, cluster) });
    }
    if (!policy.evaluate(view).degraded) {
      isAlways = false;
      continue;
    }
    const up = view.length - 1;
    share += (1 - down) ** up * down ** (replicas - up);
  }
  return isAlways ? 1 : share;
}

export interface DegradedRunResult {
  /** Share of the time that the stage's own gauge counted as degraded. */
  readonly share: number;
  /** How often it became degraded: with few of them the share is a rough guess. */
  readonly episodes: number;
  readonly years: number;
}

/** Lets replicas of the shipped stage fail and come back `failures` times, and reads its own count of degraded time. */
export function runDegraded(
  seed: number,
  policy: ResolvedPolicy,
  cluster: ClusterShape,
  rate: FailureRate,
  failures: number,
): DegradedRunResult {
  const timeline = new Timeline();
  const chance = new Random(seed);
  const sender = new PromptSender({
    timeline,
    random: chance.fork(),
    slots: 1,
    send: fixed(0),
    wake: fixed(0),
    onTaken: () => {},
  });
  const zone = zoneOf(0, cluster);
  const { stage, view } = createVirtualStage({
    timeline,
    sender,
    policy,
    connections: 1,
    payloadBytes: 1,
    zone,
  });
  let episodes = 0;
  let wasDegraded = false;
  const round = () => {
    while (stage.doWork(timeline.nowNs) > 0);
    const { degraded } = stage.gate.evaluator;
    if (degraded && !wasDegraded) episodes++;
    wasDegraded = degraded;
  };
  let failed = 0;
  for (let node = 1; node < cluster.nodes; node++) {
    const cursor = view.cursors.node(`replica-${node}`, { zone: zoneOf(node, cluster) });
    const random = chance.fork();
    const fail = () => {
      failed++;
      cursor.disconnect();
      timeline.after(random.exponential(rate.mttrMinutes * minuteNs), join);
    };
    const join = () => {
      cursor.connect({ persisted: 0 });
      timeline.after(random.exponential(rate.mtbfHours * hourNs), fail);
    };
    join();
  }
  round();
  while (failed < failures && timeline.nextNs < Number.POSITIVE_INFINITY) {
    timeline.runNext();
    round();
  }
  stage.publishStatus(timeline.nowNs);
  const degradedNs = view.status().policyDegradedNanos;
  const years = timeline.nowNs / (365.25 * 24 * hourNs);
  // A cluster of one never changes: it is as it begins.
  const share = timeline.nowNs === 0 ? Number(wasDegraded) : degradedNs / timeline.nowNs;
  return { share, episodes, years };
}
