import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  answer,
  fillKernel,
  type Pair,
  Rig,
  realBackends,
  Tag,
  type Transport,
  until,
} from './support/stage.js';

const transports: Transport[] = ['tcp', 'unix'];
const kernels = realBackends.flatMap((backend) => transports.map((transport) => ({ backend, transport })));
const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
/** Little room in the kernel, so that a client which does not read is blocked soon. */
const tight = { kernelSendBufferBytes: 16_384, blockedTimeoutMs: 60_000 };

describe.each(kernels)('a client that does not read, $backend, $transport', ({ backend, transport }) => {
  it('gets everything later, in order and unchanged, and nobody waits for it', async () => {
    const rig = await Rig.start({ backend, ...tight, heartbeatIntervalMs: 50 }, transport);
    const slow = await rig.attach({ paused: true });
    const quick = await rig.attach();
    const count = await fillKernel(rig, slow.id);
    for (let number = 1; number <= 300; number++) rig.publish({ id: quick.id, seq: 0, number });
    expect(await quick.client.untilAnswers(300)).toEqual(oneTo(300));
    await until('it counts as blocked', () => rig.stage.status().blockedNow === 1);
    await until('others get heartbeats', () => quick.client.count(Tag.heartbeat) > 2);
    expect(slow.client.bodies).toEqual([]);

    slow.client.socket.resume();
    expect(await slow.client.untilAnswers(count)).toEqual(oneTo(count));
    // Of what was appended while it was blocked nothing is a heartbeat.
    const { tags } = slow.client;
    const lastAnswer = tags.lastIndexOf(Tag.answer);
    expect(tags.slice(lastAnswer - 40, lastAnswer)).not.toContain(Tag.heartbeat);
    await until('it is blocked no more', () => rig.stage.status().blockedNow === 0);
    rig.publish({ id: slow.id, seq: 0, number: count + 1 });
    expect(await slow.client.untilAnswers(count + 1)).toHaveLength(count + 1);
    expect(rig.dropped).toEqual([]);
    expect(rig.waiting).toBe(0);
  });

  it('is dropped once, with what was unsent, when its buffer overflows', async () => {
    const rig = await Rig.start({ backend, ...tight }, transport);
    const { id, near, client } = await rig.attach({ paused: true });
    const quick = await rig.attach();
    let number = await fillKernel(rig, id);
    while (rig.dropped.length === 0) {
      for (let i = 0; i < 8; i++) rig.publish({ id, seq: 0, number: ++number, bytes: 440 });
      await rig.settled();
    }
    const { bytesUnsent } = rig.dropped[0];
    expect(rig.dropped).toEqual([{ connectionId: id, reason: 'overflow', errno: 0, bytesUnsent }]);
    // No room for one more frame, and no more than the buffer holds.
    expect(bytesUnsent).toBeGreaterThan(65_536 - 444);
    expect(bytesUnsent).toBeLessThanOrEqual(65_536);
    expect(rig.stage.push(id, Uint8Array.of(0x20))).toBe('gone');
    expect(near.destroyed).toBe(true);
    expect(await client.kernelEnd()).toBe(transport === 'tcp' ? 'reset' : 'end');

    rig.publish({ id, seq: 0 });
    rig.publish({ id: quick.id, seq: 0, number: 1 });
    await quick.client.untilAnswers(1);
    await rig.settled();
    expect(rig.dropped).toHaveLength(1);
    expect(rig.stage.status()).toMatchObject({ dropsOverflow: 1, connections: 1, bytesUnsent });
  });
});

// A Unix socket, whose peer takes nothing more once it is full: what TCP holds changes by itself.
describe.each(realBackends)('a client that does not read, %s', (backend) => {
  it('gets an answer with its end, or neither, at the very end of its buffer', async () => {
    const rig = await Rig.start({ backend, ...tight, ring: { maxPayload: 2000 } }, 'unix');
    const endFrame = 5;
    for (const spare of [0, -1, -endFrame, -endFrame - 1]) {
      const { id, client } = await rig.attach({ paused: true });
      const before = rig.waiting;
      let number = await fillKernel(rig, id);
      // Whole frames, then one more with its end that leaves `spare` bytes, or would need as many more.
      const room = () => 65_536 - (rig.waiting - before);
      while (room() > 1500) {
        rig.publish({ id, seq: 0, number: ++number, bytes: 440 });
        await until('it was taken', () => rig.stage.status().ringDepth === 0);
        await rig.settled();
      }
      const bytes = room() - spare - endFrame - 4;
      rig.publish({ id, seq: 0, number: ++number, bytes, last: true });
      await rig.settled();
      const dropped = () => rig.dropped.some(({ connectionId }) => connectionId === id);
      if (spare !== 0) await until('it is dropped', dropped);
      else {
        expect(dropped()).toBe(false);
        expect(room()).toBe(0);
        client.socket.resume();
        expect(await client.untilAnswers(number)).toEqual(oneTo(number));
        await until('its end has come', () => client.tags.at(-1) === Tag.endOfBatch);
      }
    }
    expect(rig.dropped.every(({ reason }) => reason === 'overflow')).toBe(true);
  });
});

describe.each(kernels)('the end of a connection, $backend, $transport', ({ backend, transport }) => {
  it('comes after everything that was published before it was asked for', async () => {
    const rig = await Rig.start({ backend }, transport);
    const { id, near, client } = await rig.attach();
    for (const seq of oneTo(200)) rig.publish({ id, seq });
    expect(rig.stage.disconnect(id)).toBe(true);
    await rig.settled();
    expect(client.ended).toBe(null);
    rig.stage.cursors.primary.advance(150);
    await client.untilAnswers(150);
    await rig.settled();
    expect(client.ended).toBe(null);
    rig.stage.cursors.primary.advance(200);
    expect(await client.untilEnded()).toBe('end');
    expect(client.answers).toEqual(oneTo(200));
    expect(client.incomplete).toBe(0);
    await until('it is told', () => rig.closed.length === 1);
    expect(rig.closed).toEqual([{ connectionId: id }]);
    expect(rig.stage.disconnect(id)).toBe('gone');
    client.socket.end();
    await until("Node's side is gone", () => near.destroyed);
    expect(rig.dropped).toEqual([]);
  });

  it('comes with its reason as the last frame, though more is published later', async () => {
    const rig = await Rig.start({ backend }, transport);
    const { id, client } = await rig.attach();
    for (const seq of [1, 2]) rig.publish({ id, seq });
    rig.stage.disconnect(id, { reason: 200 });
    for (const seq of [3, 4, 5]) rig.publish({ id, seq });
    await rig.settled();
    rig.stage.cursors.primary.advance(2);
    rig.stage.cursors.primary.advance(5);
    expect(await client.untilEnded()).toBe('end');
    expect(client.bodies.at(-1)).toEqual(Buffer.of(Tag.disconnect, 200));
    expect(client.count(Tag.disconnect)).toBe(1);
    expect(client.answers).toEqual([1, 2]);
  });

  it('waits for a slow client when it is to be drained, and resets it when it is not', async () => {
    const rig = await Rig.start({ backend, ...tight }, transport);
    const kept = await rig.attach({ paused: true });
    const cut = await rig.attach({ paused: true });
    const count = await fillKernel(rig, kept.id);
    await fillKernel(rig, cut.id);
    rig.stage.disconnect(kept.id, { when: 'drained' });
    rig.stage.disconnect(cut.id, { when: 'now' });
    await until('one is gone', () => rig.dropped.length === 1);
    expect(rig.dropped[0]).toMatchObject({ connectionId: cut.id, reason: 'disconnected' });
    expect(rig.dropped[0].bytesUnsent).toBeGreaterThan(0);
    expect(await cut.client.kernelEnd()).toBe(transport === 'tcp' ? 'reset' : 'end');
    expect(rig.closed).toEqual([]);
    kept.client.socket.resume();
    expect(await kept.client.untilEnded()).toBe('end');
    expect(kept.client.answers).toEqual(oneTo(count));
    await until('it is told', () => rig.closed.length === 1);
  });

  it('is immediate when Node destroys the socket', async () => {
    const rig = await Rig.start({ backend }, transport);
    const { id, near, client } = await rig.attach();
    rig.publish({ id, seq: 0, number: 1 });
    await client.untilAnswers(1);
    near.destroy();
    expect(await client.untilEnded()).toBe('end');
    await until('it is told', () => rig.closed.length === 1);
    expect(rig.stage.busy(id)).toBe('gone');
    await rig.settled();
    expect(rig.stage.status().connections).toBe(0);
  });

  it('does not come with the half-close of a client that waits for gated answers', async () => {
    const rig = await Rig.start({ backend }, transport);
    const { id, near, client } = await rig.attach();
    for (const seq of oneTo(50)) rig.publish({ id, seq });
    client.socket.end();
    await until('the server has seen it', () => near.readableEnded);
    await rig.settled();
    expect(near.destroyed).toBe(false);
    rig.stage.cursors.primary.advance(50);
    expect(await client.untilAnswers(50)).toEqual(oneTo(50));
    expect(client.ended).toBe(null);
    rig.stage.disconnect(id);
    expect(await client.untilEnded()).toBe('end');
    expect(rig.dropped).toEqual([]);
  });

  it('is a reset of the peer: told with the errno, and its answers go nowhere', async () => {
    const rig = await Rig.start({ backend, ...tight }, transport);
    const { near, client } = await rig.net.connect({ paused: true });
    const fd = (near as unknown as { _handle: { fd: number } })._handle.fd;
    // By descriptor: nothing but the send itself tells.
    const id = rig.stage.attach(fd);
    await fillKernel(rig, id);
    if (transport === 'tcp') client.socket.resetAndDestroy();
    else client.socket.destroy();
    await until('it is told', () => rig.dropped.length === 1);
    expect(rig.dropped[0]).toMatchObject({ connectionId: id, reason: 'reset' });
    expect(rig.dropped[0].errno).toBeGreaterThan(0);
    expect(rig.dropped[0].bytesUnsent).toBeGreaterThan(0);
    rig.publish({ id, seq: 0 });
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ dropsReset: 1, connections: 0, ringDepth: 0 });
  });
});

describe.each(realBackends)('flushing, %s', (backend) => {
  it.each([448, 1400])(
    'a batch of 1,024 answers of %i bytes to one reader drops nobody',
    async (maxPayload) => {
      const rig = await Rig.start({ backend, ring: { capacity: 1024, maxPayload } });
      const { id, client } = await rig.attach();
      for (const seq of oneTo(1024)) rig.publish({ id, seq, bytes: maxPayload, last: true });
      await rig.settled();
      const { batches } = rig.stage.status();
      rig.stage.cursors.primary.advance(1024);
      expect(await client.untilAnswers(1024)).toEqual(oneTo(1024));
      await rig.settled();
      expect(client.count(Tag.endOfBatch)).toBe(1024);
      expect(rig.stage.status().batches).toBe(batches + 1);
      expect(rig.dropped).toEqual([]);
    },
  );

  it('does not wait for the acknowledgement of the flush before it', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    // With Nagle's algorithm the second of two small writes waits for a delayed acknowledgement: 40 ms, nearly always.
    const pairs = 20;
    let late = 0;
    for (let pair = 0; pair < pairs; pair++) {
      rig.publish({ id, seq: 0 });
      await client.untilAnswers(2 * pair + 1);
      rig.publish({ id, seq: 0 });
      await sleep(2);
      const start = performance.now();
      rig.publish({ id, seq: 0 });
      await client.untilAnswers(2 * pair + 2);
      if (performance.now() - start > 30) late++;
    }
    expect(late).toBeLessThan(pairs / 2);
  });

  it('serves many connections in one round, each its own', async () => {
    const rig = await Rig.start({ backend, connections: 256, ringEntries: 64 });
    const clients = [];
    for (let i = 0; i < 200; i++) clients.push(await rig.attach());
    for (let number = 1; number <= 10; number++) {
      for (const { id } of clients) rig.publish({ id, seq: 1, number: id * 100 + number });
    }
    rig.stage.cursors.primary.advance(1);
    for (const { id, client } of clients) {
      expect(await client.untilAnswers(10)).toEqual(oneTo(10).map((number) => id * 100 + number));
    }
    await rig.settled();
    const { sends, flushes } = rig.stage.status();
    expect(sends / flushes).toBeGreaterThan(10);
  });
});

describe.each(realBackends)('an attach, %s', (backend) => {
  it('is never behind the answers of another thread that were published after it', async () => {
    const rig = await Rig.start({ backend, connections: 512, ring: { capacity: 1024 } });
    const turns = 300;
    const ids = new Float64Array(new SharedArrayBuffer(8 * (turns + 1)));
    const turn = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL('./fixtures/stage-follower.mjs', import.meta.url), {
      workerData: { handle: rig.stage.share(), ids, turn, turns },
    });
    const pairs: Pair[] = [];
    for (let i = 0; i < turns; i++) pairs.push(await rig.net.connect());
    for (let i = 0; i < turns; i++) {
      // The other thread watches this word and publishes at once.
      ids[i] = rig.stage.attach(pairs[i].near);
      Atomics.store(turn, 0, i + 1);
    }
    for (let i = 0; i < turns; i++) {
      await until('its answer has come', () => pairs[i].client.count(Tag.answer) === 1);
    }
    await worker.terminate();
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ recordsReleased: turns, recordsDiscarded: 0 });
  });

  it('by descriptor leaves the caller its own', async () => {
    const rig = await Rig.start({ backend });
    const { near, client } = await rig.net.connect();
    const fd = (near as unknown as { _handle: { fd: number } })._handle.fd;
    const id = rig.stage.attach(fd, { connectionId: 2 ** 40 });
    expect(id).toBe(2 ** 40);
    rig.publish({ id, seq: 0, number: 1 });
    await client.untilAnswers(1);
    near.destroy();
    await rig.settled();
    // Whoever gets the number next is none of the stage's business.
    const stranger = openSync('/dev/null', 'r');
    rig.publish({ id, seq: 0, number: 2 });
    expect(await client.untilAnswers(2)).toEqual([1, 2]);
    closeSync(stranger);
    rig.stage.disconnect(id, { when: 'now' });
    expect(await client.untilEnded()).toBe('end');
  });
});

describe.each(realBackends)('an encoder, %s', (backend) => {
  it('that throws or overruns costs its answer and nothing else', async () => {
    const encoder = new URL('./fixtures/stage-encoder.mjs', import.meta.url);
    const rig = await Rig.start({ backend, encoder });
    const { id, client } = await rig.attach();
    const kinds = [0, 1, 2, 0, 3, 4, 0];
    for (const [index, kind] of kinds.entries()) {
      rig.stage.producer.tryPublish({
        connectionId: id,
        wireSeq: 0,
        payload: answer(index, 32),
        lastInRequest: true,
        kind,
      });
    }
    await until('all ends have come', () => client.count(Tag.endOfBatch) === kinds.length);
    const { answer: a, endOfBatch: e } = Tag;
    expect(client.tags).toEqual([a, e, e, e, a, e, e, e, a, e]);
    expect(client.answers).toEqual([0, 3, 6]);
    await rig.settled();
    expect(rig.stage.status().encoderErrors).toBe(4);
    const failures = rig.log.filter(({ message }) => message.includes('encoder'));
    expect(failures).toHaveLength(4);
    expect(failures[0].fields).toMatchObject({ connectionId: id, kind: 1 });
  });
});
