import { type ModelNode, PolicyModel } from './policy-model.js';

/**
 * What the cluster is like, as far as the stage has been told, and what that allows. A mode that was sent counts from the
 * round that takes it; in between both may hold.
 */
export class ClusterModel {
  readonly nodes: ModelNode[];
  /** Policies that may be in force, the newest last; `before`: it was sent before the round began. */
  #policies: { policy: PolicyModel; before: boolean }[];
  /** Positions that may be released in this round: one that certainly may, and one that at most may. */
  durableMin = 0;
  durableMax = 0;
  /** What `degraded` may be in this round. */
  mayBeDegraded = false;
  mayBeWhole = false;

  constructor(policy: string, nodes: ModelNode[]) {
    this.nodes = nodes;
    this.#policies = [{ policy: new PolicyModel(policy), before: true }];
    this.beginRound();
  }

  get policy(): string {
    return this.#policies[this.#policies.length - 1].policy.text;
  }

  /** More than one mode may be in force. */
  get modeUnsure(): boolean {
    return this.#policies.length > 1;
  }

  setPolicy(policy: string): void {
    this.#policies.push({ policy: new PolicyModel(policy), before: false });
    this.changed();
  }

  beginRound(): void {
    this.durableMin = Number.POSITIVE_INFINITY;
    this.durableMax = 0;
    this.mayBeDegraded = false;
    this.mayBeWhole = false;
    for (const one of this.#policies) one.before = true;
    this.changed();
  }

  /** Something has moved: what held before may still be what the stage has seen. */
  changed(): void {
    for (const { policy } of this.#policies) {
      const { durable, degraded } = policy.evaluate(this.nodes);
      if (durable < this.durableMin) this.durableMin = durable;
      if (durable > this.durableMax) this.durableMax = durable;
      if (degraded) this.mayBeDegraded = true;
      else this.mayBeWhole = true;
    }
  }

  /** Nothing can be said of what the stage makes of it: a line is being written. */
  blur(): void {
    this.durableMin = 0;
    this.mayBeDegraded = true;
    this.mayBeWhole = true;
  }

  /** The round has taken every mode sent before it. */
  endRound(): void {
    let first = this.#policies.length - 1;
    while (first > 0 && !this.#policies[first].before) first--;
    this.#policies = this.#policies.slice(first);
  }
}
