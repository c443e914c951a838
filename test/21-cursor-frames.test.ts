import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SilenceWatch } from '#ackgate/gate/silence-watch.js';
import { type CursorFrame, silentLogger } from '#ackgate/index.js';
import { cursorsOffset, nodeLines } from '#ackgate/shared/memory.js';
import { createCluster } from './support/cluster.js';
import { codeOf } from './support/values.js';

/** A frame of r1 in epoch 1 that can be taken once the primary has issued 100. */
function frame(more: Partial<CursorFrame> = {}): CursorFrame {
  return { node: 'r1', epoch: 1, inMemory: 50, persisted: 40, at: 1000, ...more };
}

function create(policy = 'in_memory>=2', issued = 100) {
  const cluster = createCluster(policy);
  cluster.cursors.primary.issued(issued);
  return {
    ...cluster,
    take: (more?: Partial<CursorFrame>) => cluster.cursors.ingest(frame(more)),
    line: (line = 1) => ({ ...cluster.lines.read(line) }),
  };
}

const out = { active: false, inMemory: 0, persisted: 0 };

describe('a frame', () => {
  test('of a new node adds it, takes it into the view, and wakes the stage', () => {
    const { cursors, line, take, woken, gate } = create();
    expect(take({ zone: 'a' })).toBe('taken');
    expect(line()).toMatchObject({ active: true, inMemory: 50, persisted: 40 });
    expect(woken.count).toBe(1);
    expect(cursors.nodes()).toEqual([
      { name: 'r1', zone: 'a', connected: true, inMemory: 50, persisted: 40, epoch: 1, silentMs: 0 },
    ]);
    gate.evaluate();
    expect(gate.durablePos).toBe(50);
  });

  test('counts what is on disk as in memory too', () => {
    const { line, take } = create();
    take({ inMemory: 3, persisted: 40 });
    expect(line()).toMatchObject({ inMemory: 40, persisted: 40 });
  });

  test('moves each cursor on, and neither back', () => {
    const { line, take } = create();
    take();
    expect(take({ at: 1001, inMemory: 60, persisted: 30 })).toBe('taken');
    expect(line()).toMatchObject({ inMemory: 60, persisted: 40 });
    expect(take({ at: 1001.5, inMemory: 10, persisted: 45 })).toBe('taken');
    expect(line()).toMatchObject({ active: true, inMemory: 60, persisted: 45 });
  });

  test('that says nothing new is a sign of life, and no reason to wake the stage', () => {
    const { cursors, take, time, woken } = create();
    take();
    time.nowNs += 7e6;
    expect(cursors.nodes()[0].silentMs).toBe(7);
    expect(take({ at: 1001 })).toBe('taken');
    expect(woken.count).toBe(1);
    expect(cursors.nodes()[0].silentMs).toBe(0);
  });

  test.each([1000, 999.5, 0])('of the time %d again is repeated: no sign of life, nothing changes', (at) => {
    const { cursors, line, take, time } = create();
    take();
    const before = line();
    time.nowNs += 5e6;
    expect(take({ at, inMemory: 90, persisted: 90 })).toBe('repeated');
    expect({ ...line(), version: 0 }).toEqual({ ...before, version: 0 });
    expect(cursors.nodes()[0].silentMs).toBe(5);
  });

  test('of an epoch that is over changes nothing', () => {
    const { cursors, line, take } = create();
    take({ epoch: 7 });
    expect(take({ epoch: 6, at: 2000, inMemory: 90, persisted: 90 })).toBe('stale-epoch');
    expect(line()).toMatchObject({ active: true, inMemory: 50, persisted: 40 });
    expect(cursors.nodes()[0].epoch).toBe(7);
  });

  test('of a higher epoch seeds anew, lower ones included, whatever its time', () => {
    const { line, take, woken } = create();
    take();
    expect(take({ epoch: 2, at: 3, inMemory: 20, persisted: 10 })).toBe('taken');
    expect(line()).toMatchObject({ active: true, inMemory: 20, persisted: 10 });
    expect(woken.count).toBe(2);
    expect(take({ at: 4000, inMemory: 90 })).toBe('stale-epoch');
  });

  test('keeps epochs, sequences and times whole up to 2^53-1', () => {
    const max = Number.MAX_SAFE_INTEGER;
    const { cursors, line, take } = create('in_memory>=2', max);
    expect(take({ epoch: max - 1, inMemory: max, persisted: max - 2 ** 32, at: 0 })).toBe('taken');
    expect(line()).toMatchObject({ inMemory: max, persisted: max - 2 ** 32 });
    expect(take({ epoch: max - 2, at: max })).toBe('stale-epoch');
    expect(take({ epoch: max - 1, at: 2 ** -20 })).toBe('taken');
    expect(take({ epoch: max - 1, at: max })).toBe('taken');
    expect(take({ epoch: max - 1, at: max })).toBe('repeated');
    expect(take({ epoch: max })).toBe('taken');
    expect(cursors.nodes()[0].epoch).toBe(max);
  });

  test('epoch 0 and time 0 are as good as any', () => {
    const { take } = create();
    expect(take({ epoch: 0, at: 0 })).toBe('taken');
    expect(take({ epoch: 0, at: 0 })).toBe('repeated');
  });
});

describe('a frame that is ahead of the primary', () => {
  test.each([{ inMemory: 101 }, { persisted: 101 }])('in its epoch (%j) leaves all as it was', (over) => {
    const { cursors, line, take, time } = create();
    take();
    time.nowNs += 1e6;
    expect(take({ at: 2000, ...over })).toBe('ahead');
    expect(line()).toMatchObject({ active: true, inMemory: 50, persisted: 40 });
    expect(cursors.nodes()[0].silentMs).toBe(1);
    // Nothing of it was taken, its time neither.
    expect(take({ at: 1500 })).toBe('taken');
  });

  test('in a new epoch takes the node out, for what it said before is void', () => {
    const { cursors, line, take, woken } = create();
    take();
    expect(take({ epoch: 2, inMemory: 101 })).toBe('ahead');
    expect(line()).toMatchObject(out);
    expect(woken.count).toBe(2);
    expect(cursors.nodes()).toMatchObject([{ connected: false, epoch: 2 }]);
    expect(take({ at: 2000 })).toBe('stale-epoch');
    expect(take({ epoch: 2, at: 0 })).toBe('taken');
    expect(line()).toMatchObject({ active: true, inMemory: 50, persisted: 40 });
  });

  test('of a new node is remembered, and the node stays out', () => {
    const { cursors, line, take, woken } = create();
    expect(take({ persisted: 101 })).toBe('ahead');
    expect(line()).toMatchObject(out);
    expect(woken.count).toBe(0);
    expect(cursors.nodes()).toMatchObject([{ name: 'r1', connected: false, epoch: 1, silentMs: null }]);
    cursors.primary.advance(101);
    expect(take({ persisted: 101 })).toBe('taken');
  });

  test('is compared with what was published, too', () => {
    const { producer, take } = create('in_memory>=2', 0);
    expect(take({ inMemory: 7, persisted: 7 })).toBe('ahead');
    producer.tryPublish({ connectionId: 1, wireSeq: 7, payload: new Uint8Array(1) });
    expect(take({ inMemory: 7, persisted: 7 })).toBe('taken');
  });
});

describe('a frame that is none', () => {
  const invalid = 'ERR_ACKGATE_INVALID_ARGUMENT';
  const sequence = 'ERR_ACKGATE_SEQUENCE';
  const outOfRange = 'ERR_ACKGATE_OUT_OF_RANGE';
  test.each([
    [undefined, invalid, 'frame'],
    [null, invalid, 'frame'],
    ['r1', invalid, 'frame'],
    [[], invalid, 'frame'],
    [{}, invalid, 'node'],
    [{ ...frame(), persited: 5 }, 'ERR_ACKGATE_UNKNOWN_OPTION', 'persited'],
    [frame({ node: '' }), invalid, 'node'],
    [frame({ node: 7 as never }), invalid, 'node'],
    [frame({ node: 'ü'.repeat(32) }), invalid, 'node'],
    [frame({ node: 'primary' }), invalid, 'node'],
    [frame({ zone: '' }), invalid, 'zone'],
    [frame({ zone: null as never }), invalid, 'zone'],
    [frame({ zone: 'z'.repeat(61) }), invalid, 'zone'],
    [frame({ epoch: -1 }), outOfRange, 'epoch'],
    [frame({ epoch: 0.5 }), outOfRange, 'epoch'],
    [frame({ epoch: 2 ** 53 }), outOfRange, 'epoch'],
    [frame({ epoch: Number.NaN }), outOfRange, 'epoch'],
    [frame({ epoch: '1' as never }), invalid, 'epoch'],
    [frame({ epoch: null as never }), invalid, 'epoch'],
    [frame({ inMemory: -1 }), sequence, 'inMemory'],
    [frame({ inMemory: 1.5 }), sequence, 'inMemory'],
    [frame({ inMemory: undefined as never }), invalid, 'inMemory'],
    [frame({ persisted: 2 ** 53 }), sequence, 'persisted'],
    [frame({ persisted: '40' as never }), invalid, 'persisted'],
    [frame({ at: -1 }), outOfRange, 'at'],
    [frame({ at: Number.NaN }), outOfRange, 'at'],
    [frame({ at: Number.POSITIVE_INFINITY }), outOfRange, 'at'],
    [frame({ at: 2 ** 53 }), outOfRange, 'at'],
    [frame({ at: undefined as never }), invalid, 'at'],
    [frame({ at: '0' as never }), invalid, 'at'],
  ])('%j is refused, by name', (value, code, field) => {
    const { cursors, names, woken } = create();
    const call = () => cursors.ingest(value as CursorFrame);
    expect(codeOf(call)).toBe(code);
    expect(call).toThrow(field);
    expect(names.count).toBe(1);
    expect(woken.count).toBe(0);
  });

  test('with another zone than before changes nothing; without one, nothing is asked', () => {
    const { cursors, line, take } = create();
    take({ zone: 'a' });
    expect(codeOf(() => take({ zone: 'b', at: 2000, inMemory: 60 }))).toBe(invalid);
    expect(line()).toMatchObject({ inMemory: 50 });
    expect(take({ at: 2000, inMemory: 60 })).toBe('taken');
    cursors.ingest(frame({ node: 'r2' }));
    expect(codeOf(() => cursors.ingest(frame({ node: 'r2', zone: 'a', at: 2000 })))).toBe(invalid);
    expect(cursors.nodes().map(({ zone }) => zone)).toEqual(['a', null]);
  });

  test('is read once: what was checked is what is taken', () => {
    const { line, cursors } = create();
    let reads = 0;
    const sly = Object.defineProperty({ ...frame() }, 'persisted', {
      enumerable: true,
      get: () => (reads++ === 0 ? 40 : 99),
    });
    cursors.ingest(sly);
    expect(line()).toMatchObject({ persisted: 40, inMemory: 50 });
  });
});

describe('room', () => {
  test('at most 15 nodes count beside the primary; a frame too many changes nothing', () => {
    const { cursors } = create();
    for (let i = 0; i < 15; i++) cursors.ingest(frame({ node: `n${i}` }));
    const extra = () => cursors.ingest(frame({ node: 'extra' }));
    expect(codeOf(extra)).toBe('ERR_ACKGATE_CLUSTER_FULL');
    expect(cursors.nodes().at(-1)).toMatchObject({ name: 'extra', connected: false, epoch: null });
    // Those that are in stay in, also over a change of epoch.
    expect(cursors.ingest(frame({ node: 'n3', epoch: 2 }))).toBe('taken');
    cursors.node('n4').disconnect();
    expect(extra()).toBe('taken');
  });

  test('the names run out', () => {
    const { cursors } = create();
    for (let i = 1; i < nodeLines; i++) cursors.node(`n${i}`);
    expect(codeOf(() => cursors.ingest(frame()))).toBe('ERR_ACKGATE_CLUSTER_FULL');
  });
});

describe('disconnect and retire', () => {
  test('epoch and time outlive a disconnect, and the next frame connects', () => {
    const { cursors, line, take } = create();
    take({ epoch: 3 });
    cursors.node('r1').disconnect();
    expect(line()).toMatchObject(out);
    expect(take({ epoch: 2, at: 5000 })).toBe('stale-epoch');
    expect(take({ epoch: 3 })).toBe('repeated');
    expect(line()).toMatchObject(out);
    // Of an earlier connection nothing remains: lower cursors are as they are told.
    expect(take({ epoch: 3, at: 1001, inMemory: 9, persisted: 8 })).toBe('taken');
    expect(line()).toMatchObject({ active: true, inMemory: 9, persisted: 8 });
  });

  test('retire forgets all: the name is a new node’s, in any thread that knows the line', () => {
    const { cursors, line, take } = create();
    take({ epoch: 3 });
    cursors.node('r1').retire();
    expect(line()).toMatchObject(out);
    expect(cursors.nodes()).toEqual([]);
    const young = cursors.node('young');
    young.connect({ persisted: 5 });
    // The line that r1 had is another node's.
    expect(take({ epoch: 1, at: 1 })).toBe('taken');
    expect(line(1)).toMatchObject({ active: true, inMemory: 5, persisted: 5 });
    expect(line(2)).toMatchObject({ active: true, inMemory: 50, persisted: 40 });
    expect(cursors.nodes()).toMatchObject([
      { name: 'young', epoch: null, silentMs: null },
      { name: 'r1', epoch: 1 },
    ]);
  });

  test('a frame behind retire adds the node under its name, in another zone if need be', () => {
    const { cursors, line, take, names } = create();
    take({ zone: 'a' });
    cursors.node('r1').retire();
    expect(take({ zone: 'a', epoch: 0 })).toBe('taken');
    expect(names.name(1)).toBe('r1');
    cursors.node('r1').retire();
    expect(take({ zone: 'b' })).toBe('taken');
    expect(line()).toMatchObject({ active: true, persisted: 40 });
    expect(cursors.nodes()).toMatchObject([{ name: 'r1', zone: 'b', epoch: 1 }]);
  });

  test('names that come and go leave nothing behind', () => {
    const { cursors, names } = create();
    for (let i = 0; i < 1000; i++) {
      cursors.ingest(frame({ node: `pod ${i}` }));
      cursors.node(`pod ${i}`).retire();
    }
    expect(names.count).toBe(2);
    expect(cursors.nodes()).toEqual([]);
  });

  test('a node that was connected by a call is seeded anew by its first frame', () => {
    const { cursors, line, take } = create();
    cursors.node('r1').connect({ persisted: 90 });
    expect(take()).toBe('taken');
    expect(line()).toMatchObject({ active: true, inMemory: 50, persisted: 40 });
  });
});

describe('a line that another thread has locked', () => {
  test('for good is an error, not a hang', () => {
    const { take, memory } = create();
    take();
    const words = new Int32Array(memory.buffer, cursorsOffset);
    words[32]++;
    expect(codeOf(() => take({ at: 2000 }))).toBe('ERR_ACKGATE_CURSOR_CONTENDED');
    words[32]++;
    expect(take({ at: 2000 })).toBe('taken');
  }, 20_000);
});

describe('any history of frames', () => {
  const node = fc.nat({ max: 2 });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ does: fc.constant('issue' as const), by: fc.integer({ min: 1, max: 9 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ does: fc.constant('receive' as const), node, by: fc.nat({ max: 12 }) }),
    },
    { weight: 4, arbitrary: fc.record({ does: fc.constant('sync' as const), node }) },
    { weight: 8, arbitrary: fc.record({ does: fc.constant('say' as const), node }) },
    // `pick`: out of order; `keep`: the frame comes again later.
    {
      weight: 10,
      arbitrary: fc.record({ does: fc.constant('deliver' as const), pick: fc.nat(), keep: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('lose' as const), pick: fc.nat() }) },
    // `cut`: its disk goes back too, as when its tail is of another history.
    {
      weight: 1,
      arbitrary: fc.record({ does: fc.constant('restart' as const), node, cut: fc.nat({ max: 5 }) }),
    },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('disconnect' as const), node }) },
    {
      weight: 3,
      arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 700 }) }),
    },
  );
  type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

  /** A node as it is, and what it has had in each of its epochs. */
  class TrueNode {
    epoch = 0;
    inMemory = 0;
    persisted = 0;
    at = 0;
    /** By epoch: what it had when the epoch ended, or has now. */
    readonly had = [{ inMemory: 0, persisted: 0 }];

    set(inMemory: number, persisted: number): void {
      this.inMemory = inMemory;
      this.persisted = persisted;
      this.had[this.epoch] = { inMemory, persisted };
    }
  }

  /** What the primary should believe of a node, by the rules in their plainest form. */
  interface Belief {
    epoch: number;
    at: number;
    connected: boolean;
    inMemory: number;
    persisted: number;
    heardNs: number;
  }

  const staleAfterNs = 1e9;
  const unheard = { epoch: -1, at: -1, connected: false, inMemory: 0, persisted: 0, heardNs: 0 };

  function follow(belief: Belief, said: CursorFrame, nowNs: number): string {
    const { epoch, at, inMemory, persisted } = said;
    if (epoch < belief.epoch) return 'stale-epoch';
    if (epoch === belief.epoch && at <= belief.at) return 'repeated';
    const goesOn = belief.connected && epoch === belief.epoch;
    Object.assign(belief, {
      epoch,
      at,
      connected: true,
      inMemory: goesOn ? Math.max(belief.inMemory, inMemory) : inMemory,
      persisted: goesOn ? Math.max(belief.persisted, persisted) : persisted,
      heardNs: nowNs,
    });
    return 'taken';
  }

  function play(steps: readonly Step[]): Set<string> {
    const { cursors, lines, frames, names: list, time } = create('in_memory>=2 && persisted>=1', 0);
    const watch = new SilenceWatch({ frames, names: list, logger: silentLogger, staleAfterNs });
    const nodes = [new TrueNode(), new TrueNode(), new TrueNode()];
    const beliefs: Belief[] = nodes.map(() => ({ ...unheard }));
    const names = ['a', 'b', 'c'];
    // So that the lines are known.
    for (const name of names) cursors.node(name);
    const network: CursorFrame[] = [];
    const seen = new Set<string>();
    let issued = 0;
    const actions = {
      issue({ by }: { by: number }) {
        issued += by;
        cursors.primary.issued(issued);
      },
      receive({ node, by }: { node: number; by: number }) {
        nodes[node].set(Math.min(issued, nodes[node].inMemory + by), nodes[node].persisted);
      },
      sync({ node }: { node: number }) {
        nodes[node].set(nodes[node].inMemory, nodes[node].inMemory);
      },
      say({ node }: { node: number }) {
        const { epoch, inMemory, persisted } = nodes[node];
        network.push({ node: names[node], epoch, inMemory, persisted, at: ++nodes[node].at });
      },
      deliver({ pick, keep }: { pick: number; keep: boolean }) {
        if (network.length === 0) return;
        const [said] = keep ? [network[pick % network.length]] : network.splice(pick % network.length, 1);
        const result = cursors.ingest(said);
        seen.add(result);
        expect(result).toBe(follow(beliefs[names.indexOf(said.node)], said, time.nowNs));
      },
      lose({ pick }: { pick: number }) {
        if (network.length > 0) network.splice(pick % network.length, 1);
      },
      restart({ node, cut }: { node: number; cut: number }) {
        nodes[node].epoch++;
        const persisted = Math.max(0, nodes[node].persisted - cut);
        nodes[node].set(persisted, persisted);
      },
      disconnect({ node }: { node: number }) {
        cursors.node(names[node]).disconnect();
        Object.assign(beliefs[node], { connected: false, inMemory: 0, persisted: 0 });
      },
      pass({ ms }: { ms: number }) {
        time.nowNs += ms * 1e6;
        watch.tick(time.nowNs);
        for (const belief of beliefs) {
          if (!belief.connected || time.nowNs - belief.heardNs < staleAfterNs) continue;
          Object.assign(belief, { connected: false, inMemory: 0, persisted: 0 });
          seen.add('silent');
        }
      },
    };
    for (const each of steps) {
      (actions[each.does] as (step: Step) => void)(each);
      for (const [index, belief] of beliefs.entries()) {
        const { active, inMemory, persisted } = lines.read(index + 1);
        const { connected } = belief;
        expect({ active, inMemory, persisted }).toEqual({
          active: connected,
          inMemory: belief.inMemory,
          persisted: belief.persisted,
        });
        if (!connected) continue;
        // The truth, whatever the rules are: never more than the node has, or had in the epoch that it was last heard in.
        const { had, epoch } = nodes[index];
        expect(inMemory).toBeLessThanOrEqual(had[belief.epoch].inMemory);
        expect(persisted).toBeLessThanOrEqual(had[belief.epoch].persisted);
        if (belief.epoch < epoch) seen.add('behind');
      }
    }
    return seen;
  }

  test('shows what the last ones said, and never more than the node has', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        for (const what of play(steps)) seen.add(what);
      }),
      { numRuns: 400 },
    );
    expect([...seen].sort()).toEqual(['behind', 'repeated', 'silent', 'stale-epoch', 'taken']);
  });
});

describe('a thread that feeds the lines beside a stage that finds them silent', () => {
  test('nothing is torn, nobody is refused, and the last frame stands', async () => {
    const { memory, lines, frames, cursors, gate } = create('in_memory>=3', 2 ** 52);
    for (const name of ['r1', 'r2']) cursors.node(name);
    const stop = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(new URL('./fixtures/frame-feeder.mjs', import.meta.url), {
      workerData: { memory, stop },
    });
    onTestFinished(() => void worker.terminate());
    await once(worker, 'message');
    const ended = once(worker, 'message');
    const endMs = performance.now() + 30_000;
    let silenced = 0;
    let shown = 0;
    while ((silenced < 2000 || shown < 2000 || Atomics.load(stop, 1) < 20_000) && performance.now() < endMs) {
      for (let line = 1; line <= 2; line++) {
        const frame = frames.read(line);
        if (frame?.active) {
          const { epoch, inMemory, persisted } = frame;
          const number = persisted % 2 ** 32;
          if (number >= 40 || persisted !== number * (2 ** 32 + 1) || inMemory !== persisted + 3 + epoch) {
            expect.unreachable(`torn: ${epoch} ${inMemory} ${persisted}`);
          }
          shown++;
        } else if (frame !== null && (frame.inMemory !== 0 || frame.persisted !== 0)) {
          expect.unreachable('a node that is out shows a cursor');
        }
        // As if every frame were too old.
        if (frames.silence(line, frames.tenancy(line), Number.MAX_SAFE_INTEGER)) silenced++;
      }
      gate.evaluate();
      if (gate.connectedNodes < 3 && gate.durablePos !== 0) expect.unreachable('open without the nodes');
    }
    Atomics.store(stop, 0, 1);
    const [{ code, counts, last }] = await ended;
    expect(code).toBeUndefined();
    expect(silenced).toBeGreaterThanOrEqual(2000);
    expect(shown).toBeGreaterThanOrEqual(2000);
    expect(counts).toMatchObject({ repeated: 0, 'stale-epoch': 0, ahead: 0 });
    for (const line of [1, 2]) {
      const { inMemory, persisted } = last;
      expect(lines.read(line)).toMatchObject({ active: true, inMemory, persisted });
    }
  }, 60_000);
});
