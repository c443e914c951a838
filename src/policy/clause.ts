import { policyError } from './policy-error.js';

/** What a node can have reached for a sequence; the words of the policy text. */
export type Level = 'in_memory' | 'persisted';

/** What a clause counts: nodes, or the distinct zones that they stand in. */
export type Across = 'nodes' | 'zones';

/** "At least `count` connected nodes (or zones), the primary included, have reached `level`." */
export interface Clause {
  /** What the nodes must have reached. */
  readonly level: Level;
  /** How many of them, 1 … `MAX_CLUSTER_SIZE`. */
  readonly count: number;
  /** What is counted (default `'nodes'`). */
  readonly across?: Across;
}

/** Largest cluster, the primary included, and so the largest count of a clause. */
export const MAX_CLUSTER_SIZE = 16;

const levels: readonly string[] = ['in_memory', 'persisted'] satisfies Level[];
const scopes: readonly string[] = ['nodes', 'zones'] satisfies Across[];

/** Where a clause stands, for errors: its number, and for clauses of a text where its parts begin. */
export interface ClausePlace {
  /** 0-based. */
  readonly index: number;
  readonly text?: string;
  readonly levelAt?: number;
  readonly countAt?: number;
  readonly scopeAt?: number;
}

/** A frozen clause in its one canonical form (no `across` for nodes), or a typed error that names it. */
export function checkClause(level: unknown, count: unknown, across: unknown, place: ClausePlace): Clause {
  const clause = { index: place.index, text: place.text ?? describeParts(level, count, across) };
  if (!isOneOf(levels, level)) {
    throw policyError(
      'ERR_ACKGATE_POLICY_UNKNOWN_LEVEL',
      `unknown level ${show(level)}, use ${levels.join(' or ')}`,
      clause,
      place.levelAt,
    );
  }
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0) {
    throw policyError(
      'ERR_ACKGATE_POLICY_BAD_COUNT',
      `the count must be an integer from 1 to ${MAX_CLUSTER_SIZE}, not ${show(count)}`,
      clause,
      place.countAt,
    );
  }
  if (count === 0) {
    throw policyError(
      'ERR_ACKGATE_POLICY_ZERO_COUNT',
      'a count of 0 asks for nothing, use at least 1',
      clause,
      place.countAt,
    );
  }
  if (count > MAX_CLUSTER_SIZE) {
    throw policyError(
      'ERR_ACKGATE_POLICY_COUNT_TOO_LARGE',
      `the count is over the largest cluster, use at most ${MAX_CLUSTER_SIZE}`,
      clause,
      place.countAt,
    );
  }
  if (across !== undefined && !isOneOf(scopes, across)) {
    throw policyError(
      'ERR_ACKGATE_POLICY_UNKNOWN_SCOPE',
      `can't count across ${show(across)}, use ${scopes.join(' or ')}`,
      clause,
      place.scopeAt,
    );
  }
  return Object.freeze(
    across === 'zones'
      ? { level: level as Level, count, across: 'zones' as const }
      : { level: level as Level, count },
  );
}

/** The clause as policy text: `persisted>=2`, `persisted>=2 zones`. */
export function clauseText(clause: Clause): string {
  const text = `${clause.level}>=${clause.count}`;
  return clause.across === 'zones' ? `${text} zones` : text;
}

function isOneOf(words: readonly string[], value: unknown): value is string {
  return typeof value === 'string' && words.includes(value);
}

function describeParts(level: unknown, count: unknown, across: unknown): string {
  const text = `${plain(level)}>=${plain(count)}`;
  return across === undefined ? text : `${text} ${plain(across)}`;
}

/** For messages: any value at all, without calling code of its own. */
function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'symbol' || typeof value === 'function') return typeof value;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'array' : 'object';
  return `${value}`;
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : plain(value);
}
