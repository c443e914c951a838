import { createServer } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { FaultClient } from '#ackgate/fault-client/index.js';
import {
  type ClientProtocol,
  DisconnectReason,
  lengthPrefixProtocol,
  supervise,
} from '#ackgate/supervisor/index.js';
import { until } from './support/stage.js';
import { framed, openFds, reasons, request, Site } from './support/supervisor.js';

const leave = Uint8Array.of(0x05);

describe('clients that were sent away, and stay', () => {
  it('count for the cap until their sockets are closed, and so do their descriptors', async () => {
    const site = await Site.start({ limits: { connections: 4 } });
    const polite = await site.visit();
    const before = openFds();
    const stayed: FaultClient[] = [];
    for (let i = 0; i < 3; i++) {
      const { client, id } = await site.visit({ allowHalfOpen: true });
      await client.sendFrame(leave);
      await site.untilEnded(id);
      stayed.push(client);
    }
    await site.untilAttached(1);
    expect(site.supervisor.status()).toMatchObject({ active: 1, attached: 1, permits: 4 });
    const refused = await Promise.all(Array.from({ length: 5 }, () => site.connect({ allowHalfOpen: true })));
    await Promise.all(refused.map((client) => until('it is told', () => client.ending !== undefined)));
    for (const client of refused) expect(reasons(client)).toEqual([DisconnectReason.tooManyConnections]);
    expect(site.supervisor.status()).toMatchObject({ spawned: 4, permits: 4 });
    await Promise.all([...stayed, ...refused].map((client) => client.close()));
    await until('their permits are back', () => site.supervisor.status().permits === 1);
    await until('their descriptors are back', () => openFds() <= before);
    const next = await site.visit();
    await site.ask(next.client, 1);
    await site.ask(polite.client, 2);
  });

  it('are closed when they go on sending', async () => {
    const site = await Site.start({ limits: { connections: 2 } });
    const { client, socket, id } = await site.visit({ allowHalfOpen: true });
    await client.sendFrame(leave);
    await site.untilEnded(id);
    await site.untilAttached(0);
    expect(socket.destroyed).toBe(false);
    await client.flood({ frames: 4096, body: new Uint8Array(1000) });
    await until('it is closed', () => socket.destroyed);
    // Far less was read than the client wanted to send.
    expect(socket.bytesRead).toBeLessThan(1024 * 1024);
    await until('its permit is back', () => site.supervisor.status().permits === 0);
  });

  it('keep no shutdown, and no process, longer than half a second', async () => {
    const site = await Site.start();
    const { socket } = await site.visit({ allowHalfOpen: true });
    await site.supervisor.shutdown({ drainMs: 60_000 });
    expect(socket.destroyed).toBe(true);
    await until('its permit is back', () => site.supervisor.status().permits === 0);
  });
});

describe('a protocol that fails', () => {
  const broken = (change: Partial<ClientProtocol>): ClientProtocol => ({
    ...lengthPrefixProtocol,
    ...change,
  });
  const failed = new Error('of the protocol');
  const fail = () => {
    throw failed;
  };

  it('before there is a connection leaves none behind', async () => {
    let fails = true;
    const decoder: ClientProtocol['decoder'] = (max) => (fails ? fail() : lengthPrefixProtocol.decoder(max));
    const site = await Site.start({ protocol: broken({ decoder }) });
    const client = await site.connect();
    expect(['end', 'reset']).toContain(await client.ended);
    expect(site.supervisor.status()).toMatchObject({ active: 0, attached: 0, permits: 0, spawned: 0 });
    expect(site.stage.status().connections).toBe(0);
    expect(site.supervisor.status().refused.unattachable).toBe(1);
    fails = false;
    await site.ask((await site.visit()).client, 1);
  });

  it.each<[string, Partial<ClientProtocol>]>([
    ['next', { decoder: () => ({ push() {}, next: fail, fault: null, heldBytes: 0 }) }],
    ['push', { decoder: () => ({ push: fail, next: () => null, fault: null, heldBytes: 0 }) }],
    [
      'fault',
      {
        decoder: () => ({
          push() {},
          next: () => null,
          get fault() {
            return fail();
          },
          heldBytes: 0,
        }),
      },
    ],
    [
      'heldBytes',
      {
        decoder: () => ({
          push() {},
          next: () => null,
          fault: null,
          get heldBytes() {
            return fail();
          },
        }),
      },
    ],
    ['isDisconnect', { isDisconnect: fail }],
    ['readReply', { readReply: fail }],
  ])('in %s ends that connection alone', async (_, change) => {
    const site = await Site.start({ protocol: broken(change) });
    const { client, id } = await site.visit();
    const other = await site.visit();
    await client.send(framed(request(1)));
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'crashed', reason: 'malformed-frame' });
    await until('it is told', () => client.ending !== undefined);
    expect(reasons(client)).toEqual([DisconnectReason.malformedFrame]);
    expect(site.supervisor.isTracked(other.id)).toBe(true);
    expect(site.logged('connection crashed')[0].fields.err).toBe(failed);
  });

  it('takes undefined for no reply', async () => {
    const readReply = () => undefined as unknown as null;
    const site = await Site.start({ protocol: broken({ readReply }) });
    await site.ask((await site.visit()).client, 1);
  });
});

describe('spawn', () => {
  it.each([null, undefined, {}, 5, 'socket'])('refuses %o', async (value) => {
    const site = await Site.start();
    expect(() => site.supervisor.spawn(value as unknown as Socket)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_INVALID_ARGUMENT' }),
    );
  });

  it('takes one whose client has ended its stream already for what it is', async () => {
    const site = await Site.start();
    const sockets: Socket[] = [];
    const beside = createTcpServer({ allowHalfOpen: true }, (socket) => sockets.push(socket.resume()));
    await new Promise<void>((resolve) => beside.listen(0, '127.0.0.1', resolve));
    const { port } = beside.address() as { port: number };
    const client = await FaultClient.connect({ port, allowHalfOpen: true });
    await client.end();
    await until('its end has come', () => sockets[0]?.readableEnded === true);
    const id = site.supervisor.spawn(sockets[0]);
    expect(await site.untilEnded(id)).toMatchObject({ outcome: 'finished', reason: 'end-of-stream' });
    expect(await client.ended).toBe('end');
    await client.close();
    beside.close();
  });
});

it('says so once when the stage has no room to tell refused clients why', async () => {
  const site = await Site.start({ stage: { connections: 2 }, limits: { connections: 2 } });
  await site.visit();
  await site.visit();
  for (let i = 0; i < 3; i++) {
    const client = await site.connect();
    expect(['end', 'reset']).toContain(await client.ended);
    expect(reasons(client)).toEqual([]);
  }
  expect(site.log.filter(({ message }) => message.startsWith('no room in the stage'))).toHaveLength(1);
});

it('has one line a second for those that are refused, and says how many it stands for', async () => {
  const site = await Site.start({ limits: { connections: 1 } });
  await site.visit();
  for (let i = 0; i < 5; i++) await (await site.connect()).ended;
  const lines = site.logged('connection refused');
  expect(lines.length).toBeGreaterThanOrEqual(1);
  const told = lines.reduce((sum, { fields }) => sum + 1 + (fields.more as number), 0);
  expect(told).toBeLessThanOrEqual(5);
  expect(lines[0].fields).toMatchObject({ code: 'ERR_ACKGATE_TOO_MANY_CONNECTIONS', more: 0 });
  expect(lines[0].fields.err).toBeUndefined();
});

it('is one for a stage, and takes no server that has its own use for connections', async () => {
  const site = await Site.start();
  const options = { stage: site.stage, onFrame() {}, signals: false };
  expect(() => supervise(createTcpServer(), options)).toThrow(/without a supervisor/);
  expect(() => supervise(createServer(), options)).toThrow(/HTTP/);
  expect(() => supervise(site.server, options)).toThrow(/connection listener/);
});
