import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { cursorsOffset, issuedLine, nodeLines, Word } from '#ackgate/shared/memory.js';
import { highWord, joinWords, lowWord } from '#ackgate/shared/wide.js';
import { createCluster } from './support/cluster.js';
import { codeOf } from './support/values.js';

/** Threads that write cursors until the test is over. */
const writers: { stop: Int32Array; ended: Promise<unknown> }[] = [];

async function startWriter(mode: string, memory: object) {
  const stop = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./fixtures/cursor-writer.mjs', import.meta.url), {
    workerData: { mode, memory, stop },
  });
  const next = () =>
    new Promise<{ rounds: number; code?: string }>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  await next();
  const ended = next();
  writers.push({ stop, ended });
  return {
    rounds: () => Atomics.load(stop, 1),
    async end() {
      Atomics.store(stop, 0, 1);
      return await ended;
    },
  };
}

afterEach(async () => {
  for (const { stop, ended } of writers.splice(0)) {
    Atomics.store(stop, 0, 1);
    await ended;
  }
});

/** Calls `look` while the writer goes on for `rounds` more rounds. */
function during(writer: { rounds: () => number }, rounds: number, look: () => void): number {
  let looks = 0;
  for (const end = writer.rounds() + rounds; writer.rounds() < end; looks++) look();
  return looks;
}

describe('53-bit numbers in two words', () => {
  test('come back whole', () => {
    const values = fc.oneof(
      fc.maxSafeNat(),
      fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1),
    );
    fc.assert(
      fc.property(values, (value) => {
        const words = Int32Array.of(lowWord(value), highWord(value));
        expect(joinWords(words[0]!, words[1]!)).toBe(value);
      }),
    );
  });
});

describe('a reader beside a writer at full speed', () => {
  test('never sees a torn pair, nor one that goes back', async () => {
    const { memory, lines } = createCluster();
    lines.activate(1, 0);
    const writer = await startWriter('pairs', memory);
    let before = 0;
    let moved = 0;
    let failed = 0;
    const looks = during(writer, 1_000_000, () => {
      const { persisted, inMemory, active, version } = lines.read(1);
      if ((version & 1) !== 0) {
        failed++;
        if (persisted !== 0 || inMemory !== 0) expect.unreachable('a failed reading shows a cursor');
        return;
      }
      const round = Math.floor(persisted / 2 ** 32);
      if (!active || persisted !== round * (2 ** 32 + 1) || (persisted > 0 && inMemory !== persisted + 3)) {
        expect.unreachable(`torn: ${inMemory} ${persisted}`);
      }
      if (persisted < before) expect.unreachable(`went back from ${before} to ${persisted}`);
      if (persisted > before) moved++;
      before = persisted;
    });
    // On one core the two take turns; on more they interleave.
    expect(moved).toBeGreaterThan(0);
    expect(failed).toBeLessThan(looks);
  });

  test('connect and disconnect never show a position that is too high', async () => {
    const { memory, lines, cursors, gate } = createCluster('persisted>=2');
    const replica = cursors.node('r1');
    cursors.primary.advance(5_000_000);
    const writer = await startWriter('reconnects', memory);
    const seeds = [1_000_000, 2001];
    const shown = new Set<number>();
    let nodes = 0;
    during(writer, 30_000, () => {
      const { active, inMemory, persisted } = lines.read(1);
      if (!active && (persisted !== 0 || inMemory !== 0))
        expect.unreachable('a disconnected node shows a cursor');
      if (persisted !== 0) {
        const seed = seeds[persisted & 1]!;
        // Of this connection, between its seed and what it advanced to; never of the one before.
        if (persisted < seed || persisted > seed + 40) expect.unreachable(`stale: ${persisted}`);
        if (inMemory !== persisted) expect.unreachable(`mixed: ${inMemory} ${persisted}`);
        shown.add(persisted & 1);
      }
      gate.evaluate();
      nodes |= 1 << gate.connectedNodes;
      if (gate.connectedNodes < 2 && gate.durablePos !== 0) expect.unreachable('open without the replica');
      if (gate.durablePos > 1_000_040) expect.unreachable(`too high: ${gate.durablePos}`);
    });
    expect(shown.size).toBe(2);
    expect(nodes).toBe(0b110);
    const { code } = await writer.end();
    expect(code).toBeUndefined();
    expect(replica.connected).toBe(false);
  });
});

describe('the primary', () => {
  test('advances, is read back, and wakes the stage after the store', () => {
    const { cursors, woken } = createCluster();
    expect(cursors.primary.persisted).toBe(0);
    cursors.primary.advance(2 ** 40 + 7);
    expect(cursors.primary.persisted).toBe(2 ** 40 + 7);
    cursors.primary.advance(2 ** 40 + 7);
    expect(woken.count).toBe(2);
  });

  test('never goes back', () => {
    const { cursors } = createCluster();
    cursors.primary.advance(10);
    expect(codeOf(() => cursors.primary.advance(9))).toBe('ERR_ACKGATE_CURSOR_REGRESSED');
    expect(cursors.primary.persisted).toBe(10);
  });

  test.each([Number.NaN, -1, 0.5, 2 ** 53, '5', undefined, 3n])('refuses the sequence %s', (seq) => {
    const { cursors } = createCluster();
    const code = typeof seq === 'number' ? 'ERR_ACKGATE_SEQUENCE' : 'ERR_ACKGATE_INVALID_ARGUMENT';
    expect(codeOf(() => cursors.primary.advance(seq as number))).toBe(code);
    expect(codeOf(() => cursors.primary.issued(seq as number))).toBe(code);
    expect(cursors.primary.persisted).toBe(0);
  });
});

describe('a replica', () => {
  test('connect seeds both cursors, advance moves either, disconnect zeroes them', () => {
    const { cursors, lines } = createCluster();
    const replica = cursors.node('r1');
    cursors.primary.advance(500);
    expect(replica.connected).toBe(false);
    replica.connect({ persisted: 480 });
    expect(lines.read(1)).toMatchObject({ active: true, inMemory: 480, persisted: 480 });
    replica.advance({ inMemory: 499 });
    replica.advance({ persisted: 490 });
    replica.advance({ inMemory: 500, persisted: 490 });
    expect(lines.read(1)).toMatchObject({ active: true, inMemory: 500, persisted: 490 });
    replica.disconnect();
    expect(lines.read(1)).toMatchObject({ active: false, inMemory: 0, persisted: 0 });
    expect(replica.connected).toBe(false);
  });

  test('neither cursor goes back while connected; a new connection may start lower', () => {
    const { cursors, lines } = createCluster();
    const replica = cursors.node('r1');
    cursors.primary.advance(500);
    replica.connect({ persisted: 400 });
    replica.advance({ inMemory: 450 });
    const code = 'ERR_ACKGATE_CURSOR_REGRESSED';
    expect(codeOf(() => replica.advance({ inMemory: 449 }))).toBe(code);
    expect(codeOf(() => replica.advance({ persisted: 399 }))).toBe(code);
    // All or nothing: the good half of a bad call is not taken.
    expect(codeOf(() => replica.advance({ inMemory: 460, persisted: 399 }))).toBe(code);
    expect(lines.read(1)).toMatchObject({ inMemory: 450, persisted: 400 });
    replica.connect({ persisted: 300 });
    expect(lines.read(1)).toMatchObject({ active: true, inMemory: 300, persisted: 300 });
  });

  test('must be connected to advance; disconnect is idempotent', () => {
    const { cursors, woken } = createCluster();
    const replica = cursors.node('r1');
    expect(codeOf(() => replica.advance({ persisted: 0 }))).toBe('ERR_ACKGATE_CURSOR_NOT_CONNECTED');
    replica.disconnect();
    expect(woken.count).toBe(0);
    replica.connect({ persisted: 0 });
    replica.disconnect();
    replica.disconnect();
    expect(woken.count).toBe(2);
    expect(codeOf(() => replica.advance({ persisted: 0 }))).toBe('ERR_ACKGATE_CURSOR_NOT_CONNECTED');
  });

  test.each([
    [undefined, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [null, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [{}, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [{ persited: 5 }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [{ persisted: null }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [{ persisted: -1 }, 'ERR_ACKGATE_SEQUENCE'],
    [{ persisted: Number.NaN }, 'ERR_ACKGATE_SEQUENCE'],
    [{ inMemory: 1.5 }, 'ERR_ACKGATE_SEQUENCE'],
    [{ inMemory: 2 ** 53 }, 'ERR_ACKGATE_SEQUENCE'],
    [{ inMemory: '9' }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
  ])('advance(%j) is refused', (to, code) => {
    const { cursors, lines } = createCluster();
    const replica = cursors.node('r1');
    replica.connect({ persisted: 0 });
    expect(codeOf(() => replica.advance(to as { persisted: number }))).toBe(code);
    expect(lines.read(1)).toMatchObject({ inMemory: 0, persisted: 0 });
  });

  test.each([
    [undefined, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [{}, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [{ persisted: -1 }, 'ERR_ACKGATE_SEQUENCE'],
    [{ persisted: 1.5 }, 'ERR_ACKGATE_SEQUENCE'],
    [{ persisted: '1' }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [{ persisted: 0, inmemory: 0 }, 'ERR_ACKGATE_UNKNOWN_OPTION'],
  ])('connect(%j) is refused', (seed, code) => {
    const { cursors } = createCluster();
    const replica = cursors.node('r1');
    expect(codeOf(() => replica.connect(seed as { persisted: number }))).toBe(code);
    expect(replica.connected).toBe(false);
  });
});

describe('a replica that is ahead of the primary is refused', () => {
  const ahead = 'ERR_ACKGATE_REPLICA_AHEAD';

  test('by what is on the primary’s disk', () => {
    const { cursors } = createCluster();
    const replica = cursors.node('r1');
    expect(codeOf(() => replica.connect({ persisted: 1 }))).toBe(ahead);
    cursors.primary.advance(7);
    expect(codeOf(() => replica.connect({ persisted: 8 }))).toBe(ahead);
    expect(replica.connected).toBe(false);
    replica.connect({ persisted: 7 });
  });

  test('by what was published', () => {
    const { cursors, producer } = createCluster();
    const replica = cursors.node('r1');
    producer.tryPublish({ connectionId: 1, wireSeq: 2 ** 40, payload: new Uint8Array(1) });
    producer.tryPublish({ connectionId: 1, wireSeq: 0, payload: new Uint8Array(1) });
    expect(codeOf(() => replica.connect({ persisted: 2 ** 40 + 1 }))).toBe(ahead);
    replica.connect({ persisted: 2 ** 40 });
  });

  test('by what the journal has issued, which never falls and never opens the gate', () => {
    const { cursors, gate, lines } = createCluster();
    const replica = cursors.node('r1');
    cursors.primary.issued(90);
    cursors.primary.issued(50);
    expect(codeOf(() => replica.connect({ persisted: 91 }))).toBe(ahead);
    gate.evaluate();
    expect(gate.durablePos).toBe(0);
    expect(gate.connectedNodes).toBe(1);
    replica.connect({ persisted: 90 });
    expect(lines.read(issuedLine).persisted).toBe(90);
  });

  test('and what was connected before stays connected', () => {
    const { cursors, lines } = createCluster();
    const replica = cursors.node('r1');
    cursors.primary.advance(7);
    replica.connect({ persisted: 5 });
    expect(codeOf(() => replica.connect({ persisted: 8 }))).toBe(ahead);
    expect(lines.read(1)).toMatchObject({ active: true, persisted: 5 });
  });
});

describe('two writers of one line', () => {
  test('the second is refused while the first is inside, and nothing changes', () => {
    const { cursors, lines, memory } = createCluster();
    cursors.primary.advance(5);
    const replica = cursors.node('r1');
    replica.connect({ persisted: 5 });
    // As if another thread had stopped between taking the lock and giving it back.
    const words = new Int32Array(memory.buffer);
    const base = cursorsOffset / 4;
    words[base] = words[base]! + 1;
    words[base + 32] = words[base + 32]! + 1;
    expect(codeOf(() => cursors.primary.advance(6))).toBe('ERR_ACKGATE_CURSOR_CONTENDED');
    expect(codeOf(() => replica.advance({ persisted: 6 }))).toBe('ERR_ACKGATE_CURSOR_CONTENDED');
    expect(lines.read(1)).toMatchObject({ active: true, inMemory: 0, persisted: 0 });
    words[base] = words[base]! + 1;
    words[base + 32] = words[base + 32]! + 1;
    expect(lines.read(0).persisted).toBe(5);
    expect(lines.read(1)).toMatchObject({ active: true, inMemory: 5, persisted: 5 });
  });
});

describe('names and zones', () => {
  test('the same name is the same node, on every object for it', () => {
    const { cursors, lines } = createCluster();
    cursors.node('r1').connect({ persisted: 0 });
    expect(cursors.node('r1').connected).toBe(true);
    expect(cursors.node('r2').connected).toBe(false);
    expect([1, 2].map((line) => lines.isActive(line))).toEqual([true, false]);
  });

  test.each([
    ['', undefined],
    ['x'.repeat(63), undefined],
    ['ü'.repeat(32), undefined],
    [5, undefined],
    [undefined, undefined],
    ['primary', undefined],
    ['r1', { zone: '' }],
    ['r1', { zone: 7 }],
    ['r1', { zone: 'z'.repeat(61) }],
    ['r1', null],
  ])('node(%j, %j) is refused', (name, options) => {
    const { cursors, names } = createCluster();
    expect(codeOf(() => cursors.node(name as string, options as object))).toBe(
      'ERR_ACKGATE_INVALID_ARGUMENT',
    );
    expect(names.count).toBe(1);
  });

  test('a misspelt option is refused: the node would stand alone', () => {
    const { cursors } = createCluster();
    const make = () => cursors.node('r1', { zoen: 'a' } as object);
    expect(codeOf(make)).toBe('ERR_ACKGATE_UNKNOWN_OPTION');
    expect(make).toThrow(/zoen/);
  });

  test('the longest names and zones, byte for byte', () => {
    const { cursors, names } = createCluster();
    cursors.node('ü'.repeat(31), { zone: 'z'.repeat(60) }).connect({ persisted: 0 });
    cursors.node('r2', { zone: 'y'.repeat(60) });
    expect(names.name(1)).toBe('ü'.repeat(31));
    expect(names.zone(1)).toBe('z'.repeat(60));
    expect(names.zone(2)).toBe('y'.repeat(60));
  });

  test('a zone is fixed once given, and may be left out later', () => {
    const { cursors } = createCluster();
    cursors.node('r1', { zone: 'a' });
    expect(cursors.node('r1').connected).toBe(false);
    expect(codeOf(() => cursors.node('r1', { zone: 'b' }))).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
    cursors.node('r2');
    expect(codeOf(() => cursors.node('r2', { zone: 'a' }))).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  });

  test('at most 15 replicas are connected at once, more may have names', () => {
    const { cursors, gate } = createCluster();
    const replicas = Array.from({ length: 20 }, (_, i) => cursors.node(`r${i}`));
    for (const replica of replicas.slice(0, 15)) replica.connect({ persisted: 0 });
    expect(codeOf(() => replicas[15]!.connect({ persisted: 0 }))).toBe('ERR_ACKGATE_CLUSTER_FULL');
    replicas[3]!.connect({ persisted: 0 });
    replicas[4]!.disconnect();
    replicas[15]!.connect({ persisted: 0 });
    gate.evaluate();
    expect(gate.connectedNodes).toBe(16);
  });

  test('names run out, and retire gives one back', () => {
    const { cursors } = createCluster();
    const nodes = Array.from({ length: nodeLines - 1 }, (_, i) => cursors.node(`r${i}`));
    expect(codeOf(() => cursors.node('one more'))).toBe('ERR_ACKGATE_CLUSTER_FULL');
    nodes[30]!.retire();
    cursors.node('one more').connect({ persisted: 0 });
  });

  test('a retired object never reaches the node that has its line now', () => {
    const { cursors, lines } = createCluster();
    const old = cursors.node('old');
    const copy = cursors.node('old');
    cursors.primary.advance(100);
    old.connect({ persisted: 10 });
    old.retire();
    const young = cursors.node('young');
    young.connect({ persisted: 20 });
    expect(old.connected).toBe(false);
    expect(codeOf(() => old.advance({ persisted: 90 }))).toBe('ERR_ACKGATE_CURSOR_NOT_CONNECTED');
    expect(codeOf(() => old.connect({ persisted: 90 }))).toBe('ERR_ACKGATE_CURSOR_NOT_CONNECTED');
    expect(codeOf(() => copy.connect({ persisted: 90 }))).toBe('ERR_ACKGATE_CURSOR_NOT_CONNECTED');
    old.disconnect();
    old.retire();
    expect(lines.read(1)).toMatchObject({ active: true, persisted: 20 });
    expect(cursors.node('young').connected).toBe(true);
  });

  test('a lock that a thread took to its grave is an error, not a hang', () => {
    const { cursors, memory } = createCluster();
    Atomics.store(new Int32Array(memory.buffer), Word.namesLock, 1);
    expect(codeOf(() => cursors.node('r1'))).toBe('ERR_ACKGATE_CURSOR_CONTENDED');
  });

  test('two threads adding and retiring names keep every line with one name', async () => {
    const { cursors, memory, names } = createCluster();
    const writer = await startWriter('names', memory);
    const kept = cursors.node('kept', { zone: 'zone 1' });
    kept.connect({ persisted: 0 });
    during(writer, 3000, () => {
      const node = cursors.node('mine', { zone: 'zone 2' });
      node.connect({ persisted: 0 });
      if (!kept.connected || names.name(1) === '') return;
      node.retire();
    });
    const { code } = await writer.end();
    expect(code).toBeUndefined();
    expect(kept.connected).toBe(true);
    const used = Array.from({ length: names.count }, (_, line) => names.name(line)).filter(
      (name) => name !== '',
    );
    expect(new Set(used).size).toBe(used.length);
    expect(used).toContain('kept');
  });
});

describe('zones through retiring and adding', () => {
  const operations = fc.array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      zone: fc.constantFrom(undefined, 'x', 'y', 'z'),
      retire: fc.boolean(),
    }),
    { maxLength: 40 },
  );

  test('equal zones have one id, different zones never share one, nodes without one stand alone', () => {
    const check = (list: { name: string; zone: string | undefined; retire: boolean }[]) => {
      const { cursors, lines, names } = createCluster('persisted>=1', { zone: 'x' });
      const nodes = new Map([['primary', 'x' as string | undefined]]);
      for (const { name, zone, retire } of list) {
        if (retire && nodes.has(name)) {
          cursors.node(name).retire();
          nodes.delete(name);
        } else if (!retire && !nodes.has(name)) {
          cursors.node(name, zone === undefined ? {} : { zone }).connect({ persisted: 0 });
          nodes.set(name, zone);
        }
        const ids = new Map<string, number>();
        for (let line = 0; line < names.count; line++) {
          if (names.name(line) === '') {
            expect(lines.isActive(line)).toBe(false);
            continue;
          }
          const expected = nodes.get(names.name(line));
          const { zone: id } = lines.read(line);
          expect(names.zone(line)).toBe(expected ?? '');
          if (expected === undefined) expect(id).toBe(-1);
          else expect(id).toBe(ids.get(expected) ?? id);
          if (expected !== undefined) ids.set(expected, id);
        }
        expect(new Set(ids.values()).size).toBe(ids.size);
      }
    };
    fc.assert(fc.property(operations, check), { numRuns: 200 });
  });
});
