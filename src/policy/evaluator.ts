import { AckgateError } from '../errors.js';
import { type Clause, MAX_CLUSTER_SIZE } from './clause.js';

/**
 * The cursors of the connected nodes, entry 0 the primary, at most `MAX_CLUSTER_SIZE` of them.
 * The primary's in-memory cursor is not looked at: it counts as infinite.
 */
export interface NodeTable {
  /** Nodes in the table, 0 … 16: the first entries of each array. */
  count: number;
  /** Highest sequence accepted into the node's pipeline. */
  readonly inMemory: Float64Array;
  /** Highest sequence on the node's disk. */
  readonly persisted: Float64Array;
  /** Zone number ≥ 0, or -1: the node stands alone. */
  readonly zone: Int32Array;
}

/** An empty table with room for the largest cluster. */
export function createNodeTable(): NodeTable {
  return {
    count: 0,
    inMemory: new Float64Array(MAX_CLUSTER_SIZE),
    persisted: new Float64Array(MAX_CLUSTER_SIZE),
    zone: new Int32Array(MAX_CLUSTER_SIZE).fill(-1),
  };
}

/** The subsystem that supplied the binding cursor. */
export const Blocker = {
  /** Nobody: the policy is degraded, or nothing bounds the position. */
  none: 0,
  /** The primary's own journal. */
  journal: 1,
  /** A replica. */
  replication: 2,
} as const;
/** One of the values of `Blocker`. */
export type BlockerNumber = (typeof Blocker)[keyof typeof Blocker];

/**
 * Evaluates one policy over and over without allocating: one per thread and policy. The results are the fields,
 * all from one `evaluate`, valid until the next.
 */
export class PolicyEvaluator {
  /** Highest sequence that may be released: 0 when degraded, Infinity when nothing bounds it. */
  durablePos = 0;
  /** True exactly when some clause asks for more nodes (or zones) than there are. */
  degraded = true;
  /** `none` when degraded or unbounded. */
  blocker: BlockerNumber = Blocker.none;
  /** Smallest clause position supplied by a replica; -1 when none is. */
  replicaCursor = -1;
  /** The first clause with the smallest position; -1 when nobody binds. */
  bindingClause = -1;
  /** Table index of the binding clause's marginal node; -1 when nobody binds. */
  bindingNode = -1;
  /** Table index of the replica that supplies `replicaCursor`; -1 when none does. */
  replicaNode = -1;
  /** The first clause that asks for more than there is; -1 when all can be met. */
  unmetClause = -1;

  readonly #clauseCount: number;
  readonly #needsDisk: Uint8Array;
  readonly #needs: Uint8Array;
  readonly #acrossZones: Uint8Array;
  /** Effective cursor per node, and the nodes ranked by it, for the level ranked last. */
  readonly #cursor = new Float64Array(MAX_CLUSTER_SIZE);
  readonly #rank = new Int32Array(MAX_CLUSTER_SIZE);

  /** @param policy a `Policy`, whose clauses are right */
  constructor(policy: { readonly clauses: readonly Clause[] }) {
    const { clauses } = policy;
    this.#clauseCount = clauses.length;
    this.#needsDisk = Uint8Array.from(clauses, (clause) => (clause.level === 'persisted' ? 1 : 0));
    this.#needs = Uint8Array.from(clauses, (clause) => clause.count);
    this.#acrossZones = Uint8Array.from(clauses, (clause) => (clause.across === 'zones' ? 1 : 0));
  }

  /**
   * Evaluates the policy over these nodes, into the fields. The cursors are not checked.
   *
   * @throws ERR_ACKGATE_CLUSTER_FULL for more nodes than the largest cluster has
   */
  evaluate(nodes: NodeTable): void {
    if (nodes.count > MAX_CLUSTER_SIZE) {
      throw new AckgateError('ERR_ACKGATE_CLUSTER_FULL', `nodes.count must be at most ${MAX_CLUSTER_SIZE}`);
    }
    let smallest = Number.POSITIVE_INFINITY;
    let smallestOfReplica = Number.POSITIVE_INFINITY;
    this.bindingClause = -1;
    this.bindingNode = -1;
    this.replicaNode = -1;
    this.unmetClause = -1;

    let rankedFor = -1;
    for (let clause = 0; clause < this.#clauseCount; clause++) {
      const needsDisk = this.#needsDisk[clause];
      if (needsDisk !== rankedFor) this.#rankNodes(nodes, needsDisk === 1);
      rankedFor = needsDisk;

      const node = this.#marginalNode(nodes, clause);
      if (node === -1) {
        if (this.unmetClause === -1) this.unmetClause = clause;
        continue;
      }
      // Strictly smaller: the first clause with the smallest position binds, and an infinite one never does.
      const position = this.#cursor[node];
      if (position < smallest) {
        smallest = position;
        this.bindingClause = clause;
        this.bindingNode = node;
      }
      if (node !== 0 && position < smallestOfReplica) {
        smallestOfReplica = position;
        this.replicaNode = node;
      }
    }

    this.replicaCursor = this.replicaNode === -1 ? -1 : smallestOfReplica;
    this.degraded = this.unmetClause !== -1;
    if (this.degraded) {
      this.durablePos = 0;
      this.blocker = Blocker.none;
      this.bindingClause = -1;
      this.bindingNode = -1;
    } else {
      this.durablePos = smallest;
      this.blocker = blockerOf(this.bindingNode);
    }
  }

  /** Ranks by effective cursor descending, ties by ascending index (insertion sort: at most 16 nodes, stable). */
  #rankNodes(nodes: NodeTable, byDisk: boolean): void {
    const cursor = this.#cursor;
    const rank = this.#rank;
    for (let node = 0; node < nodes.count; node++) {
      const effective = byDisk ? nodes.persisted[node] : effectiveInMemory(nodes, node);
      cursor[node] = effective;
      let place = node;
      for (; place > 0 && cursor[rank[place - 1]] < effective; place--) rank[place] = rank[place - 1];
      rank[place] = node;
    }
  }

  /** The node at rank `count`; in a clause across zones only the first-ranked of each zone counts. -1: too few. */
  #marginalNode(nodes: NodeTable, clause: number): number {
    const needed = this.#needs[clause];
    if (this.#acrossZones[clause] === 0) return needed <= nodes.count ? this.#rank[needed - 1] : -1;
    let counted = 0;
    for (let place = 0; place < nodes.count; place++) {
      if (!this.#isFirstOfItsZone(nodes, place)) continue;
      counted++;
      if (counted === needed) return this.#rank[place];
    }
    return -1;
  }

  #isFirstOfItsZone(nodes: NodeTable, place: number): boolean {
    const zone = nodes.zone[this.#rank[place]];
    if (zone === -1) return true;
    for (let before = 0; before < place; before++) {
      if (nodes.zone[this.#rank[before]] === zone) return false;
    }
    return true;
  }
}

function effectiveInMemory(nodes: NodeTable, node: number): number {
  // The stage only gates what the primary's engine has processed already.
  if (node === 0) return Number.POSITIVE_INFINITY;
  // On disk implies in memory.
  return Math.max(nodes.inMemory[node], nodes.persisted[node]);
}

function blockerOf(bindingNode: number): BlockerNumber {
  if (bindingNode === -1) return Blocker.none;
  return bindingNode === 0 ? Blocker.journal : Blocker.replication;
}
