import { quantile } from '../distributions.js';
import { degradedShare, type FailureRate, runDegraded } from './degraded-run.js';
import { type Failure, failures, mayLose } from './failures.js';
import { runLatency } from './latency-run.js';
import type { LossCount } from './loss-probe.js';
import { type Assumption, type CheckedWhatIf, checkWhatIf, type WhatIfOptions } from './options.js';
import { type ClusterShape, type LoadShape, unmetClause } from './shape.js';

export type { QuantilePoint } from '../distributions.js';
export { type Component, componentTexts, type Shape, type Shapes } from './components.js';
export type { FailureRate } from './degraded-run.js';
export { type Failure, failureTexts } from './failures.js';
export type { LossCount } from './loss-probe.js';
export type { Assumption, WhatIfOptions } from './options.js';
export { whatIfPage } from './page.js';
export {
  type DeviceName,
  devices,
  type HostName,
  hosts,
  type NetworkName,
  networks,
  type Preset,
} from './presets.js';
export {
  type DistributionRecorder,
  type RecordOptions,
  type ReplicaRecording,
  recordDistributions,
} from './record.js';
export type { ClusterShape, LoadShape } from './shape.js';
export { type DistributionFile, parseDistributions } from './shape-file.js';
export { whatIfTable } from './table.js';

/** What a kind of answer to "how long does an acknowledgement take?" looks like, in nanoseconds. */
export interface LatencyFigures {
  /** The median: half of the orders took at most this. */
  readonly p50: number;
  /** 90 % of them took at most this. */
  readonly p90: number;
  /** 99 %. */
  readonly p99: number;
  /** 99.9 %. */
  readonly p999: number;
  /** The slowest of all. */
  readonly max: number;
  /** The arithmetic mean. */
  readonly mean: number;
}

/** How a failure rate of replicas shows. Shares of the time, 0 … 1. */
export interface DegradedFigures extends FailureRate {
  /** By the formula: exact for independent replicas. */
  readonly share: number;
  /** As the stage's own count of degraded time had it in a simulated run. */
  readonly simulated: {
    /** Of the time. */
    readonly share: number;
    /** Times that the policy became degraded. */
    readonly episodes: number;
    /** Virtual years that were simulated, of 365.25 days. */
    readonly years: number;
  };
}

/** Whom acknowledgements waited for; shares, 0 … 1. */
export interface BindFigures {
  /** Orders whose last cursor, of those that the policy asks for, was the primary's own journal. */
  readonly journal: number;
  /** Orders for which it was a replica's. */
  readonly replication: number;
  /** Gate openings that made somebody wait. */
  readonly openings: number;
  /**
   * Those openings as the stage's own counters `gateJournal` and `gateReplication` have them: who binds at the moment of
   * opening. When both have caught up by then, that is the one whose clause stands first in the policy.
   */
  readonly counted: {
    /** Opened by the primary's own journal. */
    readonly journal: number;
    /** Opened by a replica. */
    readonly replication: number;
  };
}

/** What a failure costs. */
export interface LossFigures extends LossCount {
  /** Whether the policy lets an acknowledged order be lost at all, whatever the timing. */
  readonly mayLose: boolean;
}

/** What `whatIf` says of one policy. */
export interface PolicyResult {
  /** As it was asked for. */
  readonly name: string;
  /** The policy's text. */
  readonly policy: string;
  /** Why this cluster can never acknowledge anything under the policy; null: it can. Then there are no figures. */
  readonly unmet: string | null;
  /** From an order being read to the kernel having its acknowledgement. */
  readonly latencyNs: LatencyFigures | null;
  /** Pairs of a share of the orders, 0 … 1, and nanoseconds, for a curve. */
  readonly curve: readonly (readonly [share: number, ns: number])[];
  /** Whom acknowledgements waited for; null when the policy is unmet. */
  readonly binds: BindFigures | null;
  /** Orders that found the output ring full: above 0 the stage did not keep up, and the load is too high for it. */
  readonly stalled: number;
  /** One for each of the failure rates that were asked for. */
  readonly degraded: readonly DegradedFigures[];
  /** One for each kind of failure, in the order of `failureTexts`. */
  readonly losses: readonly LossFigures[];
}

/** What `whatIf` says of all policies, and what that rests on. */
export interface WhatIfResult {
  /** As it was asked for, or the default; the same for all below. */
  readonly seed: number;
  /** Orders that were simulated for each policy. */
  readonly orders: number;
  /** The machines. */
  readonly cluster: ClusterShape;
  /** What clients did to it. */
  readonly load: LoadShape;
  /** Where the figures of each component came from. */
  readonly assumptions: readonly Assumption[];
  /** In the order in which they were asked for. */
  readonly policies: readonly PolicyResult[];
}

/** Simulated failures of replicas per policy and rate. */
const degradedFailures = 5000;

/**
 * Answers for a cluster that need not exist yet: how long acknowledgements take under each policy, who is waited for, how
 * much of the time a policy is degraded, and what a failure loses. The shipped stage, ring, gate and cursors run in virtual
 * time between simulated disks and networks; the same options give the same result, on every machine.
 *
 * Takes some microseconds of this thread per order and policy, and does not yield.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_UNKNOWN_OPTION for an option, preset or
 *   distribution that can't be meant, ERR_ACKGATE_POLICY_… for a policy; the message names it and what would be valid
 */
export function whatIf(options: WhatIfOptions = {}): WhatIfResult {
  const checked = checkWhatIf(options);
  const { seed, orders, cluster, load, assumptions, policies } = checked;
  return {
    seed,
    orders,
    cluster,
    load,
    assumptions,
    policies: policies.map((policy) => judge(policy, checked)),
  };
}

function judge({ name, resolved }: CheckedWhatIf['policies'][number], checked: CheckedWhatIf): PolicyResult {
  const { seed, cluster, failureRates, lossMoments } = checked;
  const { policy } = resolved;
  const unmet = unmetClause(policy, cluster);
  const run = unmet === null ? runLatency({ ...checked, policy: resolved, moments: lossMoments }) : null;
  const sorted = run?.latenciesNs.slice().sort() ?? null;
  const openings = run === null ? 0 : run.openedByJournal + run.openedByReplication;
  return {
    name,
    policy: policy.toString(),
    unmet,
    latencyNs: sorted && latencyFigures(sorted),
    curve: sorted === null ? [] : curveOf(sorted),
    binds: run && {
      journal: shareOf(run.lastJournal, run.lastJournal + run.lastReplication),
      replication: shareOf(run.lastReplication, run.lastJournal + run.lastReplication),
      openings,
      counted: {
        journal: shareOf(run.openedByJournal, openings),
        replication: shareOf(run.openedByReplication, openings),
      },
    },
    stalled: run?.stalled ?? 0,
    degraded: failureRates.map((rate) => ({
      ...rate,
      share: degradedShare(policy, cluster, rate),
      simulated: runDegraded(seed, resolved, cluster, rate, degradedFailures),
    })),
    losses: failures.map((failure, i) => ({
      ...(run?.losses[i] ?? noLoss(failure)),
      mayLose: unmet === null && mayLose(policy, cluster, failure),
    })),
  };
}

function shareOf(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function noLoss(failure: Failure): LossCount {
  return { failure, moments: 0, withLoss: 0, ordersMax: 0, ordersMean: 0 };
}

function latencyFigures(sorted: Float64Array): LatencyFigures {
  const at = (share: number) => Math.round(quantile(sorted, share));
  const mean = Math.round(sorted.reduce((sum, ns) => sum + ns, 0) / sorted.length);
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1), mean };
}

/** Every step of the curve halves, roughly, what is slower: as far as there are some orders beyond it. */
function curveOf(sorted: Float64Array): [number, number][] {
  const points: [number, number][] = [];
  for (let rest = 1; rest * sorted.length >= 5; rest /= 10 ** 0.125) {
    points.push([1 - rest, Math.round(quantile(sorted, 1 - rest))]);
  }
  return points;
}
