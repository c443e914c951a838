import { AckgateError } from '../errors.js';
import { type Clause, checkClause, clauseText } from './clause.js';
import { Blocker, createNodeTable, type NodeTable, PolicyEvaluator } from './evaluator.js';
import { parseClauses } from './parse.js';
import { policyError } from './policy-error.js';
import { fillNodeTable, type NodeCursor } from './view.js';

/** What a policy says of a view. */
export interface PolicyEvaluation {
  /**
   * Highest sequence that may be released: 0 when degraded or for an empty view, Infinity when nothing bounds it
   * (`in_memory>=1`).
   */
  durablePos: number;
  /** Some clause asks for more nodes, or zones, than the view has. */
  degraded: boolean;
}

/**
 * When is a sequence durable enough to be acknowledged? Clauses joined by "and"; the durable position is the
 * smallest of the clauses' positions. Immutable.
 */
export class Policy {
  /** Frozen, in the order given; `across` is left out where it is `'nodes'`. */
  readonly clauses: readonly Clause[];
  #evaluator: PolicyEvaluator | null = null;
  #table: NodeTable | null = null;

  /** Throws an `AckgateError` with a code `ERR_ACKGATE_POLICY_…` that names the clause at fault. */
  constructor(clauses: readonly Clause[]) {
    if (!Array.isArray(clauses)) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'clauses must be an array of clauses');
    }
    if (clauses.length === 0) {
      throw policyError('ERR_ACKGATE_POLICY_EMPTY', 'no clause, give at least one', null);
    }
    this.clauses = Object.freeze(Array.from(clauses, checkObject));
  }

  /**
   * Reads a text such as `persisted>=1 && in_memory>=2` or `persisted>=2 zones`; white space is free.
   * The error of a bad text has the 0-based `position` of the fault.
   */
  static parse(text: string): Policy {
    if (typeof text !== 'string') {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'the policy text must be a string');
    }
    return new Policy(parseClauses(text));
  }

  /**
   * What the policy says of these nodes.
   *
   * @param view the primary first, then every connected replica
   * @throws as `fillNodeTable`
   */
  evaluate(view: readonly NodeCursor[]): PolicyEvaluation {
    const { durablePos, degraded } = this.#run(view);
    return { durablePos, degraded };
  }

  /** Who supplied the binding cursor; null when degraded or unbounded. */
  blocker(view: readonly NodeCursor[]): 'journal' | 'replication' | null {
    const { blocker } = this.#run(view);
    if (blocker === Blocker.none) return null;
    return blocker === Blocker.journal ? 'journal' : 'replication';
  }

  /** The smallest clause position that a replica supplies; null when none does. */
  replicaCursor(view: readonly NodeCursor[]): number | null {
    const { replicaCursor } = this.#run(view);
    return replicaCursor === -1 ? null : replicaCursor;
  }

  /** The canonical text; `Policy.parse` of it gives an equal policy. */
  toString(): string {
    return this.clauses.map(clauseText).join(' && ');
  }

  #run(view: readonly NodeCursor[]): PolicyEvaluator {
    this.#table ??= createNodeTable();
    this.#evaluator ??= new PolicyEvaluator(this);
    fillNodeTable(this.#table, view);
    this.#evaluator.evaluate(this.#table);
    return this.#evaluator;
  }
}

function checkObject(clause: unknown, index: number): Clause {
  if (typeof clause !== 'object' || clause === null) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `clauses[${index}] must be an object { level, count, across? }`,
    );
  }
  const { level, count, across } = clause as Partial<Clause>;
  return checkClause(level, count, across, { index });
}
