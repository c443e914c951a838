import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { PacedWriter } from '#ackgate/demo/paced-writer.js';
import createDemoDriver from '#ackgate/demo/soak-driver.js';
import createStoreDriver from '#ackgate/request-reply/soak-driver.js';
import type { Operation, ServerHandle, ServerStatus, SoakClient, SoakDriver } from '#ackgate/soak/driver.js';
import { LengthPrefixDecoder } from '#ackgate/supervisor/index.js';

const host = '127.0.0.1';
const never = new AbortController().signal;

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, host);
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

function reachable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5);
}

/** The server that a driver names, in a process of its own. */
async function startServer(driver: SoakDriver): Promise<ServerHandle & { process: ChildProcess }> {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-soak-driver-'));
  const port = await freePort();
  const { command, args, env, ipc } = driver.server!({ host, port, directory });
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'inherit', ...(ipc ? (['ipc'] as const) : [])],
    env: { ...process.env, ...env },
  });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(directory, { recursive: true, force: true });
  });
  await until(() => {
    if (child.exitCode !== null) throw new Error('the server has ended by itself');
    return reachable(port);
  });
  return {
    process: child,
    pid: child.pid!,
    host,
    port,
    send: (message) => (ipc ? (child.send(message) ?? false) : false),
    onMessage(listener) {
      child.on('message', listener);
      return () => child.off('message', listener);
    },
  };
}

/** A client, and what it has told so far. */
interface Player {
  readonly client: SoakClient;
  /** `id outcome`, in the order in which they came. */
  readonly answers: string[];
  readonly violations: string[];
  /** Why it was closed, if it was. */
  readonly closed: string[];
  do(operation: Operation, bytes?: number): number;
  answered(count: number): Promise<string[]>;
}

async function enter(driver: SoakDriver, port: number, number = 0, seed = number + 1): Promise<Player> {
  const answers: string[] = [];
  const violations: string[] = [];
  const closed: string[] = [];
  const events = {
    answered: (id: number, outcome: string) => void answers.push(`${id} ${outcome}`),
    violated: (kind: string, detail: string) => void violations.push(`${kind}: ${detail}`),
    closed: (detail: string) => void closed.push(detail),
  };
  const context = { host, port, client: number, seed, events, signal: never };
  const client = await driver.connect(context);
  let id = 0;
  return {
    client,
    answers,
    violations,
    closed,
    do(operation, bytes = 16) {
      id++;
      expect(client.send({ id, operation, bytes })).toBe(true);
      return id;
    },
    async answered(count) {
      await until(() => answers.length >= count || closed.length > 0);
      return answers;
    },
  };
}

const statusOf = (driver: SoakDriver, server: ServerHandle): Promise<ServerStatus> => driver.status!(server);

async function leftNothing(driver: SoakDriver, server: ServerHandle): Promise<void> {
  await until(async () => {
    const status = await statusOf(driver, server);
    return driver.orphans!.every((name) => status[name] === 0);
  });
}

test('each operation has its outcome, in order, and nothing is left when all have gone', async () => {
  const driver = await createDemoDriver();
  const server = await startServer(driver);
  const players = [await enter(driver, server.port, 0), await enter(driver, server.port, 1)];
  const rounds = 40;
  for (const player of players) {
    for (let i = 0; i < rounds; i++) for (const operation of driver.operations) player.do(operation);
  }
  for (const { answered } of players) await answered(rounds * 5);
  for (const { answers, violations, closed } of players) {
    const wanted = Array.from({ length: rounds * 5 }, (_, i) => {
      return `${i + 1} ${driver.operations[i % 5] === 'error' ? 'error' : 'success'}`;
    });
    expect({ answers, violations, closed }).toEqual({ answers: wanted, violations: [], closed: [] });
  }
  const busy = await statusOf(driver, server);
  expect(busy).toMatchObject({ connections: 2, attached: 2, slots: 2, permits: 2 });
  expect(busy.requests).toBe(2 * (1 + rounds * (1 + 10 + 1 + 1 + 1)));
  for (const value of Object.values(busy)) expect(value).toBeTypeOf('number');
  for (const { client } of players) await client.close();
  for (const { closed } of players) expect(closed).toEqual(['logged off']);
  expect(players[0]!.client.send({ id: 1, operation: 'simple', bytes: 16 })).toBe(false);
  await leftNothing(driver, server);
});

test('open orders come as one answer, none of them or many', async () => {
  const driver = await createDemoDriver();
  const server = await startServer(driver);
  const player = await enter(driver, server.port);
  player.do('streaming');
  await player.answered(1);
  for (let status = await statusOf(driver, server); status.openOrders! < 20; ) {
    await player.answered(player.do('simple'));
    status = await statusOf(driver, server);
  }
  const before = await statusOf(driver, server);
  const last = player.do('streaming');
  await player.answered(last);
  // The status is written now and then.
  await until(async () => {
    const { responsesReleased } = await statusOf(driver, server);
    return responsesReleased! >= before.responsesIn! + before.openOrders!;
  });
  const after = await statusOf(driver, server);
  expect(after.responsesIn).toBe(before.responsesIn! + before.openOrders!);
  expect(player.answers.at(-1)).toBe(`${last} success`);
  expect(player.violations).toEqual([]);
  await player.client.close();
  await leftNothing(driver, server);
});

test('a slow frame goes out in pieces, and what comes meanwhile goes out behind it', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const written: string[] = [];
  const socket = { write: (bytes: Buffer) => written.push(bytes.toString()) } as unknown as Socket;
  const writer = new PacedWriter(socket);
  writer.write(Buffer.from('first'));
  writer.writeSlowly(Buffer.from('abcdefgh'), 20);
  writer.writeSlowly(Buffer.from('ABC'), 5);
  writer.write(Buffer.from('last'));
  const seen = [[...written]];
  for (const ms of [19, 1, 20, 5, 5]) {
    vi.advanceTimersByTime(ms);
    seen.push(written.slice(seen.flat().length));
  }
  expect(seen).toEqual([['first', 'abc'], [], ['def'], ['gh', 'A'], ['B'], ['C', 'last']]);
  writer.writeSlowly(Buffer.from('xyz'), 5);
  writer.close();
  vi.runAllTimers();
  expect(written.at(-1)).toBe('x');
  expect(vi.getTimerCount()).toBe(0);
});

test('a client that is cut with requests under way comes back, and still knows its orders', async () => {
  const driver = await createDemoDriver();
  const server = await startServer(driver);
  const trader = await enter(driver, server.port, 1);
  const violations: string[] = [];
  const deaths = ['destroy', 'reset', 'forsake', 'half'] as const;
  for (let life = 0; life < 40; life++) {
    const player = await enter(driver, server.port, 0, 1);
    for (let i = 0; i < 12; i++) {
      player.do(driver.operations[(life + i) % 5]!);
      trader.do('simple');
      if (i % 4 === 0) await trader.answered(trader.do('simple'));
    }
    const { socket } = player.client;
    const death = deaths[life % deaths.length];
    if (death === 'destroy') socket!.destroy();
    if (death === 'reset') socket!.resetAndDestroy();
    // Not into the middle of a frame that goes out slowly.
    if (death === 'half') await player.answered(12);
    if (death === 'half') socket!.end(driver.sampleRequest!().subarray(0, 9));
    // Of one that is forsaken the next life takes the place, although it was never cut.
    if (death === 'half') await until(() => player.closed.length > 0);
    violations.push(...player.violations);
  }
  const survivor = await enter(driver, server.port, 0, 1);
  for (let i = 0; i < 60; i++) survivor.do('simple');
  const last = survivor.do('streaming');
  await survivor.answered(last);
  await until(() => trader.answers.length >= 40 * 15);
  expect([...violations, ...survivor.violations, ...trader.violations]).toEqual([]);
  expect(survivor.answers.at(-1)).toBe(`${last} success`);
  expect(trader.closed).toEqual([]);
  for (const { client } of [survivor, trader]) await client.close();
  await leftNothing(driver, server);
});

/** Passes bytes on between a client and the server; `tamper` changes the server's frames, from the second on. */
async function liar(port: number, tamper: (frame: Buffer, n: number) => Buffer[]): Promise<number> {
  const proxy = createServer((near) => {
    const far = connect(port, host);
    const frames = new LengthPrefixDecoder(1000);
    let n = 0;
    near.pipe(far);
    far.on('data', (chunk) => {
      frames.push(chunk);
      for (let body = frames.next(); body !== null; body = frames.next()) {
        const frame = Buffer.concat([Buffer.of(body.length, 0, 0, 0), body]);
        for (const part of tamper(frame, ++n)) near.write(part);
      }
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  proxy.listen(0, host);
  await once(proxy, 'listening');
  onTestFinished(() => void proxy.close());
  return (proxy.address() as AddressInfo).port;
}

test.each([
  ['flips a bit', (frame: Buffer, n: number) => [n === 9 ? flipped(frame, 30) : frame], /^corrupted: /],
  [
    'leaves one out',
    (frame: Buffer, n: number) => (isResponse(frame) && n > 8 && n < 11 ? [] : [frame]),
    /^missing: /,
  ],
  ['says one twice', (frame: Buffer) => (isResponse(frame) ? [frame, frame] : [frame]), /^duplicated: /],
  [
    'leaves out the end of an answer',
    (frame: Buffer, n: number) =>
      (n === 8 && !isResponse(frame)) || (n === 9 && !isResponse(frame)) ? [] : [frame],
    /^missing: /,
  ],
  ['invents an end', (frame: Buffer) => (isResponse(frame) ? [frame] : [frame, frame]), /^missing: /],
])('a server that %s is found out', async (_, tamper, wanted) => {
  const driver = await createDemoDriver();
  const server = await startServer(driver);
  // The first client waits for the server; the other one is lied to.
  const honest = await enter(driver, server.port, 0);
  const port = await liar(server.port, (frame, n) => (n < 3 ? [frame] : tamper(frame, n)));
  const player = await enter(driver, port, 1);
  for (let i = 0; i < 30; i++) player.do('simple');
  await until(() => player.violations.length > 0);
  expect(player.violations[0]).toMatch(wanted);
  await honest.answered(honest.do('simple'));
  expect(honest.violations).toEqual([]);
});

function flipped(frame: Buffer, at: number): Buffer {
  const changed = Buffer.from(frame);
  changed[Math.min(at, changed.length - 1)]! ^= 1;
  return changed;
}

const isResponse = (frame: Buffer) => frame.length > 40;

test('while the journal is stalled nothing is answered, and afterwards everything', async () => {
  const driver = await createDemoDriver();
  const server = await startServer(driver);
  const player = await enter(driver, server.port);
  const stall = driver.faults!['journal-stall']!;
  await stall.begin(server);
  // A sync that was under way is still finished, and answers may be on their way: the stall is in force once something is
  // held, and nothing has come for longer than any disk takes.
  let before = -1;
  let sinceMs = 0;
  await until(async () => {
    if (player.answers.length !== before) sinceMs = performance.now();
    before = player.answers.length;
    const { responsesHeld } = await statusOf(driver, server);
    if (responsesHeld === 0) player.do('simple');
    return responsesHeld! > 0 && performance.now() - sinceMs > 1000;
  });
  expect(player.answers).toHaveLength(before);
  const last = driver.operations.map((operation) => player.do(operation)).at(-1)!;
  await until(async () => (await statusOf(driver, server)).responsesHeld! > driver.operations.length);
  expect(player.answers).toHaveLength(before);
  await stall.end(server);
  await player.answered(last);
  expect(player.answers.slice(-5).map((answer) => answer.split(' ')[1])).toEqual([
    'success',
    'success',
    'success',
    'error',
    'success',
  ]);
  expect(player.violations).toEqual([]);
});

test('without a channel status and faults say so at once', async () => {
  const driver = await createDemoDriver();
  const server = { pid: 1, host: '127.0.0.1', port: 1, send: () => false, onMessage: () => () => {} };
  await expect(driver.status!(server)).rejects.toThrow('no IPC channel');
  expect(() => driver.faults!['journal-stall']!.begin(server)).toThrow('no IPC channel');
});

test('status gives up on a server that says nothing, and takes no answer for another', async () => {
  const driver = await createDemoDriver();
  const server = await startServer(driver);
  const player = await enter(driver, server.port);
  server.process.kill('SIGSTOP');
  for (const { status } of await Promise.allSettled([statusOf(driver, server), statusOf(driver, server)])) {
    expect(status).toBe('rejected');
  }
  expect(server.process.listenerCount('message')).toBe(0);
  server.process.kill('SIGCONT');
  const statuses = await Promise.all(Array.from({ length: 8 }, () => statusOf(driver, server)));
  expect(statuses.map(({ connections }) => connections)).toEqual(statuses.map(() => 1));
  await player.client.close();
  // The answers to what was given up came first: they are not these.
  await leftNothing(driver, server);
  expect(server.process.listenerCount('message')).toBe(0);
});

test('a client that nobody wants any more, or whom the server turns away, is told so', async () => {
  const driver = await createDemoDriver();
  const events = { answered() {}, violated() {}, closed: () => expect.unreachable('it was never open') };
  const context = { host, port: await freePort(), client: 0, seed: 1, events };
  await expect(driver.connect({ ...context, signal: never })).rejects.toThrow('ECONNREFUSED');
  await expect(driver.connect({ ...context, signal: AbortSignal.abort() })).rejects.toThrow('ended');
  const silent = createServer(() => {}).listen(context.port, host);
  onTestFinished(() => void silent.close());
  const abort = new AbortController();
  const connecting = driver.connect({ ...context, signal: abort.signal });
  silent.once('connection', () => abort.abort());
  await expect(connecting).rejects.toThrow('ended');
});

describe('the driver of the request–reply example', () => {
  test('has under 60 lines', () => {
    const source = readFileSync('examples/request-reply/soak-driver.ts', 'utf8');
    expect(source.trimEnd().split('\n').length).toBeLessThan(60);
  });

  test('sets and gets, one by one and ten at a time, over broken connections', async () => {
    const driver = createStoreDriver();
    const server = await startServer(driver);
    for (let life = 0; life < 3; life++) {
      const players = [await enter(driver, server.port, 0), await enter(driver, server.port, 1)];
      for (let i = 0; i < 40; i++)
        for (const player of players) player.do(i % 3 === 0 ? 'batch' : 'simple', 1 + i * 10);
      for (const player of players) {
        expect(await player.answered(40)).toEqual(Array.from({ length: 40 }, (_, i) => `${i + 1} success`));
        expect(player.violations).toEqual([]);
      }
      players[0]!.client.socket!.destroy();
      await until(() => players[0]!.closed.length > 0);
      await players[1]!.client.close();
      expect(players[1]!.closed).toEqual(['the connection has ended']);
      expect(players[1]!.client.send({ id: 99, operation: 'simple', bytes: 1 })).toBe(false);
    }
  });

  test('finds out a server that lies', async () => {
    const driver = createStoreDriver();
    const server = await startServer(driver);
    await enter(driver, server.port, 0);
    const port = await liar(server.port, (frame, n) => [n === 9 ? flipped(frame, 5) : frame]);
    const player = await enter(driver, port, 1);
    for (let i = 0; i < 20; i++) player.do('simple', 40);
    await until(() => player.violations.length > 0);
    expect(player.violations[0]).toMatch(/^corrupted: /);
  });
});
