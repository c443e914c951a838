import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Gate } from '#ackgate/gate/gate.js';
import {
  createInlineStage,
  monotonicNow,
  openStage,
  type Stage,
  type StageHandle,
  startStage,
} from '#ackgate/index.js';
import { answer, fillKernel, Loopback, Rig, realBackends, Tag, until } from './support/stage.js';

function startThread(name: string, workerData?: unknown): Worker {
  const worker = new Worker(new URL(`./fixtures/${name}`, import.meta.url), { workerData });
  onTestFinished(() => void worker.terminate());
  return worker;
}

describe.each(realBackends)('a stage, %s', (backend) => {
  it('never gives a connection id out twice', async () => {
    const rig = await Rig.start({ backend, connections: 2 });
    const seen = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const { id, client } = await rig.attach();
      expect(seen.has(id)).toBe(false);
      seen.add(id);
      rig.publish({ id, seq: 0, number: i });
      expect(await client.untilAnswers(1)).toEqual([i]);
      rig.stage.disconnect(id);
      await until('it is gone', () => rig.closed.length === i + 1);
      // Answers of the one before are not for whoever has its place now.
      rig.publish({ id, seq: 0, number: 1000 });
      expect(rig.stage.busy(id)).toBe('gone');
      expect(rig.stage.notify(id, 1)).toBe('gone');
    }
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 20, recordsDiscarded: 20, connections: 0 });
  });

  it('closes once, however often and early it is asked', async () => {
    const stage = await startStage({ backend, connections: 4 });
    const both = [stage.close(), stage.close({ drainMs: 5 }), stage.closed];
    await Promise.all(both);
    await stage.close();
    expect(stage.status().state).toBe('closed');
  });

  it('closes at the end of its block', async () => {
    let kept: Stage;
    {
      await using stage = await startStage({ backend, connections: 4 });
      kept = stage;
      expect(stage.status()).toMatchObject({ state: 'running', backend });
    }
    expect(kept.status().state).toBe('closed');
  });

  it('knows nothing of another one in the same process', async () => {
    const one = await Rig.start({ backend, epoch: 1 });
    const two = await Rig.start({ backend, epoch: 2, policy: 'durably-replicated' });
    const a = await one.attach();
    const b = await two.attach();
    one.stage.cursors.primary.advance(5);
    one.publish({ id: a.id, seq: 5 });
    two.publish({ id: b.id, seq: 5 });
    await a.client.untilAnswers(1);
    await two.settled();
    expect(two.stage.status()).toMatchObject({ recordsReleased: 0, epoch: 2, durablePos: 0 });
    await one.stage.fence(2);
    await two.stage.setMode('local');
    two.stage.cursors.primary.advance(5);
    await b.client.untilAnswers(1);
    await one.stage.close();
    expect(two.stage.status().state).toBe('running');
  });

  it('can be read and fed by other threads, one producer at a time', async () => {
    const rig = await Rig.start({ backend });
    const { client } = await rig.attach();
    const handle = rig.stage.share();
    const thread = startThread('stage-watcher.mjs', handle);
    const ask = async (call: string) => {
      const answered = once(thread, 'message');
      thread.postMessage(call);
      return (await answered)[0];
    };
    await once(thread, 'message');
    await rig.settled();
    expect(await ask('status')).toMatchObject({ state: 'running', backend, connections: 1, mode: 'local' });
    expect(await ask('publish')).toBe('ok');
    await until('it has come', () => client.count(0x20) === 1);
    // The other thread has the writing end now, until it gives it back.
    const record = { connectionId: 1, wireSeq: 0, payload: answer(1) };
    expect(() => rig.stage.producer.tryPublish(record)).toThrow(/release/);
    expect(await ask('reopen')).toBe('open');
    expect(rig.stage.producer.tryPublish(record)).toBe('ok');
    expect(await ask('publish')).toBe('ERR_ACKGATE_RING_IN_USE');
    await rig.stage.close();
    expect(await ask('status')).toMatchObject({ state: 'closed' });
    expect(await ask('reopen')).toBe('ERR_ACKGATE_STAGE_CLOSED');
  });

  it('measures nothing unless it is told to, and then every step', async () => {
    const rig = await Rig.start({ backend, policy: 'hybrid' });
    const { id, client } = await rig.attach();
    const replica = rig.stage.cursors.node('r1');
    replica.connect({ persisted: 0 });
    const round = async (first: number, count: number) => {
      const receivedNs = monotonicNow();
      for (let seq = first; seq < first + count; seq++) {
        const record = { connectionId: id, wireSeq: seq, payload: answer(seq), receivedNs };
        expect(rig.stage.producer.tryPublish(record)).toBe('ok');
      }
      await rig.settled();
      rig.stage.cursors.primary.advance(first + count - 1);
      await rig.settled();
      replica.advance({ inMemory: first + count - 1 });
      await client.untilAnswers(first + count - 1);
      await rig.settled();
    };
    const names = ['ringWait', 'journalWait', 'replicaWait', 'encode', 'flush', 'serverEndToEnd'] as const;
    const counts = () => names.map((name) => Number(rig.stage.timings[name].count));

    await round(1, 10);
    expect(counts()).toEqual([0, 0, 0, 0, 0, 0]);
    rig.stage.diagnosis.setBaseline('timing');
    await rig.settled();
    await round(11, 10);
    const [ring, journal, replicated, encode, flush, whole] = counts();
    expect([ring, journal, replicated, encode, whole]).toEqual([10, 10, 10, 10, 10]);
    expect(flush).toBeGreaterThan(0);
    // One thing after the other: each includes the one before.
    const { timings } = rig.stage;
    expect(timings.ringWait.min).toBeLessThanOrEqual(timings.journalWait.min);
    expect(timings.journalWait.min).toBeLessThanOrEqual(timings.replicaWait.min);
    expect(timings.replicaWait.min).toBeLessThanOrEqual(timings.serverEndToEnd.max * 1.01);
    expect(timings.encode.max).toBeLessThan(timings.serverEndToEnd.max);
    rig.stage.diagnosis.setBaseline('off');
    await rig.settled();
    await round(21, 10);
    expect(counts()).toEqual([ring, journal, replicated, encode, flush, whole]);
  });

  it('submits nothing after a fence, for good', async () => {
    const rig = await Rig.start({
      backend,
      epoch: 7,
      kernelSendBufferBytes: 16_384,
      heartbeatIntervalMs: 20,
    });
    const idle = await rig.attach();
    const blocked = await rig.attach({ paused: true });
    await fillKernel(rig, blocked.id);
    rig.publish({ id: idle.id, seq: 1 });
    await rig.settled();
    await rig.stage.fence(8);
    // As durable as can be, and too late.
    rig.stage.cursors.primary.advance(1);
    expect(rig.stage.producer.tryPublish({ connectionId: idle.id, wireSeq: 0, payload: answer(99) })).toBe(
      'stopped',
    );
    expect(rig.stage.status().state).toBe('fenced');
    const { bytesSent } = rig.stage.status();
    expect(rig.dropped.map(({ reason }) => reason)).toEqual(['fenced', 'fenced']);
    expect(await idle.client.untilEnded()).toBe('reset');
    expect(await blocked.client.kernelEnd()).toBe('reset');
    expect(idle.client.count(Tag.answer)).toBe(0);
    const { near } = await rig.net.connect();
    expect(() => rig.stage.attach(near)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_STAGE_FENCED' }),
    );
    expect(rig.stage.push(idle.id, Uint8Array.of(0x20))).toBe('gone');
    await expect(rig.stage.fence(7)).rejects.toMatchObject({ code: 'ERR_ACKGATE_EPOCH_NOT_HIGHER' });
    await rig.stage.fence(9);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ state: 'fenced', bytesSent, connections: 0, ringDepth: 0 });
    await rig.stage.close();
  });

  it('announces a fence with nothing left in the ring, also what the gate held in that very round', async () => {
    const stage = createInlineStage({ backend, connections: 4, heartbeatIntervalMs: 0, epoch: 1 });
    onTestFinished(() => {
      void stage.close({ drainMs: 0 });
      stage.doWork();
    });
    stage.producer.tryPublish({ connectionId: 1, wireSeq: 1, payload: answer(1) });
    const { hold } = Gate.prototype;
    let fenced: Promise<void> | null = null;
    const spy = vi.spyOn(Gate.prototype, 'hold').mockImplementation(function (this: Gate, wireSeq: number) {
      hold.call(this, wireSeq);
      fenced ??= stage.fence(2);
    });
    onTestFinished(() => spy.mockRestore());
    stage.doWork();
    expect(fenced).not.toBeNull();
    await fenced;
    expect(stage.status()).toMatchObject({
      ringDepth: 0,
      recordsIn: 1,
      recordsDiscarded: 1,
      recordsReleased: 0,
    });
  });

  it('says so when its control calls wait, and does all that it took on', async () => {
    const net = await Loopback.open('tcp');
    const stage = createInlineStage({ backend, connections: 4, heartbeatIntervalMs: 0 });
    const { near, client } = await net.connect();
    const id = stage.attach(near);
    let pushed = 0;
    while (stage.push(id, Uint8Array.of(0x20)) === true) pushed++;
    expect(pushed).toBeGreaterThan(500);
    expect(stage.busy(id)).toBe('full');
    expect(stage.notify(id, 1)).toBe('full');
    expect(stage.disconnect(id)).toBe('full');
    expect(() => stage.setMode('local')).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_CONTROL_FULL' }),
    );
    const second = await net.connect();
    expect(() => stage.attach(second.near)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_CONTROL_FULL' }),
    );
    stage.doWork();
    expect(stage.busy(id)).toBe(true);
    while (stage.doWork() > 0);
    await until('all have come', () => client.count(0x20) === pushed);
    // What was refused has left nothing behind: neither its slot nor its socket.
    const again = stage.attach(second.near);
    expect(again).toBe(id + 1);
    void stage.close();
    while (stage.status().state !== 'closed') stage.doWork();
    await stage.closed;
    await net.close();
  });

  it('runs in a loop of one’s own, on a thread of one’s own', async () => {
    const net = await Loopback.open('unix');
    const closed: number[] = [];
    const stage = createInlineStage({
      backend,
      connections: 4,
      heartbeatIntervalMs: 0,
      encoder: {
        bodyBytesMax: 8,
        encode(record, out) {
          out[0] = 0x30;
          out[1] = record.payloadBytes;
          return 2;
        },
      },
    });
    stage.on('closed', ({ connectionId }) => closed.push(connectionId));
    const { near, client } = await net.connect();
    const id = stage.attach(near);
    stage.producer.tryPublish({ connectionId: id, wireSeq: 1, payload: new Uint8Array(77) });
    while (stage.doWork() > 0);
    await until('it has slept', () => {
      stage.park();
      return stage.status().parks > 0;
    });
    expect(stage.status().gateClosed).toBe(1);
    stage.cursors.primary.advance(1);
    while (stage.doWork() > 0);
    await until('it has come', () => client.bodies.length === 1);
    expect(client.bodies[0]).toEqual(Buffer.of(0x30, 77));
    stage.disconnect(id);
    while (stage.doWork() > 0);
    await until('it has ended', () => stage.doWork() === 0 && closed.length === 1);
    void stage.close();
    while (stage.status().state !== 'closed') stage.doWork();
    expect(stage.doWork()).toBe(0);
    await net.close();
  });
});

describe('a stage whose owner is terminated', () => {
  it('is over for every other thread', async () => {
    const owner = startThread('stage-owner.mjs');
    const [handle] = (await once(owner, 'message')) as [StageHandle];
    const opened = openStage(handle);
    expect(opened.producer.tryPublish({ connectionId: 1, wireSeq: 0, payload: answer(1) })).toBe('ok');
    expect(opened.status().state).toBe('running');
    await owner.terminate();
    expect(opened.status().state).toBe('failed');
    expect(opened.producer.tryPublish({ connectionId: 1, wireSeq: 0, payload: answer(1) })).toBe('stopped');
    opened.cursors.primary.advance(1);
    expect(() => openStage(handle)).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_STAGE_CLOSED' }));
    opened.close();
  });
});

describe('a CommonJS program', () => {
  it('requires the package', async () => {
    const program = fileURLToPath(new URL('./fixtures/stage-require.cjs', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program]);
    expect(JSON.parse(stdout)).toEqual({ state: 'running', refused: true });
  });
});
