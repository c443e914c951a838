import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { SoakConfig } from '#ackgate/soak/config.js';
import { Load } from '#ackgate/soak/load/load.js';
import { ManualClock } from './support/soak-clock.js';
import { noChaos, ScriptedDriver, soakConfig } from './support/soak-driver.js';
import { LoadRig, settledOf } from './support/soak-load.js';

const never = new AbortController().signal;
const oneClient = { clients: 1, requestsPerSecond: 1000 };

function unconnected(overrides: Partial<SoakConfig> = {}) {
  const clock = new ManualClock();
  const driver = new ScriptedDriver();
  const config = soakConfig(overrides);
  return { clock, driver, load: new Load({ driver, host: 'localhost', port: 7, config, clock, seed: 5 }) };
}

describe('the clients of a load', () => {
  it('connect a hundred at a time, each with its number and a seed of its own', async () => {
    const { clock, driver, load } = unconnected({ clients: 250 });
    const seeds = new Set<number>();
    const numbers: number[] = [];
    let underWay = 0;
    let most = 0;
    driver.onConnect = async ({ client, seed, host, port }) => {
      expect({ host, port }).toEqual({ host: 'localhost', port: 7 });
      numbers.push(client);
      seeds.add(seed);
      most = Math.max(most, ++underWay);
      await clock.sleep(10);
      underWay--;
    };
    await clock.until(load.connect(never), 1000);
    expect(numbers).toEqual(Array.from({ length: 250 }, (_, number) => number));
    expect(seeds.size).toBe(250);
    expect(most).toBe(100);
    expect(load.reading().connections).toBe(250);
    expect(load.losses().connectionsMade).toBe(250);
  });

  it('say which of them could not connect, and why', async () => {
    const { clock, driver, load } = unconnected();
    driver.onConnect = ({ client }) => (client === 2 ? new Error('connect ECONNREFUSED') : undefined);
    await expect(clock.until(load.connect(never), 1000)).rejects.toMatchObject({
      code: 'ERR_ACKGATE_SOAK_CONNECT',
      message: 'client 2 could not connect: connect ECONNREFUSED',
    });
  });

  it('wait ten seconds for a connection, and leave one that comes after all', async () => {
    const { clock, driver, load } = unconnected({ clients: 1 });
    let wanted = true;
    driver.onConnect = ({ signal }) => {
      signal.addEventListener('abort', () => {
        wanted = false;
      });
      return clock.sleep(30_000);
    };
    await expect(clock.until(load.connect(never), 20_000)).rejects.toThrow('not connected within 10 s');
    expect(wanted).toBe(false);
    await clock.advance(30_000);
    expect(driver.of(0).open).toBe(false);
    expect(load.connections).toBe(0);
  });

  it('give up connecting when they are told to, and do not tell a driver of a made connection to', async () => {
    const { clock, driver, load } = unconnected({ clients: 2 });
    const aborted: number[] = [];
    driver.onConnect = ({ client, signal }) => {
      signal.addEventListener('abort', () => aborted.push(client));
      return client === 1 ? new Promise(() => {}) : undefined;
    };
    const stop = new AbortController();
    const connecting = load.connect(stop.signal);
    connecting.catch(() => {});
    await clock.advance(100);
    stop.abort();
    await expect(connecting).rejects.toThrow('client 1 could not connect: stopped');
    expect(aborted).toEqual([1]);
  });

  it('come back after the server ended the connection, which is counted once, and their requests as lost', async () => {
    const rig = await LoadRig.connected(oneClient);
    const { clock, driver, load } = rig;
    rig.start();
    await clock.advance(100);
    const old = driver.of(0);
    const lost = old.requests.length;
    let refusals = 3;
    driver.onConnect = () => (refusals-- > 0 ? new Error('refused') : undefined);
    old.end('reset by peer');
    old.events.closed('again');
    await clock.advance(499);
    expect(driver.connections).toHaveLength(1);
    await clock.advance(1600);
    expect(driver.connections).toHaveLength(2);
    driver.of(0).answerAll();
    const losses = load.losses();
    expect(losses).toMatchObject({ connectionsLost: 1, connectionsMade: 2, lost, abandoned: 0 });
    expect(losses.unsent).toBeGreaterThan(1800);
    expect(losses.examples.slice(0, 2)).toEqual([
      'client 0: connection lost: reset by peer',
      'client 0: could not connect again: refused',
    ]);
  });

  it('have ids that go on over connections, and take nothing that the old one says for the new one', async () => {
    const rig = await LoadRig.connected(oneClient);
    const { clock, driver, load } = rig;
    rig.start();
    await clock.advance(100);
    const old = driver.of(0);
    old.end();
    await clock.advance(600);
    const fresh = driver.of(0);
    expect(fresh).not.toBe(old);
    expect(fresh.requests[0].id).toBe(old.requests.length + 1);
    const before = load.losses();
    for (const { id } of [...old.requests, ...fresh.requests]) old.events.answered(id, 'success');
    old.events.violated('corrupted', 'from the grave');
    old.events.closed('twice');
    expect(load.losses()).toEqual(before);
    expect(load.connections).toBe(1);
    // The new one has never been asked that.
    fresh.events.answered(1, 'success');
    expect(load.losses()).toMatchObject({ corrupted: 1, duplicated: 0 });
  });

  it('that are cut have their requests abandoned, lose nothing, and come back', async () => {
    const rig = await LoadRig.connected(oneClient);
    const { clock, driver, load } = rig;
    rig.start();
    await clock.advance(100);
    const old = driver.of(0);
    expect(load.clients[0].cut(false)).toBe(true);
    expect(load.clients[0].cut(false)).toBe(false);
    await clock.advance(10);
    expect(old.open).toBe(false);
    old.events.closed('as wanted');
    expect(load.losses().abandoned).toBeGreaterThanOrEqual(old.requests.length);
    await clock.advance(600);
    expect(load.losses()).toMatchObject({ connectionsLost: 0, connectionsMade: 2, lost: 0, unsent: 0 });
    expect(load.connections).toBe(1);
  });

  it('are not missed by anybody while they are away because they were cut, however long that is', async () => {
    const rig = await LoadRig.connected({
      ...oneClient,
      chaos: { ...noChaos, disconnectsPerClientMinute: 1, reconnectDelayMs: 5000 },
    });
    const { clock, driver, load } = rig;
    driver.echo();
    rig.start();
    await clock.advance(100);
    load.reading();
    load.clients[0].cut(true);
    await clock.advance(4900);
    const away = load.reading();
    expect(away.due).toBeGreaterThan(4500);
    expect(away).toMatchObject({ abandoned: away.due, unsent: 0 });
    // Until the first attempt to come back has failed.
    let connecting = false;
    driver.onConnect = async () => {
      connecting = true;
      await clock.sleep(3000);
      throw new Error('refused');
    };
    await clock.advance(2000);
    expect(connecting).toBe(true);
    const trying = load.reading();
    expect(trying).toMatchObject({ abandoned: trying.due, unsent: 0 });
    await clock.advance(2000);
    load.reading();
    await clock.advance(1000);
    const refused = load.reading();
    expect(refused).toMatchObject({ abandoned: 0, unsent: refused.due });
    driver.onConnect = () => undefined;
    await clock.advance(30_000);
    load.reading();
    driver.of(0).end();
    await clock.advance(100);
    const ended = load.reading();
    expect(ended).toMatchObject({ abandoned: 0, unsent: ended.due });
  });

  it('are missed when only some of them were cut, and others are gone or take nothing', async () => {
    const rig = await LoadRig.connected({ clients: 2, requestsPerSecond: 1000 });
    const { clock, driver, load } = rig;
    rig.start();
    load.clients[0].cut(false);
    driver.of(1).deaf = true;
    await clock.advance(100);
    const deaf = load.reading();
    expect(deaf.due).toBeGreaterThan(50);
    expect(deaf).toMatchObject({ abandoned: 0, unsent: deaf.due });
    driver.of(1).end();
    await clock.advance(100);
    const gone = load.reading();
    expect(gone).toMatchObject({ abandoned: 0, unsent: gone.due, connections: 0 });
  });

  it('do not count a connection that ends before it is made', async () => {
    const { clock, driver, load } = unconnected({ clients: 1 });
    driver.onConnect = ({ events }) => {
      events.closed('thrown out');
      return undefined;
    };
    await expect(clock.until(load.connect(never), 1000)).rejects.toThrow('thrown out');
    expect(load.losses()).toMatchObject({ connectionsMade: 0, connectionsLost: 0 });
  });
});

describe('the end of a load', () => {
  it('waits for answers that are under way, and leaves', async () => {
    const rig = await LoadRig.connected();
    const { clock, driver } = rig;
    driver.onRequest = (connection, { id }) => void clock.sleep(500).then(() => connection.answer(id));
    rig.start();
    await clock.advance(1000);
    const losses = await rig.finish();
    expect(losses.expected).toBe(losses.due);
    expect(driver.connections.every(({ open }) => !open)).toBe(true);
    expect(clock.sleeping).toBe(0);
  });

  it('waits no longer than the timeout, and five seconds for a client that does not leave', async () => {
    const rig = await LoadRig.connected();
    const { clock, driver } = rig;
    driver.hangsOnClose = true;
    const socket = new Socket();
    Object.assign(driver.of(0), { socket });
    rig.start();
    await clock.advance(1000);
    const beganMs = clock.nowMs();
    const losses = await rig.finish();
    expect(clock.nowMs() - beganMs).toBeGreaterThan(6900);
    expect(clock.nowMs() - beganMs).toBeLessThan(7200);
    expect(losses.timedOut).toBe(losses.due);
    expect(socket.destroyed).toBe(true);
    expect(clock.sleeping).toBe(0);
  });

  it('waits for nothing when it is told so, and abandons what is open', async () => {
    const rig = await LoadRig.connected();
    const { clock, load } = rig;
    rig.start();
    await clock.advance(1000);
    const beganMs = clock.nowMs();
    await clock.until(load.finish(AbortSignal.abort()), 100);
    expect(clock.nowMs() - beganMs).toBeLessThan(50);
    const losses = load.losses();
    expect(losses.abandoned).toBe(losses.due);
    await clock.until(rig.running, 1000);
  });

  it('ends the coming back of clients, also of one that is just connecting', async () => {
    const rig = await LoadRig.connected({ clients: 2 });
    const { clock, driver, load } = rig;
    driver.of(0).end();
    driver.of(1).end();
    let underWay = 0;
    driver.onConnect = ({ client }) => {
      underWay++;
      return client === 0 ? new Error('refused') : new Promise(() => {});
    };
    await clock.advance(5000);
    expect(underWay).toBeGreaterThan(5);
    await clock.until(load.finish(never), 1000);
    underWay = 0;
    await clock.advance(20_000);
    expect(underWay).toBe(0);
    expect(clock.sleeping).toBe(0);
  });
});

describe('the closed loop', () => {
  it('has so many requests outstanding at most, by all clients in turn, without slow ones', async () => {
    const rig = await LoadRig.connected({
      chaos: noChaos,
      mix: { simple: 0.5, batch: 0, streaming: 0, error: 0, slow: 0.5 },
    });
    const { clock, driver, load } = rig;
    let open = 0;
    let most = 0;
    driver.onRequest = (connection, { id }) => {
      most = Math.max(most, ++open);
      void clock.sleep(3).then(() => {
        open--;
        connection.answer(id);
      });
    };
    const result = await clock.until(load.closedLoop({ requests: 1000, concurrency: 16 }, never), 10_000);
    expect(result).toEqual({ requests: 1000, answered: 1000, expected: 1000 });
    expect(most).toBe(16);
    expect(driver.connections.map(({ requests }) => requests.length)).toEqual([250, 250, 250, 250]);
    expect(
      driver.connections.flatMap(({ requests }) => requests).every(({ operation }) => operation === 'simple'),
    ).toBe(true);
    expect(load.reading()).toMatchObject({ due: 1000, expected: 1000, latency: null, slowLatency: null });
    expect(load.losses()).toMatchObject({ due: 1000, expected: 1000 });
  });

  it.each([
    ['the mix has nothing else', ['simple', 'slow'], { simple: 0, batch: 0, slow: 1 }],
    ['the driver can do nothing else of it', ['slow'], { simple: 0.5, batch: 0, slow: 0.5 }],
  ] as const)('has slow ones when %s', async (_, operations, mix) => {
    const driver = Object.assign(new ScriptedDriver(), { operations });
    const rig = await LoadRig.connected({ mix: { streaming: 0, error: 0, ...mix } }, { driver });
    driver.echo();
    const looping = rig.load.closedLoop({ requests: 100, concurrency: 4 }, never);
    expect(await rig.clock.until(looping, 1000)).toEqual({ requests: 100, answered: 100, expected: 100 });
    const { requests } = driver.of(0);
    expect(requests.every(({ operation }) => operation === 'slow')).toBe(true);
  });

  it('takes answers that come while a request is being sent, 50,000 times', async () => {
    const rig = await LoadRig.connected();
    rig.driver.keeps = false;
    rig.driver.echo();
    const looping = rig.load.closedLoop({ requests: 50_000, concurrency: 16 }, never);
    expect(await rig.clock.until(looping, 1000)).toMatchObject({ answered: 50_000, expected: 50_000 });
  });

  it('ends when answers are missing, wrong, or their connection is gone', async () => {
    const rig = await LoadRig.connected({ clients: 2 });
    const { clock, driver, load } = rig;
    let count = 0;
    driver.onRequest = (connection, { id, operation }) => {
      count++;
      if (count === 50) connection.end();
      else if (count % 10 === 0) connection.answer(id, operation === 'error' ? 'success' : 'error');
      else if (count % 10 !== 1) connection.answer(id);
    };
    const looping = load.closedLoop({ requests: 100, concurrency: 4 }, never);
    const { answered, expected } = await clock.until(looping, 60_000);
    const losses = load.losses();
    expect(losses.due).toBe(100);
    expect(settledOf(losses)).toBe(100);
    expect(losses.unexpected).toBe(9);
    expect(losses.lost).toBeGreaterThan(0);
    expect(losses.timedOut).toBeGreaterThan(0);
    expect(answered).toBe(losses.expected + losses.unexpected);
    expect(expected).toBe(losses.expected);
  });

  it('gives up when nobody is connected any more, and at once by its signal', async () => {
    const rig = await LoadRig.connected();
    const { clock, driver, load } = rig;
    driver.onConnect = () => new Error('refused');
    for (const connection of driver.connections) connection.end();
    const result = await clock.until(load.closedLoop({ requests: 100, concurrency: 4 }, never), 3000);
    expect(result).toEqual({ requests: 100, answered: 0, expected: 0 });
    expect(load.losses()).toMatchObject({ due: 100, unsent: 100 });
    const stop = new AbortController();
    const stopped = load.closedLoop({ requests: 100, concurrency: 4 }, stop.signal);
    stop.abort();
    await clock.until(stopped, 20);
    expect(load.losses()).toMatchObject({ due: 100, unsent: 100 });
  });
});
