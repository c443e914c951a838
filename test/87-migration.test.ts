import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startStage } from '#ackgate/index.js';
import { folderWith, overrun, type Program, quietPort, startProgram } from './support/examples.js';
import { codeBlocks, excerpts, expectExcerpt, markedBlocks } from './support/pages.js';
import { answer, Rig, Tag, until } from './support/stage.js';

const page = 'docs/MIGRATION.md';
const patient = { timeout: 120_000 };

describe('the page', () => {
  it.each(excerpts(page).map(({ file, lines }, index) => ({ index, file, lines })))(
    'shows lines of $file (block $index)',
    ({ file, lines }) => expectExcerpt(file, lines),
  );

  it('has no code that is not one of a file', () => {
    expect(excerpts(page).length).toBe(codeBlocks(page, 'js', 'ts', 'mjs'));
    expect(markedBlocks(page).length).toBe(excerpts(page).length);
  });
});

const servers = ['before', 'step-1', 'step-2', 'after'] as const;

interface RunningServer extends Program {
  readonly port: number;
}

async function start(folder: string, name: string): Promise<RunningServer> {
  const port = await quietPort();
  const server = startProgram(folder, [`${name}.mjs`, `journal-${name}`], { PORT: String(port) });
  await server.said(/^listening/);
  return { ...server, port };
}

/** Sends these chunks on a connection of their own, and returns all that comes until the server closes it. */
async function answersTo(port: number, chunks: readonly string[]): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  const closed = once(socket, 'close');
  for (const chunk of chunks) {
    socket.write(chunk);
    await new Promise(setImmediate); // so that a chunk is mostly a read of its own
  }
  socket.end();
  await closed;
  return text;
}

/** Cuts a text into pieces of 1 to 40 bytes, the same at each call. */
function pieces(text: string): string[] {
  const all: string[] = [];
  for (let at = 0, size = 7; at < text.length; at += size, size = ((size * 31) % 40) + 1)
    all.push(text.slice(at, at + size));
  return all;
}

const orders = Array.from({ length: 200 }, (_, index) => `buy ${index + 1} at ${99 - (index % 7)}`);
const conversations: readonly (readonly string[])[] = [
  ['last\nquit\n'], // with nothing in it yet
  ['buy 10 at 99\nsell 5 at 101\nlast\nquit\n'],
  ['buy 1 at 98\r\nlast\r\n'], // no quit: the client closes its side
  pieces(`${orders.join('\n')}\nlast\nquit\n`),
  ['quit\n'],
  [],
];

describe('the servers of the steps', () => {
  it('answer the same requests with the same bytes', patient, async () => {
    const folder = folderWith('migration');
    const answers = await Promise.all(
      servers.map(async (name) => {
        const server = await start(folder, name);
        const texts: string[] = [];
        for (const chunks of conversations) texts.push(await answersTo(server.port, chunks));
        return texts;
      }),
    );
    const [before, ...others] = answers;
    expect(before[1]).toBe('accepted 1\n\naccepted 2\n\n1 buy 10 at 99\n2 sell 5 at 101\n\nbye\n\n');
    expect(before[3].split('\n\n')).toHaveLength(orders.length + 3);
    for (const [index, texts] of others.entries()) expect(texts, servers[index + 1]).toEqual(before);
  });

  it.each(['step-1', 'step-2'] as const)('outlive a client too many: %s', patient, async (name) => {
    const server = await start(folderWith('migration'), name);
    await overrun(server.port, 330);
    // It may take a while to make room; until then a client is refused, mostly by a reset.
    const once = () => answersTo(server.port, ['buy 10 at 99\nquit\n']).catch(() => '');
    let text = '';
    while (text === '') text = await once();
    expect(text).toBe('accepted 1\n\nbye\n\n');
    expect(server.child.exitCode).toBe(null);
  });

  it.each(['step-1', 'step-2'] as const)(
    'end a client whose answer is too large, alone: %s',
    patient,
    async (name) => {
      const server = await start(folderWith('migration'), name);
      expect(await answersTo(server.port, [`${'x'.repeat(500)}\nlast\n`])).not.toContain('xxx');
      expect(await answersTo(server.port, ['buy 10 at 99\nquit\n'])).toBe('accepted 2\n\nbye\n\n');
    },
  );

  it('keep their orders from the journal on', patient, async () => {
    const folder = folderWith('migration');
    const restart = async (name: 'step-2' | 'after') => {
      const first = await start(folder, name);
      expect(await answersTo(first.port, ['buy 10 at 99\nquit\n'])).toBe('accepted 1\n\nbye\n\n');
      first.child.kill(name === 'after' ? 'SIGTERM' : 'SIGKILL');
      expect(await first.ended).toBe(name === 'after' ? 0 : 'SIGKILL');
      const second = await start(folder, name);
      expect(await answersTo(second.port, ['last\nquit\n'])).toBe('1 buy 10 at 99\n\nbye\n\n');
    };
    await Promise.all([restart('step-2'), restart('after')]);
  });

  it('end who sends a line too long, or half of one, in the last step', patient, async () => {
    const server = await start(folderWith('migration'), 'after');
    expect(await answersTo(server.port, ['x'.repeat(500)])).toBe('disconnected 4\n\n');
    expect(await answersTo(server.port, ['buy 10 a'])).toBe('disconnected 5\n\n');
  });
});

const coded = (code: string) => expect.objectContaining({ code });

/** A gate that stays closed until the cursor is moved by hand. */
async function gated(options = {}) {
  const rig = await Rig.start({ policy: 'local', ...options });
  const { near, client } = await rig.net.connect();
  const connectionId = rig.stage.attach(near);
  const publish = (wireSeq: number, lastInRequest = true) =>
    rig.stage.producer.tryPublish({ connectionId, wireSeq, payload: answer(wireSeq), lastInRequest });
  return { rig, stage: rig.stage, near, client, connectionId, publish };
}

describe('what goes wrong', () => {
  it('write, end and pipe of an attached socket fail loudly', async () => {
    const { near } = await gated();
    expect(() => near.write('x')).toThrow(coded('ERR_ACKGATE_SOCKET_WRITE'));
    expect(() => near.end()).toThrow(coded('ERR_ACKGATE_SOCKET_WRITE'));
    expect(() => near.resetAndDestroy()).toThrow(coded('ERR_ACKGATE_SOCKET_WRITE'));
    near.pipe(near);
    expect(() => near.emit('data', Buffer.from('x'))).toThrow(coded('ERR_ACKGATE_SOCKET_WRITE'));
    near.unpipe();
    expect(near.bytesWritten).toBe(0);
  });

  it('attach refuses what it can not take', async () => {
    const { rig, stage, near } = await gated();
    expect(() => stage.attach(near)).toThrow(coded('ERR_ACKGATE_SOCKET_ATTACHED'));
    expect(() => stage.attach(new TLSSocket(new Socket()))).toThrow(coded('ERR_ACKGATE_SOCKET_TLS'));
    const other = await rig.net.connect();
    other.near.cork();
    other.near.write('welcome');
    expect(() => stage.attach(other.near)).toThrow(coded('ERR_ACKGATE_SOCKET_UNSENT'));
  });

  it('without lastInRequest no end-of-batch frame comes', async () => {
    const { stage, client, publish } = await gated();
    stage.cursors.primary.advance(9);
    publish(1, false);
    publish(2);
    await until('both have come', () => client.bodies.length === 3);
    expect(client.tags).toEqual([Tag.answer, Tag.answer, Tag.endOfBatch]);
  });

  it('a sequence that the journal never gave out holds back everything behind it', async () => {
    const { stage, client, publish } = await gated();
    publish(1000);
    publish(1);
    stage.cursors.primary.advance(1);
    await until('the stage waits', () => stage.status().waitingSeq === 1000);
    expect(client.bodies).toEqual([]);
    stage.cursors.primary.advance(1000);
    expect(await client.untilAnswers(2)).toEqual([1000, 1]);
  });

  it('an answer under 0, or one that bypasses the gate, waits behind what is held back; a push does not', async () => {
    const { stage, client, connectionId, publish } = await gated();
    publish(1);
    publish(0);
    const record = { connectionId, wireSeq: 9, payload: answer(9), lastInRequest: true };
    stage.producer.tryPublish({ ...record, durabilityBypass: true });
    stage.push(connectionId, answer(77));
    await until('the push has come', () => client.bodies.length > 0);
    expect(client.tags).toEqual([Tag.answer]);
    expect(await client.untilAnswers(1)).toEqual([77]);
    stage.cursors.primary.advance(1);
    expect(await client.untilAnswers(4)).toEqual([77, 1, 0, 9]);
  });

  it('a full ring and an answer too large are values', async () => {
    const { stage, connectionId, publish } = await gated({ ring: { capacity: 4, maxPayload: 64 } });
    const results = Array.from({ length: 5 }, (_, index) => publish(index + 1));
    expect(results).toEqual(['ok', 'ok', 'ok', 'ok', 'full']);
    const record = { connectionId, wireSeq: 0, lastInRequest: true };
    expect(stage.producer.tryPublish({ ...record, payload: new Uint8Array(65) })).toBe('oversize');
    const text = 'accepted' as unknown as Uint8Array;
    expect(() => stage.producer.tryPublish({ ...record, payload: text })).toThrow(
      coded('ERR_ACKGATE_INVALID_ARGUMENT'),
    );
  });

  it('a payload can be used again at once', async () => {
    const { stage, client, connectionId } = await gated();
    const payload = answer(1);
    stage.producer.tryPublish({ connectionId, wireSeq: 1, payload, lastInRequest: true });
    payload.fill(0);
    stage.cursors.primary.advance(1);
    expect(await client.untilAnswers(1)).toEqual([1]);
  });

  it('without disconnect a connection outlives its client', async () => {
    const { rig, stage, near, client, connectionId } = await gated();
    const ended = once(near, 'end');
    client.socket.end();
    await ended;
    await sleep(200); // long enough for a stage that would let go by itself
    expect(stage.status().connections).toBe(1);
    stage.disconnect(connectionId);
    await until('it is closed', () => rig.closed.length === 1);
  });

  it('for await destroys the socket at the end, and with it what waits; its iterator can be told not to', async () => {
    const lost = await gated();
    lost.publish(1);
    lost.client.socket.end();
    for await (const _ of lost.near);
    await lost.client.untilEnded();
    lost.stage.cursors.primary.advance(1);
    await until('the answer is thrown away', () => lost.stage.status().recordsDiscarded === 1);
    expect(lost.client.bodies).toEqual([]);

    const kept = await gated();
    kept.publish(1);
    kept.client.socket.end();
    for await (const _ of kept.near.iterator({ destroyOnReturn: false }));
    kept.stage.disconnect(kept.connectionId);
    kept.stage.cursors.primary.advance(1);
    expect(await kept.client.untilAnswers(1)).toEqual([1]);
  });

  it("the socket's own time limit does not see what the stage sends", async () => {
    const { stage, near, client, publish } = await gated();
    stage.cursors.primary.advance(1_000_000);
    near.setTimeout(300);
    let sequence = 0;
    const sending = setInterval(() => publish(++sequence), 10);
    onTestFinished(() => clearInterval(sending));
    await once(near, 'timeout');
    await until('answers have come', () => client.count(Tag.answer) > 5);
  });

  it('a client that reads nothing is dropped, and asks nobody to wait', async () => {
    const rig = await Rig.start({ kernelSendBufferBytes: 4096 });
    const { near } = await rig.net.connect({ paused: true });
    const connectionId = rig.stage.attach(near);
    const record = { connectionId, wireSeq: 0, payload: new Uint8Array(448).fill(0x10) };
    await until('it is dropped', () => {
      for (let n = 0; n < 100; n++) rig.stage.producer.tryPublish(record);
      return rig.dropped.length > 0;
    });
    expect(rig.dropped[0].reason).toBe('overflow');
  });

  it('a framing is a module, not an object', async () => {
    const framing = { headerBytes: 0 } as unknown as URL;
    await expect(startStage({ framing })).rejects.toThrow(coded('ERR_ACKGATE_INVALID_ARGUMENT'));
  });
});
