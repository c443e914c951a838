import { describe, expect, test } from 'vitest';
import { CrossingTracker } from '#ackgate/gate/crossing-tracker.js';
import { resolvePolicy } from '#ackgate/policy/index.js';
import { Consumer, Producer, RecordFlag } from '#ackgate/ring/index.js';
import { startAt } from './fixtures/ring-stream.mjs';
import { createCluster } from './support/cluster.js';

type Sample = ['ring' | 'journal' | 'replica', number];

/** A tracker between a ring and a gate, on a clock that the test turns. */
function create(policy: string, options: { primary?: number; replica?: number; position?: number } = {}) {
  const cluster = createCluster(policy);
  const { memory, cursors, gate } = cluster;
  startAt(memory.output, options.position ?? 0);
  let finishedNs = 0;
  const producer = new Producer(memory.output, {
    stopped: () => false,
    published: () => {},
    stampNs: () => finishedNs,
  });
  const ring = new Consumer(memory.output);
  const replica = cursors.node('r1');
  cursors.primary.issued(10_000);
  cursors.primary.advance(options.primary ?? 0);
  if (options.replica !== undefined) replica.connect({ persisted: options.replica });
  gate.evaluate();
  const samples: Sample[] = [];
  const note = (what: Sample[0]) => (ns: number) => samples.push([what, ns]);
  const sink = { ringWait: note('ring'), journalWait: note('journal'), replicaWait: note('replica') };
  const untimed = new Set<number>();
  const tracker = new CrossingTracker(ring, gate, sink, (position) => !untimed.has(position));
  return {
    ...cluster,
    tracker,
    /** Ring positions of records that are not timed. */
    untimed,
    ring,
    replica,
    /** The engine finishes a response at that time (0: it was not stamped). */
    finish(atNs: number, wireSeq: number, flags = 0) {
      finishedNs = atNs;
      producer.claim(0);
      producer.publish(1, wireSeq, flags);
    },
    /** One round of the stage: returns what the tracker recorded, then releases what the gate lets through. */
    look(nowNs: number): Sample[] {
      const available = ring.available();
      gate.evaluate();
      tracker.observe(available, nowNs);
      let taken = 0;
      while (taken < available) {
        const { wireSeq, flags } = ring.at(taken);
        if (!gate.releasable(wireSeq, flags)) break;
        taken++;
      }
      ring.release(taken);
      return samples.splice(0);
    },
  };
}

describe('the journal', () => {
  test('counts for a record that was not durable at the first look, from its finishing to the crossing', () => {
    const { finish, look, cursors } = create('local');
    finish(100, 1);
    expect(look(150)).toEqual([['ring', 50]]);
    expect(look(200)).toEqual([]);
    cursors.primary.advance(1);
    expect(look(300)).toEqual([['journal', 200]]);
    cursors.primary.advance(2);
    expect(look(400)).toEqual([]);
  });

  test('counts for nothing when it was there at the first look', () => {
    const { finish, look } = create('local', { primary: 5 });
    finish(100, 5);
    expect(look(150)).toEqual([['ring', 50]]);
    expect(look(200)).toEqual([]);
  });

  test('each record counts from its own finishing, those behind the cursor wait on', () => {
    const { finish, look, cursors } = create('local');
    finish(100, 1);
    finish(110, 2);
    finish(120, 3);
    look(130);
    cursors.primary.advance(2);
    expect(look(200)).toEqual([
      ['journal', 100],
      ['journal', 90],
    ]);
    cursors.primary.advance(3);
    expect(look(220)).toEqual([['journal', 100]]);
  });

  test('records that are not timed count for nothing, those around them do', () => {
    const rig = create('local');
    for (let seq = 1; seq <= 3; seq++) rig.finish(100, seq);
    rig.untimed.add((rig.ring.position + 1) | 0);
    expect(rig.look(150)).toEqual([
      ['ring', 50],
      ['ring', 50],
    ]);
    rig.cursors.primary.advance(3);
    expect(rig.look(200)).toEqual([
      ['journal', 100],
      ['journal', 100],
    ]);
  });

  test('records that depend on nothing, bypass the gate, or were not stamped count for nothing', () => {
    const { finish, look, cursors } = create('local');
    finish(100, 1);
    finish(100, 0);
    finish(100, 9, RecordFlag.durabilityBypass);
    finish(0, 2);
    expect(look(150).filter(([what]) => what === 'ring')).toHaveLength(3);
    cursors.primary.advance(2);
    expect(look(200)).toEqual([['journal', 100]]);
  });

  test('waits are told across the wrap of the ring’s 32-bit counters', () => {
    for (const boundary of [2 ** 31, 2 ** 32]) {
      const { finish, look, cursors } = create('local', { position: boundary - 5 });
      for (let seq = 1; seq <= 12; seq++) {
        finish(seq * 1000, seq);
        expect(look(seq * 1000 + 10)).toEqual([['ring', 10]]);
        cursors.primary.advance(seq);
        expect(look(seq * 1000 + 20)).toEqual([['journal', 20]]);
      }
    }
  });
});

describe('the binding replica', () => {
  test('counts by itself, whichever of the two is last', () => {
    const { finish, look, cursors, replica } = create('hybrid', { replica: 0 });
    finish(100, 1);
    look(110);
    replica.advance({ inMemory: 1 });
    expect(look(200)).toEqual([['replica', 100]]);
    cursors.primary.advance(1);
    expect(look(300)).toEqual([['journal', 200]]);
  });

  test('counts for nothing when no clause needs a replica', () => {
    const { finish, look, cursors, replica } = create('local', { replica: 0 });
    finish(100, 1);
    look(110);
    replica.advance({ persisted: 1 });
    cursors.primary.advance(1);
    expect(look(200)).toEqual([['journal', 100]]);
  });

  test('counts for nothing when a replica left the view during the wait', () => {
    const { finish, look, cursors, replica } = create('hybrid', { primary: 9, replica: 0 });
    finish(100, 5);
    look(110);
    replica.disconnect();
    expect(look(120)).toEqual([]);
    replica.connect({ persisted: 9 });
    expect(look(130)).toEqual([]);
    finish(140, 10);
    look(150);
    cursors.primary.advance(10);
    replica.advance({ inMemory: 10 });
    expect(look(200).map(([what]) => what)).toEqual(['journal', 'replica']);
  });
});

describe('what is forgotten', () => {
  test('waits that began under another policy', () => {
    const { finish, look, cursors, gate, tracker } = create('local');
    finish(100, 1);
    look(110);
    gate.setPolicy(resolvePolicy('hybrid'));
    gate.evaluate();
    tracker.restart();
    cursors.primary.advance(1);
    expect(look(200)).toEqual([]);
  });

  test('records that were discarded before they were looked at', () => {
    const { finish, look, ring, cursors } = create('local');
    finish(100, 1);
    look(110);
    finish(120, 2);
    ring.release(ring.available());
    cursors.primary.advance(3);
    expect(look(200)).toEqual([]);
    finish(300, 4);
    look(310);
    cursors.primary.advance(4);
    expect(look(320)).toEqual([['journal', 20]]);
  });
});
