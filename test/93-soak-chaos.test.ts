import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock as clock } from '#ackgate/soak/clock.js';
import type { ChaosConfig } from '#ackgate/soak/config.js';
import type { ServerHandle } from '#ackgate/soak/driver.js';
import { Chaos } from '#ackgate/soak/load/chaos.js';
import { Load } from '#ackgate/soak/load/load.js';
import { waitUntilReady } from '#ackgate/soak/ready.js';
import { freePort } from '#ackgate/soak/samplers/ports.js';
import { ServerProcess } from '#ackgate/soak/server-process.js';
import { noChaos, soakConfig } from './support/soak-driver.js';
import { echoDriver } from './support/soak-echo.js';
import { settledOf } from './support/soak-load.js';

const patient = { timeout: 45_000, interval: 50 };
const host = '127.0.0.1';
const driver = echoDriver();

async function echoServer(): Promise<ServerProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-chaos-'));
  const port = await freePort();
  const command = driver.server!({ host, port, directory });
  const server = ServerProcess.start({ command, host, port, directory, probe: false });
  onTestFinished(async () => {
    server.kill();
    await server.exited;
    rmSync(directory, { recursive: true, force: true });
  });
  const signal = new AbortController().signal;
  const ready = await waitUntilReady({
    driver,
    server,
    clock,
    signal,
    readySeconds: 30,
    client: 99,
    seed: 1,
  });
  expect(ready.ok).toBe(true);
  return server;
}

function chaosOn(server: ServerHandle, chaos: Partial<ChaosConfig>) {
  const { port } = server;
  const config = soakConfig({
    clients: 4,
    requestsPerSecond: 300,
    requestTimeoutMs: 30_000,
    chaos: { ...noChaos, reconnectDelayMs: 100, ...chaos },
  });
  const load = new Load({ driver, host, port, config, clock, seed: 1 });
  const made = new Chaos({ load, driver, server, host, port, config, clock, seed: 1 });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const counts: Record<string, number> = {};
  const look = () => {
    for (const [kind, count] of Object.entries(made.take())) counts[kind] = (counts[kind] ?? 0) + count;
    return counts;
  };
  return { load, chaos: made, stop, look };
}

it('every kind of it is done to a real server, which loses nothing by it and has no connection left', async () => {
  const server = await echoServer();
  const { load, chaos, stop, look } = chaosOn(server, {
    disconnectsPerClientMinute: 60,
    slowReadersPerMinute: 120,
    stuckReadersPerMinute: 120,
    halfFramesPerMinute: 120,
    server: [{ fault: 'stall', everySeconds: 0.5, forMs: 200 }],
  });
  await load.connect(stop.signal);
  const running = [load.run(stop.signal), chaos.run(stop.signal)];
  const soon = ['disconnect', 'reset', 'stuck-reader', 'half-frame', 'stall'];
  await expect.poll(() => soon.filter((kind) => look()[kind] === undefined), patient).toEqual([]);
  stop.abort();
  await Promise.all(running);
  // Those that stay for longer were ended by the signal.
  expect(look()['slow-reader']).toBeGreaterThan(0);
  expect(Object.keys(look()).sort()).toEqual([...soon, 'slow-reader'].sort());
  expect(chaos.problems).toEqual([]);

  await load.finish(new AbortController().signal);
  const losses = load.losses();
  expect(settledOf(losses)).toBe(losses.due);
  expect(losses.expected).toBeGreaterThan(0);
  expect(losses.expected + losses.abandoned).toBe(losses.due);
  expect(losses).toMatchObject({ lost: 0, connectionsLost: 0, duplicated: 0, disordered: 0, corrupted: 0 });
  expect(losses.connectionsMade).toBeGreaterThanOrEqual(4);
  await expect.poll(async () => (await driver.status!(server)).connections, patient).toBe(0);
});

it('a reader that is stuck is counted apart when the server ends its connection', async () => {
  const server = createServer((socket) => {
    let read = 0;
    socket.on('error', () => {});
    socket.on('data', ({ length }) => {
      read += length;
      if (read > 50_000) socket.resetAndDestroy();
    });
  }).listen(0, host);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const handle = { pid: process.pid, host, port, send: () => false, onMessage: () => () => {} };
  const { chaos, stop, look } = chaosOn(handle, { stuckReadersPerMinute: 300 });
  const running = chaos.run(stop.signal);
  await expect.poll(() => look()['stuck-reader-ended'] ?? 0, patient).toBeGreaterThan(2);
  stop.abort();
  await running;
  const [event] = chaos.events();
  expect(event.kind).toBe('stuck-reader-ended');
  expect(event.forMs).toBeGreaterThan(0);
});

it('a server that can not be reached is noted, and nothing else comes of it', async () => {
  const port = await freePort();
  const handle = { pid: process.pid, host, port, send: () => false, onMessage: () => () => {} };
  const { chaos, stop, look } = chaosOn(handle, { slowReadersPerMinute: 600, halfFramesPerMinute: 600 });
  const running = chaos.run(stop.signal);
  const failed = ['half-frame-not-connected', 'slow-reader-not-connected'];
  await expect.poll(() => Object.keys(look()).sort(), patient).toEqual(failed);
  stop.abort();
  await running;
});
