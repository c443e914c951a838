import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { SoakClient } from '#ackgate/soak/driver.js';
import { Load } from '#ackgate/soak/load/load.js';
import { ManualClock } from './support/soak-clock.js';
import { ScriptedDriver, soakConfig } from './support/soak-driver.js';
import { LoadRig, settledOf } from './support/soak-load.js';

const never = new AbortController().signal;

const fails = () => {
  throw new Error('no such order book');
};

describe('a driver the send of which throws', () => {
  it('fails the request, which no other client sends again', async () => {
    const rig = await LoadRig.connected({ clients: 2 });
    const { clock, driver, load } = rig;
    let count = 0;
    driver.onRequest = (connection, { id }) => {
      if (++count % 10 === 0) fails();
      connection.answer(id);
    };
    rig.start();
    await clock.advance(1000);
    const { due, expected, unsent } = load.reading();
    expect(due).toBe(count);
    expect(unsent).toBe(Math.floor(count / 10));
    expect(expected).toBe(due - unsent);
    expect(load.losses().examples[0]).toMatch(/^client [01]: the driver's send threw: no such order book$/);
    await rig.finish();
  });

  it('has sent the request when it was answered before', async () => {
    const rig = await LoadRig.connected({ clients: 1 });
    const { clock, driver, load } = rig;
    driver.onRequest = (connection, { id }) => {
      connection.answer(id);
      fails();
    };
    rig.start();
    await clock.advance(100);
    const { due, expected } = load.reading();
    expect(expected).toBe(due);
    expect(load.losses()).toMatchObject({ unsent: 0, duplicated: 0, corrupted: 0 });
    await rig.finish();
  });

  it('does not hold up the closed loop', async () => {
    const rig = await LoadRig.connected();
    const { clock, driver, load } = rig;
    let count = 0;
    driver.onRequest = (connection, { id }) => {
      if (++count > 500) fails();
      void clock.sleep(1).then(() => connection.answer(id));
    };
    const result = await clock.until(load.closedLoop({ requests: 1000, concurrency: 16 }, never), 1500);
    expect(result).toEqual({ requests: 1000, answered: 500, expected: 500 });
    expect(load.losses()).toMatchObject({ due: 1000, expected: 500, unsent: 500 });
    expect(await clock.until(load.closedLoop({ requests: 1000, concurrency: 16 }, never), 100)).toEqual({
      requests: 1000,
      answered: 0,
      expected: 0,
    });
    const losses = load.losses();
    expect(settledOf(losses)).toBe(losses.due);
  });
});

describe('a driver the connect of which', () => {
  async function failedBy(connecting: () => unknown) {
    const clock = new ManualClock();
    const driver = Object.assign(new ScriptedDriver(), { connect: connecting as () => Promise<SoakClient> });
    const config = soakConfig({ clients: 1 });
    const load = new Load({ driver, host: 'localhost', port: 7, config, clock, seed: 5 });
    return clock.until(load.connect(never), 20_000).then(
      () => expect.unreachable(),
      (error: Error) => error.message,
    );
  }
  const lacks = "the driver's connect must give an object with send() and close()";

  it.each([
    ['throws', fails, 'no such order book'],
    ['rejects with no error', () => Promise.reject('a text'), 'a text'],
    ['gives nothing', () => undefined, lacks],
    ['gives no client', async () => ({ send: fails }), lacks],
  ])('%s could not connect', async (_, connecting, why) => {
    expect(await failedBy(connecting)).toBe(`client 0 could not connect: ${why}`);
  });

  it('throws when a client comes back is asked again', async () => {
    const rig = await LoadRig.connected({ clients: 1 });
    const { clock, driver, load } = rig;
    const connecting = driver.connect;
    let count = 0;
    driver.connect = () => {
      count++;
      return fails();
    };
    driver.of(0).end();
    await clock.advance(5000);
    expect(count).toBeGreaterThan(3);
    expect(load.losses().examples).toContain('client 0: could not connect again: no such order book');
    driver.connect = connecting;
    await clock.advance(1000);
    expect(load.connections).toBe(1);
    await rig.finish();
  });
});

describe('a driver the close of which', () => {
  it.each([
    ['throws', fails, 0],
    ['rejects', () => Promise.reject(new Error('already gone')), 0],
    ['never comes to an end', () => new Promise<void>(() => {}), 5000],
  ])('%s does not hold up the end', async (_, close, tookMs) => {
    const rig = await LoadRig.connected({ clients: 2 });
    const { clock, driver, load } = rig;
    driver.echo();
    const socket = new Socket();
    Object.assign(driver.of(0), { close, socket });
    rig.start();
    await clock.advance(100);
    rig.stop.abort();
    const beganMs = clock.nowMs();
    await clock.until(load.finish(never), 6000);
    expect(clock.nowMs() - beganMs).toBeGreaterThanOrEqual(tookMs);
    expect(clock.nowMs() - beganMs).toBeLessThan(tookMs + 100);
    expect(socket.destroyed).toBe(true);
    expect(driver.of(1).open).toBe(false);
    expect(load.losses()).toMatchObject({ connectionsLost: 0, lost: 0 });
    expect(clock.sleeping).toBe(0);
  });

  it('throws is no harm to a client without a socket that is cut', async () => {
    const rig = await LoadRig.connected({ clients: 1 });
    const { clock, driver, load } = rig;
    Object.assign(driver.of(0), { close: fails });
    expect(load.clients[0].cut(true)).toBe(true);
    await clock.advance(1000);
    expect(load.connections).toBe(1);
    await rig.finish();
  });
});

it('a connection that knows no reset is ended instead', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-load-'));
  const server = createServer().listen(join(directory, 'socket'));
  onTestFinished(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  await once(server, 'listening');
  const socket = connect(join(directory, 'socket'));
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  const rig = await LoadRig.connected({ clients: 1 });
  Object.assign(rig.driver.of(0), { socket });
  expect(rig.load.clients[0].cut(true)).toBe(true);
  expect(socket.destroyed).toBe(true);
  await rig.finish();
});
