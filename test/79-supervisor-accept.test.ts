import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import { FaultClient } from '#ackgate/fault-client/index.js';
import { silentLogger } from '#ackgate/shared/logger.js';
import { Acceptor } from '#ackgate/supervisor/acceptor.js';
import { DescriptorWatch } from '#ackgate/supervisor/descriptor-watch.js';
import { FakeTimers } from './support/fake-timers.js';
import { until } from './support/stage.js';
import { SupervisorChild } from './support/supervisor-child.js';

const request = Buffer.from([0x10, 1, 2, 3]);
const hangMs = 20_000;
const ranOut = 'out of descriptors';
const freeAgain = 'descriptors are free again';

/** Asks and gets answers until it is stopped; rejects when one does not come. */
async function steady(port: number) {
  const client = await FaultClient.connect({ port });
  onTestFinished(() => client.close());
  let running = true;
  let answers = 0;
  const loop = (async () => {
    while (running) {
      await client.sendFrame(request);
      let body = await client.nextFrame(hangMs);
      while (body[0] !== request[0]) body = await client.nextFrame(hangMs);
      answers++;
      await client.wait(5);
    }
  })();
  loop.catch(() => {}); // Awaited at the end; until then nobody listens.
  return {
    answers: () => answers,
    stop() {
      running = false;
      return loop;
    },
  };
}

async function moreAnswers(clients: Awaited<ReturnType<typeof steady>>[], count: number): Promise<void> {
  const before = clients.map((client) => client.answers());
  await until('the steady clients get answers', () =>
    clients.every((client, i) => client.answers() >= before[i] + count),
  );
}

/** Whether a new client gets an answer; false when its connection is closed, or nothing comes for a while. */
async function isServed(port: number): Promise<boolean> {
  const client = await FaultClient.connect({ port }).catch(() => null);
  if (client === null) return false;
  try {
    await client.sendFrame(request);
    return (await client.nextFrame(500))[0] === request[0];
  } catch {
    return false;
  } finally {
    await client.close();
  }
}

async function untilServed(port: number): Promise<void> {
  const deadline = performance.now() + hangMs;
  while (!(await isServed(port))) {
    if (performance.now() > deadline) throw new Error('no new client was served any more');
  }
}

/** Connections that do nothing, until the test ends or they are closed. */
function crowd(port: number) {
  const sockets: Socket[] = [];
  const close = () => {
    for (const socket of sockets.splice(0)) socket.destroy();
  };
  onTestFinished(close);
  return {
    grow() {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      sockets.push(socket);
      return once(socket, 'connect').catch(() => {});
    },
    close,
  };
}

/** CPU time of the child while `during` runs, in percent of one core: for the reader of the output. */
async function cpuWhile(child: SupervisorChild, during: () => Promise<void>): Promise<number> {
  const used = async () => {
    const { user, system } = (await child.ask('status')).cpu as NodeJS.CpuUsage;
    return { cpu: user + system, now: performance.now() };
  };
  const before = await used();
  await during();
  const after = await used();
  return Math.round((after.cpu - before.cpu) / (after.now - before.now) / 10);
}

describe('a process that runs out of descriptors', () => {
  async function withSteadyClients() {
    const { child, ports } = await SupervisorChild.listening({}, { descriptors: 96 });
    const clients = await Promise.all(Array.from({ length: 4 }, () => steady(ports[0])));
    // To the client it is connected before the server has it.
    await moreAnswers(clients, 1);
    return { child, port: ports[0], clients };
  }

  it('by connections: serves whom it has, says so once, and takes clients again afterwards', async () => {
    const { child, port, clients } = await withSteadyClients();
    const many = crowd(port);
    for (let i = 0; i < 96 && child.logged(ranOut) === 0; i++) {
      await many.grow();
      // The line comes through a pipe, after the connection.
      await moreAnswers(clients, 1);
    }
    const percent = await cpuWhile(child, async () => {
      for (let i = 0; i < 20; i++) {
        await many.grow();
        await moreAnswers(clients, 2);
      }
    });
    console.info(`CPU of a server without descriptors: ${percent} % of a core`);
    expect(child.logged(ranOut)).toBe(1);
    expect(child.logged(freeAgain)).toBe(0);
    expect((await child.ask('status')).acceptErrors).toBeGreaterThan(0);

    many.close();
    await untilServed(port);
    await child.until('it says that there are descriptors again', () => child.logged(freeAgain) === 1);
    expect(child.logged(ranOut)).toBe(1);
    await moreAnswers(clients, 1);
    await Promise.all(clients.map((client) => client.stop()));
    expect(child.end).toBeNull();
  });

  // No socket reaches JavaScript then, and no error.
  it('by files that others have opened: the same, each time', async () => {
    const { child, port, clients } = await withSteadyClients();
    for (const shortages of [1, 2]) {
      expect(await child.ask('hoard')).toMatchObject({ code: 'EMFILE' });
      const others = crowd(port);
      const percent = await cpuWhile(child, async () => {
        for (let i = 0; i < 5; i++) await others.grow();
        expect(await isServed(port)).toBe(false);
        await child.until('it says so', () => child.logged(ranOut) === shortages);
        await moreAnswers(clients, 20);
      });
      console.info(`CPU of a server without descriptors: ${percent} % of a core`);
      expect((await child.ask('status')).acceptErrors).toBeGreaterThanOrEqual(shortages);
      expect(child.logged(freeAgain)).toBe(shortages - 1);

      await child.ask('release');
      others.close();
      await untilServed(port);
      await child.until('it says that it is over', () => child.logged(freeAgain) === shortages);
    }
    expect(child.logged(ranOut)).toBe(2);
    await moreAnswers(clients, 1);
    await Promise.all(clients.map((client) => client.stop()));
    expect(child.end).toBeNull();
  });
});

describe('errors of the server', () => {
  /** A port that somebody listens on. */
  async function takenPort(): Promise<number> {
    const server = createServer().listen({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  }

  it('end the process when nobody listens for them, as without a supervisor', async () => {
    const child = new SupervisorChild({ port: await takenPort() });
    expect(await child.ended()).toBe(1);
    expect(child.stderr).toContain('EADDRINUSE');
  });

  it.each(['on', 'once'] as const)('reach the application’s listener, by %s', async (errors) => {
    const child = new SupervisorChild({ port: await takenPort(), errors });
    expect(await child.event('server error')).toMatchObject({ code: 'EADDRINUSE' });
    expect(await child.ask('status')).toMatchObject({ state: 'running' });
  });

  /** A listening server whose connections only the test looks at. */
  async function accepting() {
    const server = createServer();
    const timers = new FakeTimers();
    const taken: Socket[] = [];
    const lines: string[] = [];
    let acceptErrors = 0;
    const refusal: { error: unknown } = { error: null };
    const line = (_fields: object, message: string) => void lines.push(message);
    const acceptor = new Acceptor(server, {
      logger: { ...silentLogger, warn: line, info: line },
      timers,
      spawn(socket) {
        taken.push(socket);
        if (refusal.error !== null) throw refusal.error;
      },
      onAcceptError: () => acceptErrors++,
    });
    onTestFinished(() => {
      server.close();
      for (const socket of taken) socket.destroy();
    });
    return { server, timers, taken, lines, acceptor, refusal, acceptErrors: () => acceptErrors };
  }

  async function listen(server: Server): Promise<number> {
    server.listen({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  const failure = (code: string) => Object.assign(new Error(`accept ${code}`), { code });

  it.each(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])('of accept that pass cost 50 ms: %s', async (code) => {
    const { server, timers, taken, lines, acceptErrors } = await accepting();
    const port = await listen(server);
    server.emit('error', failure(code));
    expect(lines).toEqual([expect.stringContaining(ranOut)]);
    const before = acceptErrors();

    const turnedAway = connect({ port, host: '127.0.0.1' });
    await once(turnedAway.resume(), 'end');
    expect(taken).toEqual([]);
    expect(acceptErrors()).toBe(before + 1);

    await timers.advance(50);
    const client = connect({ port, host: '127.0.0.1' });
    await until('it is taken', () => taken.length === 1);
    client.destroy();
    turnedAway.destroy();
    expect(lines).toHaveLength(1);
  });

  it('of a stage that finds no descriptor cost the same', async () => {
    const { server, taken, lines, refusal, acceptErrors } = await accepting();
    const port = await listen(server);
    refusal.error = new AckgateError('ERR_ACKGATE_TOO_MANY_FDS', 'none left');
    const clients = [connect({ port, host: '127.0.0.1' })];
    await until('one is refused', () => taken.length === 1);
    refusal.error = null;
    clients.push(connect({ port, host: '127.0.0.1' }));
    await once(clients[1].resume(), 'end');
    expect(taken).toHaveLength(1);
    expect(lines).toEqual([expect.stringContaining(ranOut)]);
    // The one that was refused, the shortage, and the one that was turned away.
    expect(acceptErrors()).toBe(3);
    for (const client of clients) client.destroy();
  });

  it('of any other kind are thrown when nobody listens, and those that pass too before it listens', async () => {
    const { server } = await accepting();
    const early = failure('EMFILE');
    expect(() => server.emit('error', early)).toThrow(early);
    await listen(server);
    const other = failure('EINVAL');
    expect(() => server.emit('error', other)).toThrow(other);
    const heard: unknown[] = [];
    server.on('error', (error) => heard.push(error));
    server.emit('error', other);
    expect(heard).toEqual([other]);
  });

  it('stays closed when it was stopped while it was about to listen', async () => {
    const { server, acceptor } = await accepting();
    const closed = once(server, 'close');
    server.listen({ port: 0, host: '127.0.0.1' });
    acceptor.stop();
    await closed;
    expect(server.listening).toBe(false);
  });
});

describe('the watch for descriptors', () => {
  function start() {
    const timers = new FakeTimers();
    const lines: string[] = [];
    const line = (_fields: object, message: string) => void lines.push(message);
    const counts = { shortages: 0 };
    let listening = true;
    const watch = new DescriptorWatch({
      logger: { ...silentLogger, warn: line, info: line },
      timers,
      isListening: () => listening,
      onShortage: () => counts.shortages++,
    });
    watch.watch();
    const stopListening = () => {
      listening = false;
    };
    return { watch, timers, lines, counts, stopListening };
  }

  it('calls it one shortage as long as they run out again within a second', async () => {
    const { watch, timers, lines, counts } = start();
    for (let i = 0; i < 10; i++) {
      watch.ranOut(new Error('none left'));
      await timers.advance(950);
    }
    expect(lines).toEqual([expect.stringContaining(ranOut)]);
    await timers.advance(100);
    expect(lines).toEqual([expect.stringContaining(ranOut), expect.stringContaining(freeAgain)]);
    watch.ranOut(new Error('none left'));
    expect(lines).toHaveLength(3);
    expect(counts.shortages).toBe(2);
  });

  it('looks no more once the server does not listen, and never twice as often', async () => {
    const { watch, timers, stopListening } = start();
    watch.watch();
    watch.ranOut(new Error('none left'));
    expect(timers.pending).toBe(1);
    stopListening();
    await timers.advance(60);
    expect(timers.pending).toBe(0);
  });
});
