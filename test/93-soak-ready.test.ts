import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '#ackgate/soak/clock.js';
import type { ClientContext, SoakClient, SoakDriver } from '#ackgate/soak/driver.js';
import { type Ready, type ReadyOptions, waitUntilReady } from '#ackgate/soak/ready.js';
import { countConnections, freePort, listensItself } from '#ackgate/soak/samplers/ports.js';
import { readTcpTable } from '#ackgate/soak/samplers/tcp-table.js';
import { ServerProcess } from '#ackgate/soak/server-process.js';
import { echoDriver, echoServer } from './support/soak-echo.js';

const patient = { timeout: 30_000 };
const host = '127.0.0.1';
const acts = fileURLToPath(new URL('fixtures/soak/child-acts.mjs', import.meta.url));
/** Ten times as fast: for what takes seconds. */
const fastClock = {
  nowMs: () => performance.now() * 10,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 10, signal),
};

type Target = ReadyOptions['server'];

function ready(server: Target, options: Partial<ReadyOptions> = {}): Promise<Ready> {
  return waitUntilReady({
    driver: echoDriver(),
    server,
    readySeconds: 30,
    signal: new AbortController().signal,
    clock: systemClock,
    client: 3,
    seed: 1,
    ...options,
  });
}

async function detailOf(waiting: Promise<Ready>): Promise<string> {
  const result = await waiting;
  return result.ok ? 'ready' : result.detail;
}

async function child(command: string, ...args: string[]): Promise<ServerProcess> {
  const port = await freePort();
  const server = ServerProcess.start({ command: { command, args }, host, port, directory: '', probe: false });
  onTestFinished(async () => {
    server.kill();
    await server.exited;
  });
  return server;
}

/** A server in this process, which never ends. */
async function listening(onConnection: (socket: Socket) => void): Promise<Target & { server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as { port: number };
  return { server, host, port, exited: new Promise(() => {}), exit: null, output: '' };
}

/** Not even one that is open on this side. */
const noConnectionLeft = (port: number) =>
  expect.poll(() => countConnections(readTcpTable() ?? [], port, new Set()), patient).toBe(0);

const answer = (id: number, outcome: number) => Buffer.from([5, 0, 0, 0, id, 0, 0, 0, outcome]);

describe('ready is', () => {
  it('a server that begins a second later', async () => {
    const server = await child('sh', '-c', `sleep 1; exec "$0" "$1" {port}`, process.execPath, echoServer);
    const result = await ready(server);
    expect(result).toMatchObject({ ok: true });
    expect(result.ok && result.afterMs).toBeGreaterThan(900);
    await noConnectionLeft(server.port);
  });

  it('one that takes its time for the first answer', async () => {
    const target = await listening((socket) => {
      socket.once('data', () => setTimeout(() => socket.write(answer(1, 0)), 300));
    });
    expect(await ready(target, { clock: fastClock })).toMatchObject({ ok: true });
    await noConnectionLeft(target.port);
  });

  it('one whose protocol has no simple requests', async () => {
    const target = await listening((socket) => {
      socket.on('data', (frame) => socket.write(answer(1, frame[8] === 3 ? 1 : 0)));
    });
    const driver = echoDriver({ operations: ['error', 'slow'] });
    expect(await ready(target, { driver })).toMatchObject({ ok: true });
  });

  it('asked for by the client it is told to be', async () => {
    const target = await listening((socket) => socket.on('data', () => socket.write(answer(1, 0))));
    const contexts: ClientContext[] = [];
    const driver = echoDriver();
    const connect = (context: ClientContext) => {
      contexts.push(context);
      return driver.connect(context);
    };
    await ready(target, { driver: { ...driver, connect }, client: 12, seed: 34 });
    expect(contexts).toMatchObject([{ client: 12, seed: 34, host, port: target.port }]);
  });
});

describe('not ready is', () => {
  it('a server that never listens', async () => {
    const server = await child(process.execPath, acts, 'stays');
    const detail = await detailOf(ready(server, { readySeconds: 5, clock: fastClock }));
    expect(detail).toMatch(/^not ready within 5 s; last: no connection: .*ECONNREFUSED/);
  });

  it.each([
    ['never answers', () => {}, /connected, but no answer within \d+ ms/],
    ['takes and closes', (socket: Socket) => socket.end(), /the connection was closed|takes no request/],
    ['answers with an error', (socket: Socket) => socket.write(answer(1, 1)), /answered with error/],
    ['answers another', (socket: Socket) => socket.write(answer(9, 0)), /request 9, which was never sent/],
    ['answers nonsense', (socket: Socket) => socket.write(answer(1, 7)), /answered wrongly: corrupted/],
  ])('one that %s', async (_what, act, detail) => {
    const target = await listening((socket) => socket.once('data', () => act(socket)));
    expect(await detailOf(ready(target, { readySeconds: 3, clock: fastClock }))).toMatch(detail);
    await noConnectionLeft(target.port);
  });

  it('one that dies', async () => {
    const server = await child(process.execPath, acts, 'says-and-exits');
    const detail = await detailOf(ready(server));
    expect(detail).toContain('the server ended by itself before it was ready: exit code 3;');
    expect(detail).toContain('first words');
    expect(detail).toContain('last words');
  });

  it('one that dies without a word', async () => {
    const server = await child(process.execPath, acts, 'nothing');
    expect(await detailOf(ready(server))).toMatch(/exit code 0 .*, without any output$/);
  });

  it('one that goes to the background, whoever answers in its place', async () => {
    const server = await child(process.execPath, acts, 'goes-to-background', '{port}');
    await expect.poll(() => server.output, patient).toMatch(/left \d+/);
    const left = Number(/left (\d+)/.exec(server.output)?.[1]);
    onTestFinished(() => void process.kill(left, 'SIGKILL'));
    await expect.poll(() => server.exit, { ...patient, interval: 5 }).not.toBeNull();
    expect(await detailOf(ready(server))).toMatch(
      /^the server ended by itself before it was ready: exit code 0 \(one that goes to the background /,
    );
    expect(listensItself(left, server.port)).toBe(true);
  });

  it('one that ended while another answered', async () => {
    const exit = { code: 7, signal: null, error: null };
    let ended = (_exit: typeof exit) => {};
    const exited = new Promise<typeof exit>((resolve) => (ended = resolve));
    const target = await listening((socket) => {
      socket.on('data', () => socket.write(answer(1, 0)));
      // The second attempt.
      if (++connections === 2) ended(exit);
    });
    let connections = 0;
    const detail = detailOf(ready({ ...target, exit, exited }, { clock: fastClock }));
    expect(await detail).toBe(
      'the server ended by itself before it was ready: exit code 7, without any output',
    );
    await noConnectionLeft(target.port);
  });

  it('one that could not be started', async () => {
    const server = await child('/no/such/program');
    expect(await detailOf(ready(server))).toContain(
      '"/no/such/program" could not be started: no such command',
    );
  });
});

describe('waiting ends', () => {
  it('at once when it is stopped, from the beginning or later', async () => {
    const target = await listening(() => {});
    const stopped = new AbortController();
    const waiting = ready(target, { signal: stopped.signal });
    await once(target.server, 'connection');
    stopped.abort();
    expect(await detailOf(waiting)).toMatch(/^stopped while waiting/);
    expect(await detailOf(ready(target, { signal: stopped.signal }))).toMatch(/no attempt was made/);
    await noConnectionLeft(target.port);
  });

  const broken = (connect: SoakDriver['connect']): SoakDriver => ({ ...echoDriver(), connect });

  it('with a connect that never comes back, whose signal is aborted', async () => {
    const target = await listening(() => {});
    let aborted = 0;
    const driver = broken(({ signal }) => {
      signal.addEventListener('abort', () => aborted++);
      return new Promise(() => {});
    });
    const detail = await detailOf(ready(target, { driver, readySeconds: 5, clock: fastClock }));
    expect(detail).toContain('no connection was made in time');
    expect(aborted).toBeGreaterThanOrEqual(2);
  });

  it('with a connect that comes too late: the connection is closed again', async () => {
    const target = await listening(() => {});
    let closed = 0;
    const late: SoakClient = {
      send: () => true,
      async close() {
        closed++;
      },
    };
    let connect = (_client: SoakClient) => {};
    const driver = broken(() => new Promise((resolve) => (connect = resolve)));
    await ready(target, { driver, readySeconds: 1, clock: fastClock });
    expect(closed).toBe(0);
    connect(late);
    await expect.poll(() => closed, patient).toBe(1);
  });

  it('with a driver that throws', async () => {
    const target = await listening(() => {});
    const fails = async (driver: SoakDriver) =>
      detailOf(ready(target, { driver, readySeconds: 1, clock: fastClock }));
    const thrower = () => {
      throw new Error('cannot');
    };
    expect(await fails(broken(thrower))).toContain('no connection: cannot');
    const close = () => Promise.reject(new Error('not even that'));
    expect(await fails(broken(async () => ({ send: thrower, close })))).toContain(
      'the driver failed: cannot',
    );
    expect(await fails(broken(async () => ({ send: () => false, close: thrower })))).toContain(
      'takes no request',
    );
  });

  it('with a client that does not want to leave', async () => {
    const target = await listening((socket) => socket.on('data', () => socket.write(answer(1, 0))));
    const driver = echoDriver();
    const staying = broken(async (context) => {
      const client = await driver.connect(context);
      return {
        send: client.send.bind(client),
        socket: client.socket as Socket,
        close: () => new Promise(() => {}),
      };
    });
    expect(await ready(target, { driver: staying, clock: fastClock })).toMatchObject({ ok: true });
    await noConnectionLeft(target.port);
  });
});
