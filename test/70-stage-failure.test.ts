import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createInlineStage, type Stage, startStage } from '#ackgate/index.js';
import { FileJournal } from '#ackgate/journal/index.js';

const encoder = new URL('./fixtures/stage-bad-encoder.mjs', import.meta.url);
const Byte = { exit: 1, hang: 2, throwNothing: 3, fine: 4 };

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Both ends of a loopback connection. */
async function pair(): Promise<{ accepted: Socket; client: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepting = once(server, 'connection');
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  client.on('error', () => {});
  const [accepted] = (await accepting) as [Socket];
  cleanUps.push(() => {
    accepted.destroy();
    client.destroy();
    server.close();
  });
  return { accepted, client };
}

function watch(stage: Stage) {
  const seen: string[] = [];
  stage.on('dropped', ({ connectionId, reason }) => seen.push(`dropped ${connectionId} ${reason}`));
  stage.on('fatal', (error) => seen.push(`fatal ${(error as Error & { code: string }).code}`));
  return seen;
}

describe('a stage whose thread dies', () => {
  it('says so, drops every connection once, and takes nothing more', async () => {
    const stage = await startStage({ encoder, connections: 8 });
    const seen = watch(stage);
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push(stage.attach((await pair()).accepted));
    stage.producer.tryPublish({ connectionId: ids[0], wireSeq: 0, payload: Uint8Array.of(Byte.exit) });
    await stage.closed;
    expect(seen.sort()).toEqual([
      ...ids.map((id) => `dropped ${id} stage-failed`),
      'fatal ERR_ACKGATE_STAGE_FAILED',
    ]);
    expect(stage.status().state).toBe('failed');
    expect(stage.push(ids[0], Uint8Array.of(16))).toBe('gone');
    expect(stage.disconnect(ids[1])).toBe('gone');
    await stage.close();
  });

  it('ends also when it hangs', async () => {
    const stage = await startStage({ encoder, connections: 8 });
    const seen = watch(stage);
    const id = stage.attach((await pair()).accepted);
    stage.producer.tryPublish({ connectionId: id, wireSeq: 0, payload: Uint8Array.of(Byte.hang) });
    await stage.close({ drainMs: 0 });
    expect(seen.sort()).toEqual([`dropped ${id} stage-failed`, 'fatal ERR_ACKGATE_STAGE_FAILED']);
  });
});

it('an encoder that throws what can not be shown loses its answer, not the stage', async () => {
  const stage = await startStage({ encoder, connections: 8 });
  cleanUps.push(() => stage.close({ drainMs: 0 }));
  const { accepted, client } = await pair();
  const connectionId = stage.attach(accepted);
  const publish = (byte: number) =>
    stage.producer.tryPublish({
      connectionId,
      wireSeq: 0,
      payload: Uint8Array.of(byte),
      lastInRequest: true,
    });
  publish(Byte.throwNothing);
  publish(Byte.fine);
  const endOfBatch = [1, 0, 0, 0, 2];
  const expected = Buffer.from([...endOfBatch, 1, 0, 0, 0, 0, ...endOfBatch]);
  const chunks: Buffer[] = [];
  for await (const chunk of client) {
    chunks.push(chunk as Buffer);
    if (Buffer.concat(chunks).length >= expected.length) break;
  }
  expect(Buffer.concat(chunks)).toEqual(expected);
  expect(stage.status().state).toBe('running');
});

it('a connection id is never used twice, also when the application chooses it', async () => {
  const stage = await startStage({ connections: 8 });
  cleanUps.push(() => stage.close({ drainMs: 0 }));
  const id = stage.attach((await pair()).accepted, { connectionId: 5 });
  const { accepted } = await pair();
  const attach = (connectionId: number) => () => stage.attach(accepted, { connectionId });
  expect(attach(5)).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_CONNECTION_ID_IN_USE' }));
  const gone = new Promise((resolve) => stage.once('closed', resolve));
  stage.disconnect(id);
  await gone;
  for (const used of [5, 4, 0]) {
    expect(attach(used)).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_CONNECTION_ID_USED' }));
  }
  expect(attach(6)()).toBe(6);
});

it('a socket has one writer, whichever descriptor stands for it', async () => {
  const stage = await startStage({ connections: 8 });
  cleanUps.push(() => stage.close({ drainMs: 0 }));
  const { accepted } = await pair();
  const { fd } = (accepted as unknown as { _handle: { fd: number } })._handle;
  const id = stage.attach(accepted);
  expect(() => stage.attach(fd)).toThrow(expect.objectContaining({ code: 'ERR_ACKGATE_SOCKET_ATTACHED' }));
  const gone = new Promise((resolve) => stage.once('closed', resolve));
  stage.disconnect(id);
  await gone;
});

it('a connection that is leaving takes no push', async () => {
  const stage = await startStage({ connections: 8 });
  cleanUps.push(() => stage.close({ drainMs: 0 }));
  const id = stage.attach((await pair()).accepted);
  stage.producer.tryPublish({ connectionId: id, wireSeq: 9, payload: Uint8Array.of(16) });
  expect(stage.disconnect(id)).toBe(true);
  expect(stage.push(id, Uint8Array.of(16))).toBe('gone');
  expect(stage.busy(id)).toBe('gone');
  expect(stage.notify(id, 1)).toBe('gone');
  expect(stage.disconnect(id, { when: 'now' })).toBe(true);
});

it('an empty journal is refused on a stage that is ahead of it', async () => {
  const stage = await startStage({ connections: 8 });
  cleanUps.push(() => stage.close({ drainMs: 0 }));
  stage.cursors.primary.advance(100);
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-'));
  cleanUps.push(() => rmSync(directory, { recursive: true }));
  const journal = await FileJournal.open({ directory });
  cleanUps.push(() => journal.close());
  await expect(journal.drive(stage)).rejects.toMatchObject({
    code: 'ERR_ACKGATE_CURSOR_REGRESSED',
    message: expect.stringContaining('another journal'),
  });
});

describe('the clock of an inline stage', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 5n, '5'])('refuses %s and goes on', (nowNs) => {
    const stage = createInlineStage({ connections: 8 });
    cleanUps.push(() => {
      stage.close({ drainMs: 0 });
      while (stage.status().state !== 'closed') stage.doWork();
    });
    const code = typeof nowNs === 'number' ? 'ERR_ACKGATE_OUT_OF_RANGE' : 'ERR_ACKGATE_INVALID_ARGUMENT';
    expect(() => stage.doWork(nowNs as number)).toThrow(expect.objectContaining({ code }));
    expect(stage.doWork()).toBe(0);
    expect(stage.doWork(0)).toBe(0);
    expect(stage.status().state).toBe('running');
  });
});
