import { createNodeTable, type NodeTable, PolicyEvaluator, type ResolvedPolicy } from '../../policy/index.js';
import { type ClusterShape, zoneOf } from './shape.js';

/** Tells for every order whose cursor was the last that the policy waited for. */
export class LastCursor {
  /** Orders that became durable with the primary's cursor, and with a replica's. */
  journal = 0;
  replication = 0;
  readonly #table: NodeTable = createNodeTable();
  readonly #evaluator: PolicyEvaluator;
  #position: number;

  constructor({ policy }: ResolvedPolicy, cluster: ClusterShape) {
    const zones: string[] = [];
    this.#table.count = cluster.nodes;
    for (let node = 0; node < cluster.nodes; node++) {
      const zone = zoneOf(node, cluster);
      if (!zones.includes(zone)) zones.push(zone);
      this.#table.zone[node] = zones.indexOf(zone);
    }
    this.#evaluator = new PolicyEvaluator(policy);
    this.#evaluator.evaluate(this.#table);
    this.#position = this.#evaluator.durablePos;
  }

  /** A node's cursors stand here now; node 0 is the primary. */
  moved(node: number, inMemory: number, persisted: number): void {
    this.#table.inMemory[node] = inMemory;
    this.#table.persisted[node] = persisted;
    this.#evaluator.evaluate(this.#table);
    const { durablePos } = this.#evaluator;
    if (durablePos <= this.#position) return;
    if (node === 0) this.journal += durablePos - this.#position;
    else this.replication += durablePos - this.#position;
    this.#position = durablePos;
  }
}
