import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Policy, Producer } from '#ackgate/index.js';
import { Rig, realBackends, Tag, until } from './support/stage.js';

/** A thread that moves the cursors of replicas through a posted handle. */
async function startReplicas(rig: Rig) {
  const worker = new Worker(new URL('./fixtures/stage-replica.mjs', import.meta.url), {
    workerData: rig.stage.share(),
  });
  onTestFinished(() => void worker.terminate());
  await once(worker, 'message');
  return async (node: string, op: string, argument?: object, zone?: string): Promise<string> => {
    const answered = once(worker, 'message');
    worker.postMessage({ node, op, argument, zone });
    return (await answered)[0];
  };
}

describe.each(realBackends)('the gate of a running stage, %s', (backend) => {
  it('holds an answer until the cursor has reached its sequence, and no longer', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    for (const seq of [1, 2, 3]) rig.publish({ id, seq });
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 0, gateClosed: 1, ringDepth: 3 });

    rig.stage.cursors.primary.advance(2);
    expect(await client.untilAnswers(2)).toEqual([1, 2]);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 2, gateClosed: 1, durablePos: 2 });

    rig.stage.cursors.primary.advance(3);
    expect(await client.untilAnswers(3)).toEqual([1, 2, 3]);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ gateClosed: 0, ringDepth: 0 });
  });

  it('ends a batch at the first answer that may not leave, whatever comes behind it', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    const other = await rig.attach();
    rig.publish({ id, seq: 1 });
    rig.publish({ id, seq: 4 });
    rig.publish({ id: other.id, seq: 2 });
    rig.publish({ id: other.id, seq: 0, number: 100 });
    rig.publish({ id: other.id, seq: 9, number: 101, bypass: true });

    rig.stage.cursors.primary.advance(2);
    expect(await client.untilAnswers(1)).toEqual([1]);
    await rig.settled();
    expect(other.client.answers).toEqual([]);

    rig.stage.cursors.primary.advance(4);
    expect(await client.untilAnswers(2)).toEqual([1, 4]);
    expect(await other.client.untilAnswers(3)).toEqual([2, 100, 101]);
  });

  it('lets answers through that depend on nothing, or carry nothing, in their turn', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    rig.publish({ id, seq: 0, number: 1 });
    rig.publish({ id, seq: 700, number: 2, bypass: true });
    rig.publish({ id, seq: 1, number: 3 });
    rig.publish({ id, seq: 0, number: 4 });
    expect(await client.untilAnswers(2)).toEqual([1, 2]);
    await rig.settled();
    expect(client.answers).toEqual([1, 2]);
    rig.stage.cursors.primary.advance(1);
    expect(await client.untilAnswers(4)).toEqual([1, 2, 3, 4]);
  });

  it('opens within a round when the mode asks for less', async () => {
    const rig = await Rig.start({ backend, policy: 'hybrid' });
    const { id, client } = await rig.attach();
    rig.stage.cursors.primary.advance(10);
    rig.publish({ id, seq: 5 });
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({
      mode: 'hybrid',
      policyDegraded: 1,
      durablePos: 0,
      recordsReleased: 0,
    });
    rig.stage.setMode('local');
    expect(await client.untilAnswers(1)).toEqual([5]);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ mode: 'local', policyDegraded: 0, policy: 'persisted>=1' });
    const change = rig.log.find(({ message }) => message.includes('changed'));
    expect(change?.fields).toMatchObject({ from: 'hybrid', to: 'local' });
    expect(rig.log.filter(({ message }) => message.includes('degraded'))).toHaveLength(1);
  });

  it('throws the position away that was found under a weaker mode', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    rig.stage.cursors.primary.advance(10);
    rig.publish({ id, seq: 5 });
    await client.untilAnswers(1);
    rig.stage.setMode('durably-replicated');
    rig.publish({ id, seq: 6 });
    await rig.settled();
    expect(client.answers).toEqual([5]);
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 1, gateClosed: 1, durablePos: 0 });

    rig.stage.setMode(new Policy([{ level: 'persisted', count: 1 }]));
    expect(await client.untilAnswers(2)).toEqual([5, 6]);
    await rig.settled();
    expect(rig.stage.status().mode).toBe('custom');
  });

  it('follows replicas that another thread connects, advances and takes away', async () => {
    const rig = await Rig.start({ backend, policy: 'persisted>=2' });
    const { id, client } = await rig.attach();
    const replica = await startReplicas(rig);
    rig.stage.cursors.primary.advance(500);
    rig.publish({ id, seq: 480 });
    rig.publish({ id, seq: 481 });
    rig.publish({ id, seq: 500 });
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ policyDegraded: 1, connectedNodes: 1, recordsReleased: 0 });

    expect(await replica('r1', 'connect', { persisted: 480 })).toBe('done');
    expect(await client.untilAnswers(1)).toEqual([480]);
    // Accepted into memory is not on disk.
    expect(await replica('r1', 'advance', { inMemory: 500 })).toBe('done');
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 1, durablePos: 480, connectedNodes: 2 });
    expect(await replica('r1', 'advance', { persisted: 490 })).toBe('done');
    expect(await client.untilAnswers(2)).toEqual([480, 481]);

    // What it has on disk after a rejoin may be less: the position dips, and what was released stays released.
    expect(await replica('r1', 'disconnect')).toBe('done');
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ policyDegraded: 1, durablePos: 0 });
    expect(await replica('r1', 'connect', { persisted: 470 })).toBe('done');
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ policyDegraded: 0, durablePos: 470, recordsReleased: 2 });

    expect(await replica('r1', 'advance', { persisted: 460 })).toBe('ERR_ACKGATE_CURSOR_REGRESSED');
    expect(await replica('r2', 'advance', { persisted: 1 })).toBe('ERR_ACKGATE_CURSOR_NOT_CONNECTED');
    expect(await replica('r2', 'connect', { persisted: 501 })).toBe('ERR_ACKGATE_REPLICA_AHEAD');
    expect(await replica('r1', 'advance', { persisted: 500 })).toBe('done');
    expect(await client.untilAnswers(3)).toEqual([480, 481, 500]);
  });

  it('counts zones once, and is degraded while there are too few', async () => {
    const rig = await Rig.start({ backend, policy: 'persisted>=2 zones', zone: 'a' });
    const { id, client } = await rig.attach();
    const replica = await startReplicas(rig);
    rig.stage.cursors.primary.advance(10);
    rig.publish({ id, seq: 7 });
    expect(await replica('same', 'connect', { persisted: 10 }, 'a')).toBe('done');
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ policyDegraded: 1, connectedNodes: 2, recordsReleased: 0 });
    expect(await replica('other', 'connect', { persisted: 6 }, 'b')).toBe('done');
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ policyDegraded: 0, durablePos: 6, recordsReleased: 0 });
    expect(await replica('other', 'advance', { persisted: 7 })).toBe('done');
    expect(await client.untilAnswers(1)).toEqual([7]);
  });

  it('counts who had been binding, once for each time that it opened', async () => {
    const rig = await Rig.start({ backend, policy: 'persisted>=1 && in_memory>=2' });
    const { id, client } = await rig.attach();
    const replica = rig.stage.cursors.node('r1');
    replica.connect({ persisted: 0 });
    const counters = async () => {
      await rig.settled();
      const { gateWaits, gateJournal, gateReplication } = rig.stage.status();
      return { gateWaits, gateJournal, gateReplication };
    };
    replica.advance({ inMemory: 5 });
    for (const seq of [1, 2]) rig.publish({ id, seq });
    await rig.settled();
    rig.stage.cursors.primary.advance(2);
    await client.untilAnswers(2);
    expect(await counters()).toEqual({ gateWaits: 1, gateJournal: 1, gateReplication: 0 });

    rig.stage.cursors.primary.advance(8);
    rig.publish({ id, seq: 7 });
    await rig.settled();
    replica.advance({ inMemory: 7 });
    await client.untilAnswers(3);
    expect(await counters()).toEqual({ gateWaits: 2, gateJournal: 1, gateReplication: 1 });

    // Nobody had to wait for this one.
    rig.publish({ id, seq: 7 });
    await client.untilAnswers(4);
    expect(await counters()).toEqual({ gateWaits: 2, gateJournal: 1, gateReplication: 1 });
  });

  it('keeps the mode in force when a mode byte is corrupt, and says so once for each', async () => {
    const rig = await Rig.start({ backend, policy: 'durably-replicated' });
    const writer = new Producer(rig.stage.share().memory.control);
    const modeKind = 5;
    const corrupt = (byte: number, text: string) => {
      writer.bytes.set(Buffer.from(text), writer.claim(text.length));
      writer.publish(0, byte, 0, modeKind);
    };
    for (let i = 0; i < 3; i++) corrupt(77, '');
    corrupt(255, 'persisted>=');
    corrupt(255, '');
    corrupt(4, '');
    writer.release();
    const { id, client } = await rig.attach();
    rig.stage.cursors.primary.advance(5);
    rig.publish({ id, seq: 1 });
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ mode: 'durably-replicated', recordsReleased: 0 });
    await until('all is logged', () => rig.log.filter(({ level }) => level === 'error').length >= 4);
    expect(rig.log.filter(({ level }) => level === 'error').map(({ fields }) => fields.byte)).toEqual([
      77, 255, 255, 4,
    ]);
    expect(client.bodies).toEqual([]);
  });

  it('ends within the drain time: what was released is sent, what was not never is', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    const { primary } = rig.stage.cursors;
    primary.advance(2);
    for (const seq of [1, 2, 3]) rig.publish({ id, seq });
    const closed = rig.stage.close({ drainMs: 200 });
    await until('it drains', () => rig.stage.status().state !== 'running');
    expect(rig.stage.producer.tryPublish({ connectionId: id, wireSeq: 0, payload: new Uint8Array(1) })).toBe(
      'stopped',
    );
    await closed;
    expect(rig.stage.status()).toMatchObject({ state: 'closed', recordsReleased: 2, recordsDiscarded: 1 });
    expect(await client.untilEnded()).toBe('end');
    expect(client.answers).toEqual([1, 2]);
    primary.advance(3);
    expect(client.answers).toEqual([1, 2]);
  });

  it('releases while it drains, and ends as soon as nothing is left', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    rig.publish({ id, seq: 1 });
    // Far longer than any test may take: only the end of the work ends this.
    const closed = rig.stage.close({ drainMs: 1e6 });
    await until('it drains', () => rig.stage.status().state === 'draining');
    rig.stage.cursors.primary.advance(1);
    await closed;
    expect(await client.untilEnded()).toBe('end');
    expect(client.answers).toEqual([1]);
  });

  it('does everything else at the same pace while it is closed', async () => {
    const rig = await Rig.start({ backend, policy: 'durably-replicated', heartbeatIntervalMs: 50 });
    const { id, client } = await rig.attach();
    const gone = await rig.attach();
    rig.publish({ id, seq: 1 });
    await rig.settled();
    expect(rig.stage.status().gateClosed).toBe(1);

    await until('heartbeats come', () => client.count(Tag.heartbeat) >= 3);
    expect(rig.stage.push(id, Uint8Array.of(0x20, 1, 2))).toBe(true);
    await until('the push has come', () => client.count(0x20) === 1);
    expect(rig.stage.busy(id)).toBe(true);
    await until('the notice has come', () => client.count(Tag.serverBusy) === 1);
    expect(rig.stage.notify(id, 3)).toBe(true);
    await until('the next has come', () => client.count(Tag.disconnect) === 1);
    expect(rig.stage.disconnect(gone.id, { when: 'now', reason: 9 })).toBe(true);
    expect(await gone.client.untilEnded()).toBe('end');
    expect(gone.client.bodies.at(-1)).toEqual(Buffer.of(Tag.disconnect, 9));
    const late = await rig.attach();
    expect(rig.stage.push(late.id, Uint8Array.of(0x20))).toBe(true);
    await until('it was attached', () => late.client.count(0x20) === 1);
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 0, gateClosed: 1 });
    rig.stage.cursors.primary.advance(1);
    rig.stage.setMode('local');
    await client.untilAnswers(1);
  });

  it('brings a ring of eight slots through its end many times, in step with the cursor', async () => {
    const rig = await Rig.start({ backend, ring: { capacity: 8, maxPayload: 64 }, recordsPerBatch: 3 });
    const { id, client } = await rig.attach();
    const count = 1000;
    let full = 0;
    for (let seq = 1; seq <= count; ) {
      const payload = Buffer.alloc(5, Tag.answer);
      payload.writeUInt32LE(seq, 1);
      const result = rig.stage.producer.tryPublish({ connectionId: id, wireSeq: seq, payload });
      if (result === 'ok') seq++;
      else {
        expect(result).toBe('full');
        full++;
        const { released } = { released: rig.stage.status().recordsReleased };
        rig.stage.cursors.primary.advance(seq - 1 - (full % 3));
        await until('some have left', () => rig.stage.status().recordsReleased > released);
      }
    }
    rig.stage.cursors.primary.advance(count);
    expect(await client.untilAnswers(count)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    expect(full).toBeGreaterThan(count / 10);
  });
});
