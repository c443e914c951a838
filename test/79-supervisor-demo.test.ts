import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Side } from '#ackgate/demo/order-book.js';
import { RequestTag } from '#ackgate/demo/protocol.js';
import type { ServerStatus } from '#ackgate/demo/server.js';
import { TradingClient } from '#ackgate/demo/trading-client.js';
import { DisconnectReason } from '#ackgate/supervisor/index.js';
import { ask } from './support/admin.js';
import { type DemoServer, startDemoServer } from './support/demo-server.js';
import { askForEverything, collect, loadUntil } from './support/kill-cycles.mjs';

/** A drain that ends for want of time takes this long; whatever has nothing to wait for is far below. */
const longDrainMs = 60_000;

let directory: string;
let clients: TradingClient[];
/** Whatever a test that failed has left running. */
let running: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ackgate-supervisor-demo-'));
  clients = [];
  running = [];
});

afterEach(() => {
  for (const client of clients) client.destroy();
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

async function startServer(config: Parameters<typeof startDemoServer>[0]): Promise<DemoServer> {
  const server = await startDemoServer(config);
  running.push(server.process);
  return server;
}

async function connectAll(port: number, count: number): Promise<TradingClient[]> {
  const first = clients.length + 1;
  const more = Array.from({ length: count }, (_, i) => {
    return new TradingClient({ clientId: first + i, seed: first + i, ordersMax: Number.POSITIVE_INFINITY });
  });
  clients.push(...more);
  await Promise.all(more.map((client) => client.connect(port)));
  return more;
}

function order(client: TradingClient): void {
  const requestId = client.ledger.nextRequestId;
  client.send({ tag: RequestTag.limit, requestId, side: Side.buy, price: 10, quantity: 1 }, 0);
}

async function statusOf(server: DemoServer): Promise<ServerStatus> {
  const answer = once(server.process, 'message');
  server.tell('status');
  const [{ status }] = await answer;
  return status;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 45_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(2);
  }
}

/** How a connection attempt ends: an error's code, or nothing when there is a server that takes it. */
async function attempt(port: number): Promise<string | null> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'none';
  } finally {
    socket.destroy();
  }
}

const highestSeen = () => Math.max(...clients.map(({ ledger }) => ledger.lastSequence));

function known(): { acknowledged: number; violations: string[] } {
  const result = { acknowledged: 0, violations: [] as string[] };
  collect(clients, result);
  return result;
}

/** Starts the server again on the same journal, and has every client ask for all that it knows of. */
async function checkAfterRestart(): Promise<{ checked: number; violations: string[]; lastSequence: number }> {
  const seen = highestSeen();
  for (const { ledger } of clients) ledger.disconnected();
  const server = await startServer({ directory });
  const result = { checked: 0, acknowledged: 0, violations: [] as string[] };
  const { lastSequence } = await statusOf(server);
  expect(lastSequence).toBeGreaterThanOrEqual(seen);
  expect(await askForEverything(clients, server.port, result)).toBe(true);
  collect(clients, result);
  server.close();
  expect((await server.ended).code).toBe(0);
  return { ...result, lastSequence };
}

describe('SIGTERM under load', () => {
  test.each([
    ['local', 'auto'],
    ['local', 'posix'],
  ] as const)(
    'loses no acknowledged order, and ends long before the drain time is over (%s, %s)',
    async (policy, backend) => {
      const server = await startServer({ directory, policy, backend, drainMs: longDrainMs });
      const loaded = await connectAll(server.port, 16);
      const [idle] = await connectAll(server.port, 1);
      let stopped = () => {};
      const load = loadUntil(new Promise<void>((resolve) => (stopped = resolve)), loaded, 4000);
      await until('there is load', () => known().acknowledged >= 1000);

      const before = known().acknowledged;
      const startMs = performance.now();
      server.process.kill('SIGTERM');
      const { code, stderr } = await server.ended;
      const tookMs = performance.now() - startMs;
      stopped();
      await load;
      await Promise.all(clients.map((client) => client.closed()));
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(tookMs).toBeLessThan(longDrainMs / 2);
      expect(idle!.disconnectReason).toBe(DisconnectReason.shutdown);
      expect(clients.some(({ connected }) => connected)).toBe(false);
      const { acknowledged, violations } = known();
      expect(violations).toEqual([]);
      const told = loaded.filter(({ disconnectReason }) => disconnectReason !== null);
      for (const { disconnectReason } of told) expect(disconnectReason).toBe(DisconnectReason.shutdown);

      const after = await checkAfterRestart();
      expect(after.violations).toEqual([]);
      expect(after.checked).toBeGreaterThanOrEqual(acknowledged);
      console.log(
        `SIGTERM under load (${policy}, ${backend}): exit after ${tookMs.toFixed(0)} ms, ${acknowledged} orders acknowledged, ` +
          `${acknowledged - before} of them after the signal, ${after.checked} asked for after the restart, ` +
          `${told.length} of ${loaded.length} loaded clients read the reason`,
      );
    },
  );
});

describe('SIGTERM while the journal stands still', () => {
  /** A server whose journal stands still, with a client that waits for an answer and one that does not. */
  async function stalled(drainMs: number) {
    const server = await startServer({ directory, adminPort: 0, drainMs });
    const [waiting, idle] = await connectAll(server.port, 2);
    for (let i = 0; i < 50; i++) order(waiting!);
    await waiting!.idle();
    server.tell('pause journal');
    // One order that is held shows that it stands still.
    await until('the journal stands still', async () => {
      order(waiting!);
      await sleep(20);
      return waiting!.ledger.waiting > 0;
    });
    for (let i = 0; i < 50; i++) order(waiting!);
    await until('all are taken', async () => {
      const { lastSequence, journalCursor } = await statusOf(server);
      return lastSequence === waiting!.ledger.nextRequestId - 1 && lastSequence >= journalCursor + 50;
    });
    const { journalCursor } = await statusOf(server);
    return { server, waiting: waiting!, idle: idle!, durable: journalCursor };
  }

  test('passes the drain time, force-closes, and makes durable what nobody was told of', async () => {
    const drainMs = 500;
    const { server, waiting, idle, durable } = await stalled(drainMs);
    const { responses } = waiting.ledger;
    const startMs = performance.now();
    server.process.kill('SIGTERM');
    const { code } = await server.ended;
    const tookMs = performance.now() - startMs;
    expect(code).toBe(0);
    expect(tookMs).toBeGreaterThanOrEqual(drainMs - 1);
    await Promise.all([waiting.closed(), idle.closed()]);
    expect([waiting.disconnectReason, idle.disconnectReason]).toEqual([
      DisconnectReason.shutdown,
      DisconnectReason.shutdown,
    ]);
    expect(waiting.ledger.responses).toBe(responses);
    expect(highestSeen()).toBeLessThanOrEqual(durable);
    expect(known().violations).toEqual([]);
    const last = waiting.ledger.nextRequestId - 1;
    const after = await checkAfterRestart();
    expect(after.violations).toEqual([]);
    expect(after.lastSequence).toBe(last);
    console.log(
      `SIGTERM with the journal stalled, drain time ${drainMs} ms: exit after ${tookMs.toFixed(0)} ms`,
    );
  });

  test('meanwhile it is not ready, healthy, and takes nobody; a second signal ends the wait', async () => {
    const { server, waiting, idle, durable } = await stalled(longDrainMs);
    const adminPort = Number(new URL(server.adminUrl!).port);
    expect(await ask(adminPort, '/ready')).toMatchObject({ status: 200 });
    expect(await attempt(server.port)).toBeNull();
    const startMs = performance.now();
    server.process.kill('SIGTERM');
    await until('/ready says so', async () => (await ask(adminPort, '/ready')).status === 503);
    expect((await ask(adminPort, '/ready')).body.reasons).toContain('shutting_down');
    expect(await ask(adminPort, '/health')).toMatchObject({ status: 200, body: { ok: true } });
    await until('nobody is taken', async () => (await attempt(server.port)) === 'ECONNREFUSED');
    // Who waits for nothing is sent away at once; who waits stays.
    await idle.closed();
    expect(idle.disconnectReason).toBe(DisconnectReason.shutdown);
    expect(await ask(adminPort, '/health')).toMatchObject({ status: 200, body: { ok: true } });
    expect(waiting.connected).toBe(true);
    expect(server.process.exitCode).toBeNull();

    const secondMs = performance.now();
    server.process.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
    const endMs = performance.now();
    expect(endMs - startMs).toBeLessThan(longDrainMs / 2);
    await waiting.closed();
    expect(waiting.disconnectReason).toBe(DisconnectReason.shutdown);
    expect(highestSeen()).toBeLessThanOrEqual(durable);
    expect((await checkAfterRestart()).violations).toEqual([]);
    console.log(`second signal: exit ${(endMs - secondMs).toFixed(0)} ms after it`);
  });
});

test('by hand SIGINT counts as well, and a third signal exits at once', async () => {
  const program = join(import.meta.dirname, '../dist/demo/server-process.js');
  // Two copies that there never are: the gate stays closed.
  const config = { directory, port: 0, policy: 'persisted>=2', drainMs: longDrainMs };
  const child = spawn(process.execPath, [program, JSON.stringify(config)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.push(child);
  const exited = once(child, 'exit');
  const lines: { msg: string; port?: number }[] = [];
  createInterface(child.stderr).on('line', (line) => lines.push(JSON.parse(line)));
  const line = (text: string) => lines.find(({ msg }) => msg === text);
  await until('it listens', () => line('listening') !== undefined);
  const [waiting, idle] = await connectAll(line('listening')!.port!, 2);
  order(waiting!);
  child.kill('SIGINT');
  await idle!.closed();
  expect(child.exitCode).toBeNull();
  // Stopped meanwhile, so that it finds both at once: after the second one alone it would soon have ended.
  child.kill('SIGSTOP');
  child.kill('SIGTERM');
  child.kill('SIGINT');
  child.kill('SIGCONT');
  const [code] = await exited;
  expect([130, 143]).toContain(code);
  expect(waiting!.ledger.waiting).toBe(1);
});
