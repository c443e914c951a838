import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Clause, Policy, resolvePolicy } from '#ackgate/policy/index.js';
import { RecordFlag } from '#ackgate/ring/layout.js';
import { cursorsOffset } from '#ackgate/shared/memory.js';
import { createCluster } from './support/cluster.js';

const { durabilityBypass, lastInRequest } = RecordFlag;

/** A gate whose cursors stand where the test says; `null`: not connected. */
function create(policy: string, primary = 0, ...replicas: (number | null)[]) {
  const cluster = createCluster(policy);
  const nodes = replicas.map((_, index) => cluster.cursors.node(`r${index + 1}`));
  cluster.cursors.primary.issued(2 ** 52);
  cluster.cursors.primary.advance(primary);
  for (const [index, persisted] of replicas.entries())
    if (persisted !== null) nodes[index]!.connect({ persisted });
  cluster.gate.evaluate();
  const { gate, cursors } = cluster;
  return {
    ...cluster,
    nodes,
    /** Releases what it may of the sequences, in order, as the stage does; returns what is left. */
    batch(sequences: number[]): number[] {
      gate.evaluate();
      const held = sequences.findIndex((seq) => !gate.releasable(seq, 0));
      if (held < 0) return [];
      gate.hold(sequences[held]!);
      return sequences.slice(held);
    },
    advance: (seq: number) => cursors.primary.advance(seq),
    counts: () => ({
      waits: gate.waits,
      journal: gate.openedByJournal,
      replication: gate.openedByReplication,
    }),
  };
}

describe('a record is releasable', () => {
  test('up to and including the durable position, no further (M10)', () => {
    const { gate } = create('local', 100);
    expect(gate.durablePos).toBe(100);
    expect(gate.releasable(100, 0)).toBe(true);
    expect(gate.releasable(101, 0)).toBe(false);
    expect(gate.releasable(101, lastInRequest)).toBe(false);
  });

  test('at sequence 0 always, also when degraded or when nothing is durable', () => {
    const { gate } = create('persisted>=3', 100);
    expect(gate.evaluator.degraded).toBe(true);
    expect(gate.durablePos).toBe(0);
    expect(gate.releasable(0, 0)).toBe(true);
    expect(gate.releasable(1, 0)).toBe(false);
  });

  test('with the bypass flag, whatever its sequence', () => {
    const { gate } = create('local', 0);
    expect(gate.releasable(2 ** 53 - 1, durabilityBypass)).toBe(true);
    expect(gate.releasable(5, durabilityBypass | lastInRequest)).toBe(true);
  });

  test('each on its own: a batch does not wait for its largest sequence (M06)', () => {
    const { batch } = create('local', 5);
    expect(batch([3, 5, 6, 4, 9])).toEqual([6, 4, 9]);
  });

  test('without a bound under in_memory>=1', () => {
    const { gate } = create('in_memory>=1', 0);
    expect(gate.durablePos).toBe(Number.POSITIVE_INFINITY);
    expect(gate.releasable(2 ** 53 - 1, 0)).toBe(true);
  });
});

describe('waits and who is named for them', () => {
  test('a wait is counted once, however often it is looked at, and so is its opening', () => {
    const { batch, advance, counts, gate } = create('local', 5);
    for (let round = 0; round < 10; round++) expect(batch([7, 8])).toEqual([7, 8]);
    advance(6);
    expect(batch([7, 8])).toEqual([7, 8]);
    expect(counts()).toEqual({ waits: 1, journal: 0, replication: 0 });
    expect(gate.closed).toBe(true);
    advance(8);
    expect(batch([7, 8])).toEqual([]);
    expect(gate.closed).toBe(false);
    expect(counts()).toEqual({ waits: 1, journal: 1, replication: 0 });
    advance(9);
    batch([]);
    expect(counts()).toEqual({ waits: 1, journal: 1, replication: 0 });
  });

  test('a batch that stops again after an opening is a second wait', () => {
    const { batch, advance, counts } = create('local', 5);
    batch([6, 7, 8]);
    advance(6);
    expect(batch([6, 7, 8])).toEqual([7, 8]);
    expect(counts()).toEqual({ waits: 2, journal: 1, replication: 0 });
  });

  test('nobody is named when nobody waited', () => {
    const { batch, advance, counts } = create('local', 5);
    advance(50);
    expect(batch([6, 50])).toEqual([]);
    expect(counts()).toEqual({ waits: 0, journal: 0, replication: 0 });
  });

  test('the snapshot that opened the gate says who, not the one that closed it', () => {
    const { batch, advance, nodes, counts } = create('hybrid', 10, 5);
    // Closed by the replica (5 < 10) …
    expect(batch([8, 20])).toEqual([8, 20]);
    nodes[0]!.advance({ inMemory: 30 });
    // … opened under a snapshot in which the journal binds.
    expect(batch([8, 20])).toEqual([20]);
    expect(counts()).toEqual({ waits: 2, journal: 1, replication: 0 });
    advance(40);
    expect(batch([20, 35])).toEqual([35]);
    expect(counts()).toEqual({ waits: 3, journal: 1, replication: 1 });
  });

  test('on a tie of two disks the replica is the marginal one', () => {
    const { batch, advance, nodes, counts } = create('persisted>=2', 0, 0);
    expect(batch([5])).toEqual([5]);
    nodes[0]!.advance({ persisted: 5 });
    advance(5);
    expect(batch([5])).toEqual([]);
    expect(counts()).toEqual({ waits: 1, journal: 0, replication: 1 });
  });

  test('an opening into an unbounded policy has nobody to name', () => {
    const { gate, batch, counts } = create('local', 0);
    batch([1]);
    gate.setPolicy(resolvePolicy('in_memory>=1'));
    expect(batch([1])).toEqual([]);
    expect(counts()).toEqual({ waits: 1, journal: 0, replication: 0 });
  });

  test('records that are thrown away wait no more', () => {
    const { gate, batch, advance, counts } = create('local', 0);
    batch([1]);
    gate.forget();
    expect(gate.closed).toBe(false);
    advance(1);
    batch([]);
    expect(counts()).toEqual({ waits: 1, journal: 0, replication: 0 });
  });
});

describe('the cached position', () => {
  test('is kept while nothing changes', () => {
    const { gate, advance } = create('hybrid', 5, 5);
    expect(gate.changed()).toBe(false);
    expect(gate.evaluate()).toBe(false);
    advance(5);
    expect(gate.changed()).toBe(true);
    expect(gate.evaluate()).toBe(true);
    expect(gate.evaluate()).toBe(false);
  });

  test('holds for the whole batch: a cursor that moves meanwhile counts from the next one on', () => {
    const { gate, advance } = create('local', 5);
    advance(9);
    expect(gate.releasable(6, 0)).toBe(false);
    gate.evaluate();
    expect(gate.releasable(6, 0)).toBe(true);
  });

  test('is thrown away with the mode it was found under (M27)', () => {
    const { gate } = create('local', 500, 100);
    expect(gate.durablePos).toBe(500);
    gate.setPolicy(resolvePolicy('durably-replicated'));
    expect(gate.changed()).toBe(true);
    gate.evaluate();
    expect(gate.durablePos).toBe(100);
    expect(gate.releasable(101, 0)).toBe(false);
    gate.setPolicy(resolvePolicy('local'));
    gate.evaluate();
    expect(gate.durablePos).toBe(500);
  });

  test('may dip after a reconnect', () => {
    const { gate, nodes } = create('persisted>=2', 600, 500);
    expect(gate.durablePos).toBe(500);
    nodes[0]!.disconnect();
    gate.evaluate();
    expect(gate.durablePos).toBe(0);
    nodes[0]!.connect({ persisted: 480 });
    gate.evaluate();
    expect(gate.durablePos).toBe(480);
  });

  test('follows a new name, a connect, an advance, a disconnect and a retiring', () => {
    const { gate, cursors } = create('hybrid', 5);
    const change = (what: () => void) => {
      expect(gate.changed()).toBe(false);
      what();
      expect(gate.evaluate()).toBe(true);
    };
    change(() => cursors.node('late'));
    const late = cursors.node('late');
    change(() => late.connect({ persisted: 3 }));
    expect(gate.durablePos).toBe(3);
    change(() => late.advance({ inMemory: 4 }));
    expect(gate.durablePos).toBe(4);
    change(() => late.disconnect());
    expect(gate.evaluator.degraded).toBe(true);
    late.connect({ persisted: 1 });
    gate.evaluate();
    change(() => late.retire());
    expect(gate.connectedNodes).toBe(1);
  });

  test('a node that is being written when it is looked at reads 0 and is looked at again', () => {
    const { gate, lines, memory, nodes } = create('persisted>=2', 50, 40);
    const words = new Int32Array(memory.buffer);
    const lock = cursorsOffset / 4 + 32;
    words[lock] = words[lock]! + 1;
    if (lines.version(1) % 2 === 0) expect.unreachable('this is not the lock of the line');
    gate.evaluate();
    expect(gate.durablePos).toBe(0);
    words[lock] = words[lock]! + 1;
    expect(gate.changed()).toBe(true);
    gate.evaluate();
    expect(gate.durablePos).toBe(40);
    expect(nodes[0]!.connected).toBe(true);
  });

  test('a node that is being written stays in its zone: one rack never counts as two', () => {
    const { cursors, gate, memory } = createCluster('persisted>=1 && in_memory>=2 zones', { zone: 'a' });
    cursors.primary.advance(50);
    const replica = cursors.node('replica', { zone: 'a' });
    replica.connect({ persisted: 40 });
    const words = new Int32Array(memory.buffer);
    const lockOfPrimary = cursorsOffset / 4;
    words[lockOfPrimary] = words[lockOfPrimary]! + 1;
    gate.evaluate();
    expect(gate.evaluator.degraded).toBe(true);
    expect(gate.durablePos).toBe(0);
  });
});

test('membership changes exactly when a node joins or leaves', () => {
  const { gate, nodes } = create('hybrid', 9, 5, 5, null);
  const start = gate.membership;
  nodes[0]!.advance({ inMemory: 6 });
  gate.evaluate();
  expect(gate.membership).toBe(start);
  nodes[2]!.connect({ persisted: 0 });
  gate.evaluate();
  expect(gate.membership).toBe(start + 1);
  nodes[0]!.disconnect();
  nodes[1]!.advance({ inMemory: 7 });
  gate.evaluate();
  expect(gate.membership).toBe(start + 2);
  expect(gate.connectedNodes).toBe(3);
});

interface NaiveNode {
  inMemory: number;
  persisted: number;
  zone: string | undefined;
  connected: boolean;
}

/** Position of one clause, straight from its definition. */
function naiveClause({ level, count, across }: Clause, nodes: NaiveNode[]): number {
  const present = nodes.filter((node) => node.connected);
  const cursors = present.map((node, index) => ({
    cursor:
      level === 'persisted'
        ? node.persisted
        : index === 0
          ? Infinity
          : Math.max(node.inMemory, node.persisted),
    zone: across === 'zones' ? (node.zone ?? `alone ${index}`) : `node ${index}`,
  }));
  const best = new Map<string, number>();
  for (const { cursor, zone } of cursors) best.set(zone, Math.max(cursor, best.get(zone) ?? 0));
  return [...best.values()].sort((a, b) => b - a)[count - 1] ?? 0;
}

test('any history of cursors and modes gives the position that its definition gives', () => {
  const clause = fc.record({
    level: fc.constantFrom('persisted' as const, 'in_memory' as const),
    count: fc.integer({ min: 1, max: 4 }),
    across: fc.constantFrom('nodes' as const, 'zones' as const),
  });
  const policy = fc.array(clause, { minLength: 1, maxLength: 3 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('primary' as const), by: fc.nat(20) }),
    fc.record({ kind: fc.constant('connect' as const), node: fc.nat(3), persisted: fc.nat(60) }),
    fc.record({ kind: fc.constant('advance' as const), node: fc.nat(3), memory: fc.nat(9), disk: fc.nat(9) }),
    fc.record({ kind: fc.constant('disconnect' as const), node: fc.nat(3) }),
    fc.record({ kind: fc.constant('policy' as const), policy }),
  );
  const zones = [undefined, 'x', 'x', 'y', undefined];

  const property = fc.property(policy, fc.array(step, { maxLength: 40 }), (first, steps) => {
    const { gate, cursors } = createCluster(new Policy(first).toString());
    cursors.primary.issued(1000);
    const names = ['r1', 'r2', 'r3', 'r4'];
    const replicas = names.map((name, i) => {
      const zone = zones[i + 1];
      return cursors.node(name, zone === undefined ? {} : { zone });
    });
    const nodes: NaiveNode[] = zones.map((zone, i) => ({
      inMemory: 0,
      persisted: 0,
      zone,
      connected: i === 0,
    }));
    let clauses: Clause[] = first;
    for (const one of steps) {
      if (one.kind === 'primary') {
        nodes[0]!.persisted += one.by;
        cursors.primary.advance(nodes[0]!.persisted);
      } else if (one.kind === 'policy') {
        clauses = one.policy;
        gate.setPolicy(resolvePolicy(new Policy(clauses).toString()));
      } else {
        const node = nodes[one.node + 1]!;
        const replica = replicas[one.node]!;
        if (one.kind === 'connect') {
          Object.assign(node, { inMemory: one.persisted, persisted: one.persisted, connected: true });
          replica.connect({ persisted: one.persisted });
        } else if (one.kind === 'disconnect') {
          Object.assign(node, { inMemory: 0, persisted: 0, connected: false });
          replica.disconnect();
        } else if (node.connected) {
          node.inMemory += one.memory;
          node.persisted += one.disk;
          replica.advance({ inMemory: node.inMemory, persisted: node.persisted });
        }
      }
      gate.evaluate();
      const expected = Math.min(...clauses.map((each) => naiveClause(each, nodes)));
      const zonesOf = (across: Clause['across']) =>
        new Set(
          nodes.map((n, i) => (across === 'zones' ? (n.zone ?? i) : i)).filter((_, i) => nodes[i]!.connected),
        );
      const degraded = clauses.some(({ count, across }) => count > zonesOf(across).size);
      expect(gate.evaluator.degraded).toBe(degraded);
      expect(gate.durablePos).toBe(degraded ? 0 : expected);
      expect(gate.journalCursor).toBe(nodes[0]!.persisted);
      for (const seq of [0, expected, expected + 1].filter(Number.isFinite)) {
        expect(gate.releasable(seq, 0)).toBe(seq <= gate.durablePos);
      }
    }
  });
  fc.assert(property, { numRuns: 500 });
});
