import {
  Blocker,
  createNodeTable,
  MAX_CLUSTER_SIZE,
  type NodeTable,
  PolicyEvaluator,
  type ResolvedPolicy,
} from '../policy/index.js';
import { RecordFlag } from '../ring/layout.js';
import type { CursorLines } from './cursor-lines.js';

/** Number of lines to look at; grows when nodes get names. */
export interface NodeCount {
  readonly count: number;
}

/**
 * Holds records until their sequence is durable.
 *
 * `evaluate` reads the cursors once per batch; the position it finds holds for the whole batch. It is kept until a
 * cursor line or the policy changes.
 */
export class Gate {
  /** Times that a record had to wait, and openings by who had been binding. */
  waits = 0;
  openedByJournal = 0;
  openedByReplication = 0;

  readonly #lines: CursorLines;
  readonly #names: NodeCount;
  readonly #nodes: NodeTable = createNodeTable();
  /** Line of each table entry, to see which node an entry is. */
  readonly #lineOf = new Int32Array(MAX_CLUSTER_SIZE);
  readonly #versions: Int32Array;
  #seenCount = 0;
  #policy: ResolvedPolicy;
  #evaluator: PolicyEvaluator;
  #stale = true;
  #membership = 0;
  #waitingFor = -1;

  constructor(lines: CursorLines, names: NodeCount, lineCount: number, policy: ResolvedPolicy) {
    this.#lines = lines;
    this.#names = names;
    this.#versions = new Int32Array(lineCount).fill(-1);
    this.#policy = policy;
    this.#evaluator = new PolicyEvaluator(policy.policy);
  }

  get policy(): ResolvedPolicy {
    return this.#policy;
  }

  /** The result of the last evaluation. */
  get evaluator(): PolicyEvaluator {
    return this.#evaluator;
  }

  /** Highest sequence that may be released. */
  get durablePos(): number {
    return this.#evaluator.durablePos;
  }

  get connectedNodes(): number {
    return this.#nodes.count;
  }

  /** The primary's persisted cursor as of the last evaluation. */
  get journalCursor(): number {
    return this.#nodes.count === 0 ? 0 : this.#nodes.persisted[0];
  }

  /** Changes whenever a node joins or leaves the view. */
  get membership(): number {
    return this.#membership;
  }

  /** True exactly while a record waits for its sequence. */
  get closed(): boolean {
    return this.#waitingFor >= 0;
  }

  /** Sequence of the first record that waits, 0: none does. */
  get waitingFor(): number {
    return Math.max(0, this.#waitingFor);
  }

  /** Takes a new policy; the position found under the old one is thrown away. */
  setPolicy(policy: ResolvedPolicy): void {
    this.#policy = policy;
    this.#evaluator = new PolicyEvaluator(policy.policy);
    this.#stale = true;
  }

  /** True when a cursor has moved, or a node come or gone, since the last evaluation. */
  changed(): boolean {
    const count = this.#names.count;
    if (this.#stale || count !== this.#seenCount) return true;
    for (let line = 0; line < count; line++) {
      if (this.#lines.version(line) !== this.#versions[line]) return true;
    }
    return false;
  }

  /** Brings the position up to date. Returns whether it was looked at anew. */
  evaluate(): boolean {
    if (!this.changed()) return false;
    this.#snapshot();
    this.#evaluator.evaluate(this.#nodes);
    this.#stale = false;
    if (this.closed && this.#waitingFor <= this.#evaluator.durablePos) this.#open();
    return true;
  }

  /** Whether the record may leave, under the position of the last evaluation. */
  releasable(wireSeq: number, flags: number): boolean {
    return wireSeq <= this.#evaluator.durablePos || (flags & RecordFlag.durabilityBypass) !== 0;
  }

  /** The first record that may not leave yet ended the batch. */
  hold(wireSeq: number): void {
    if (!this.closed) this.waits++;
    this.#waitingFor = wireSeq;
  }

  /** Nobody waits any more: the records are gone. */
  forget(): void {
    this.#waitingFor = -1;
  }

  #open(): void {
    this.#waitingFor = -1;
    if (this.#evaluator.blocker === Blocker.journal) this.openedByJournal++;
    else if (this.#evaluator.blocker === Blocker.replication) this.openedByReplication++;
  }

  #snapshot(): void {
    const nodes = this.#nodes;
    let entries = 0;
    let sameNodes = true;
    this.#seenCount = this.#names.count;
    for (let line = 0; line < this.#seenCount; line++) {
      const cursor = this.#lines.read(line);
      this.#versions[line] = cursor.version;
      if (!cursor.active || entries === MAX_CLUSTER_SIZE) continue;
      nodes.inMemory[entries] = cursor.inMemory;
      nodes.persisted[entries] = cursor.persisted;
      nodes.zone[entries] = cursor.zone;
      if (entries >= nodes.count || this.#lineOf[entries] !== line) sameNodes = false;
      this.#lineOf[entries] = line;
      entries++;
    }
    if (!sameNodes || entries !== nodes.count) this.#membership++;
    nodes.count = entries;
  }
}
