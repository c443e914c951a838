import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenAnywhere } from '#ackgate/local-cluster/free-port.js';
import { LoopbackProxy } from '#ackgate/local-cluster/proxy.js';
import { until } from '#ackgate/local-cluster/until.js';

/** One end of a connection, and what has arrived at it. */
interface End {
  readonly socket: Socket;
  text: string;
  ended: boolean;
  error: string | null;
}

function watch(socket: Socket): End {
  const end: End = { socket, text: '', ended: false, error: null };
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    end.text += chunk;
  });
  socket.on('end', () => {
    end.ended = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end.error = error.code!;
  });
  return end;
}

const server = createServer({ allowHalfOpen: true });
let accepted: End[];
let clients: End[];
let proxy: LoopbackProxy;
beforeEach(async () => {
  accepted = [];
  clients = [];
  server.removeAllListeners('connection').on('connection', (socket) => accepted.push(watch(socket)));
  proxy = await LoopbackProxy.start(await listenAnywhere(server));
});
afterEach(async () => {
  for (const { socket } of [...clients, ...accepted]) socket.destroy();
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

async function join(): Promise<{ client: End; server: End }> {
  const before = accepted.length;
  const client = await knock();
  await holds(() => accepted.length > before);
  return { client, server: accepted.at(-1)! };
}

async function knock(): Promise<End> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  clients.push(watch(socket));
  await once(socket, 'connect');
  return clients.at(-1)!;
}

const holds = (condition: () => boolean) => until(() => 'not seen', condition, { everyMs: 2 });

/** Many turns of the event loop that the ends and the proxy share: what is not held arrives in a few. */
async function aWhile(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('joins client and server in both directions, much data and half-closed connections included', async () => {
  const { client, server } = await join();
  const much = 'x'.repeat(5 << 20);
  client.socket.end(much);
  await holds(() => server.ended);
  expect(server.text).toBe(much);
  server.socket.end('answer');
  await holds(() => client.ended);
  expect(client.text).toBe('answer');
  await holds(() => proxy.connections === 0);
});

describe('a cut', () => {
  test('keeps everything from both ends, and gives it to them when it is mended', async () => {
    const { client, server } = await join();
    proxy.cut();
    client.socket.write('a');
    server.socket.write('b');
    await aWhile();
    expect([server.text, client.text]).toEqual(['', '']);
    proxy.mend();
    await holds(() => server.text === 'a' && client.text === 'b');
    client.socket.write('c');
    await holds(() => server.text === 'ac');
  });

  test.each([
    ['in order', (socket: Socket) => socket.end(), 'ended'],
    ['by a reset', (socket: Socket) => socket.resetAndDestroy(), 'error'],
  ] as const)('neither end learns that the other one has left %s', async (_, leave, sign) => {
    const { client, server } = await join();
    proxy.cut();
    leave(client.socket);
    await aWhile();
    expect([server.ended, server.error]).toEqual([false, null]);
    proxy.mend();
    await holds(() => Boolean(server[sign]));
  });

  test('can be one way only', async () => {
    const { client, server } = await join();
    proxy.cut('to-client');
    client.socket.write('a');
    await holds(() => server.text === 'a');
    server.socket.write('b');
    await aWhile();
    expect(client.text).toBe('');
    proxy.mend('to-client');
    await holds(() => client.text === 'b');
  });

  test('lets a new client wait, and joins it when it is mended', async () => {
    proxy.cut();
    const client = await knock();
    client.socket.write('a');
    await aWhile();
    expect(accepted).toEqual([]);
    proxy.mend();
    await holds(() => accepted[0]?.text === 'a');
  });
});

test('a reset tells both ends at once, and new connections are taken', async () => {
  const { client, server } = await join();
  proxy.reset();
  await holds(() => client.error === 'ECONNRESET' && server.error === 'ECONNRESET');
  const again = await join();
  again.client.socket.write('a');
  await holds(() => again.server.text === 'a');
});

test('a client of a server that is away is reset', async () => {
  proxy.target = 1;
  const client = await knock();
  await holds(() => client.error === 'ECONNRESET');
  await holds(() => proxy.connections === 0);
});

test('a delay keeps the order, and ends with what comes after it', async () => {
  const { client, server } = await join();
  proxy.delayMs = 60;
  const start = performance.now();
  client.socket.write('a');
  await aWhile();
  client.socket.write('b');
  await aWhile();
  proxy.delayMs = 0;
  client.socket.write('c');
  await holds(() => server.text !== '');
  expect(performance.now() - start).toBeGreaterThanOrEqual(59);
  await holds(() => server.text === 'abc');
});
