import { leaveView } from './frame-model.js';
import { type ModelNode, type ModelVerdict, PolicyModel } from './policy-model.js';

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
  /** How many nodes may be in the view in this round, the primary included. */
  viewMin = 0;
  viewMax = 0;
  /** How often nodes have fallen silent, and how often more that may have been. */
  silences = 0;
  silencesUnsure = 0;
  readonly #now: () => number;
  /** Nodes may fall silent. */
  readonly #fading: boolean;

  constructor(policy: string, nodes: ModelNode[], now: () => number, fading: boolean) {
    this.nodes = nodes;
    this.#now = now;
    this.#fading = fading;
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
    this.viewMin = Number.POSITIVE_INFINITY;
    this.viewMax = 0;
    for (const one of this.#policies) one.before = true;
    this.changed();
  }

  /** Something has moved: what held before may still be what the stage has seen. */
  changed(): void {
    const nowNs = this.#now();
    const fading = this.#fading && this.nodes.some((node) => node.connected && node.fadesNs <= nowNs);
    for (const { policy } of this.#policies) {
      this.#mayBe(policy.evaluate(this.nodes));
      if (fading) this.#mayBe(policy.evaluate(this.nodes, nowNs));
    }
    if (this.#fading) this.#count(nowNs);
  }

  /** Nothing can be said of what the stage makes of it: a line is being written. */
  blur(): void {
    this.durableMin = 0;
    this.mayBeDegraded = true;
    this.mayBeWhole = true;
  }

  /** The round has taken every mode sent before it, and looked for nodes that were silent for too long when it began. */
  endRound(startNs: number): void {
    let first = this.#policies.length - 1;
    while (first > 0 && !this.#policies[first].before) first--;
    this.#policies = this.#policies.slice(first);
    if (!this.#fading) return;
    for (const node of this.nodes) if (node.connected && node.goneNs <= startNs) this.fellSilent(node);
  }

  /** The stage has noticed, or must have. */
  fellSilent(node: ModelNode): void {
    this.silences++;
    leaveView(node);
  }

  /** Nodes that the stage may have found silent, of which nothing more is known. */
  get fadingNow(): number {
    const nowNs = this.#now();
    return this.nodes.filter((node) => node.connected && node.fadesNs <= nowNs).length;
  }

  /** The policy needs more than there is when everybody is there. */
  get hopeless(): boolean {
    const nodes = this.nodes.map((node) => ({ ...node, connected: true }));
    return this.#policies.some(({ policy }) => policy.evaluate(nodes).degraded);
  }

  #mayBe({ durable, degraded }: ModelVerdict): void {
    if (durable < this.durableMin) this.durableMin = durable;
    if (durable > this.durableMax) this.durableMax = durable;
    if (degraded) this.mayBeDegraded = true;
    else this.mayBeWhole = true;
  }

  #count(nowNs: number): void {
    let certain = 0;
    let possible = 0;
    for (const { connected, fadesNs } of this.nodes) {
      if (!connected) continue;
      possible++;
      if (fadesNs > nowNs) certain++;
    }
    this.viewMin = Math.min(this.viewMin, certain);
    this.viewMax = Math.max(this.viewMax, possible);
  }
}
