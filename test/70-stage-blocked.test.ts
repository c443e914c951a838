import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createInlineStage, type InlineStageOptions, monotonicNow } from '#ackgate/index.js';
import { answer, fillKernel, Loopback, Rig, realBackends, Tag, until } from './support/stage.js';

describe.each(realBackends)('a client that is slow, %s', (backend) => {
  it('lives as long as it reads, though its socket is not writable for longer than the timeout', async () => {
    const timeoutMs = 1500;
    const rig = await Rig.start({ backend, blockedTimeoutMs: timeoutMs, ring: { maxPayload: 4000 } });
    const { id, client } = await rig.attach({ paused: true });
    // As much as the kernel holds by default: megabytes, of which a third has to drain first.
    const reader = setInterval(() => {
      client.socket.read(Math.min(10_000, client.socket.readableLength));
    }, 50);
    onTestFinished(() => clearInterval(reader));
    client.socket.removeAllListeners('data');
    const received: Buffer[] = [];
    const read = client.socket.read.bind(client.socket);
    client.socket.read = (size?: number) => {
      const chunk = read(size);
      if (size !== 0 && chunk !== null) received.push(chunk);
      return chunk;
    };
    const count = await fillKernel(rig, id, 4000);

    // Until the stage has made no progress for longer than the timeout, and then some.
    let longest = 0;
    let { bytesSent } = rig.stage.status();
    let since = performance.now();
    await until('a long wait is over', () => {
      const now = performance.now();
      const { bytesSent: sent } = rig.stage.status();
      if (sent !== bytesSent) {
        longest = Math.max(longest, now - since);
        since = now;
        bytesSent = sent;
      }
      return rig.dropped.length > 0 || longest > timeoutMs * 1.2;
    });
    expect(rig.dropped).toEqual([]);
    clearInterval(reader);
    const all = 4004 * count;
    const soFar = () => received.reduce((sum, chunk) => sum + chunk.length, 0);
    await until('the rest has come', () => {
      client.socket.read();
      return soFar() >= all;
    });
    const stream = Buffer.concat(received);
    for (let number = 1; number <= count; number++) {
      const at = (number - 1) * 4004;
      expect(stream.readUInt32LE(at)).toBe(4000);
      expect(stream.subarray(at + 4, at + 4004).equals(answer(number, 4000))).toBe(true);
    }
    expect(rig.dropped).toEqual([]);
  });

  it('is dropped once it has taken nothing for the timeout', async () => {
    const timeoutMs = 700;
    const rig = await Rig.start({ backend, kernelSendBufferBytes: 16_384, blockedTimeoutMs: timeoutMs });
    const { id, near, client } = await rig.attach({ paused: true });
    const quick = await rig.attach();
    const start = performance.now();
    await fillKernel(rig, id);
    expect(rig.dropped).toEqual([]);
    await until('it is dropped', () => rig.dropped.length === 1);
    expect(performance.now() - start).toBeGreaterThan(timeoutMs);
    expect(rig.dropped[0]).toMatchObject({ connectionId: id, reason: 'blocked', errno: 0 });
    expect(rig.dropped[0].bytesUnsent).toBeGreaterThanOrEqual(30_000);
    expect(await client.kernelEnd()).toBe('reset');
    expect(near.destroyed).toBe(true);
    rig.publish({ id: quick.id, seq: 0, number: 1 });
    await quick.client.untilAnswers(1);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ dropsBlocked: 1, blockedNow: 0 });
  });

  it('is dropped when it trickles for longer than it may be blocked in total', async () => {
    const rig = await Rig.start({
      backend,
      kernelSendBufferBytes: 16_384,
      blockedTimeoutMs: 60_000,
      blockedTotalMs: 500,
    });
    const { id, client } = await rig.attach({ paused: true });
    let number = await fillKernel(rig, id);
    const trickle = setInterval(() => {
      client.socket.read(100);
      // One such read may make Node take 64 KiB from the kernel, and the kernel all that waits: more has to follow.
      if (rig.dropped.length === 0 && rig.waiting < 30_000) {
        for (let i = 0; i < 20; i++) rig.publish({ id, seq: 0, number: ++number, bytes: 440 });
      }
    }, 20);
    onTestFinished(() => clearInterval(trickle));
    await until('it is dropped', () => rig.dropped.length === 1);
    expect(rig.dropped[0]).toMatchObject({ connectionId: id, reason: 'blocked' });
  });
});

/** A stage whose clock is the test's: heartbeats come by it and by nothing else. */
async function startInline(options: InlineStageOptions) {
  const net = await Loopback.open('tcp');
  const stage = createInlineStage({ connections: 16, ...options });
  let nowNs = monotonicNow();
  const step = async (ms: number) => {
    for (const endNs = nowNs + ms * 1e6; nowNs < endNs; ) {
      nowNs += 10e6;
      while (stage.doWork(nowNs) > 0) await immediate();
    }
    await immediate();
  };
  const waiting = () => stage.status().bytesAppended - stage.status().bytesSent;
  /** Publishes to a client that does not read until the kernel's buffers are full. Returns the number of answers. */
  const fill = async (connectionId: number): Promise<number> => {
    let count = 0;
    do {
      while (waiting() < 30_000) {
        for (let i = 0; i < 40; i++) {
          stage.producer.tryPublish({ connectionId, wireSeq: 0, payload: answer(++count, 440) });
        }
        await step(20);
      }
      // Real time: for acknowledgements that TCP has put off.
      await sleep(250);
      await step(20);
    } while (waiting() < 30_000);
    return count;
  };
  onTestFinished(async () => {
    void stage.close({ drainMs: 0 });
    while (stage.status().state !== 'closed') {
      nowNs += 10e6;
      stage.doWork(nowNs);
      await immediate();
    }
    await net.close();
  });
  return { net, stage, step, fill };
}

describe.each(realBackends)('heartbeats, %s', (backend) => {
  const heartbeatIntervalMs = 1000;

  it('come once per interval to a client that gets nothing else', async () => {
    const { net, stage, step } = await startInline({ backend, heartbeatIntervalMs });
    const { near, client } = await net.connect();
    stage.attach(near);
    await step(10_500);
    await until('they have come', () => client.count(Tag.heartbeat) >= 10);
    // The first comes earlier, so that clients that connect together are not due together.
    expect(client.count(Tag.heartbeat)).toBeLessThanOrEqual(11);
    expect(stage.status().heartbeats).toBe(client.count(Tag.heartbeat));
  });

  it('do not come while there are answers', async () => {
    const { net, stage, step } = await startInline({ backend, heartbeatIntervalMs });
    const { near, client } = await net.connect();
    const id = stage.attach(near);
    for (let i = 0; i < 20; i++) {
      stage.producer.tryPublish({ connectionId: id, wireSeq: 0, payload: answer(i) });
      await step(400);
    }
    await client.untilAnswers(20);
    expect(client.count(Tag.heartbeat)).toBe(0);
    await step(1000);
    await until('one has come', () => client.count(Tag.heartbeat) === 1);
  });

  it('do not come to a client that is blocked, and come again when it is not', async () => {
    const { net, stage, step, fill } = await startInline({
      backend,
      heartbeatIntervalMs,
      kernelSendBufferBytes: 16_384,
      blockedTimeoutMs: 1e6,
    });
    const { near, client } = await net.connect({ paused: true });
    const id = stage.attach(near);
    const count = await fill(id);
    const { heartbeats, bytesAppended } = stage.status();
    await step(30_000);
    expect(stage.status()).toMatchObject({ heartbeats, bytesAppended, blockedNow: 1 });
    client.socket.resume();
    for (;;) {
      await step(10);
      if (client.count(Tag.answer) >= count) break;
    }
    expect(client.answers).toHaveLength(count);
    await step(1100);
    await until('one has come', () => client.tags.at(-1) === Tag.heartbeat);
  });

  it('count for nothing in the life of a peer that takes none', async () => {
    const { net, stage, step, fill } = await startInline({
      backend,
      heartbeatIntervalMs: 10,
      kernelSendBufferBytes: 16_384,
      blockedTimeoutMs: 5000,
    });
    const { near } = await net.connect({ paused: true });
    const id = stage.attach(near);
    const dropped: string[] = [];
    stage.on('dropped', ({ reason }) => dropped.push(reason));
    await fill(id);
    const { heartbeats } = stage.status();
    await step(4000);
    expect(dropped).toEqual([]);
    // What TCP took late excuses a silence, of four timeouts at most.
    await step(22_000);
    expect(dropped).toEqual(['blocked']);
    expect(stage.status().heartbeats).toBe(heartbeats);
  });
});
