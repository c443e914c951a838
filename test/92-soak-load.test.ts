import { describe, expect, it } from 'vitest';
import { Load } from '#ackgate/soak/load/load.js';
import { knownMax } from '#ackgate/soak/load/outstanding.js';
import { ManualClock } from './support/soak-clock.js';
import { ScriptedDriver, soakConfig } from './support/soak-driver.js';
import { LoadRig, settledOf } from './support/soak-load.js';

const onlySimple = { simple: 1, batch: 0, streaming: 0, error: 0, slow: 0 };
const onlyErrors = { ...onlySimple, simple: 0, error: 1 };
/** One client, one request every 100 ms in the mean. */
const few = { clients: 1, requestsPerSecond: 10, mix: onlySimple };

describe('the open loop', () => {
  it('sends the same requests at the same times by the same clients, however fast the server is', async () => {
    const sent = async (delayMs: number, seed: number) => {
      const rig = await LoadRig.connected({}, { seed });
      const { clock, driver } = rig;
      const log: string[] = [];
      driver.onRequest = (connection, { id, operation, bytes }) => {
        log.push(`${clock.nowMs()} ${connection.number} ${operation} ${bytes}`);
        if (delayMs === 0) connection.answer(id);
        else void clock.sleep(delayMs).then(() => connection.answer(id));
      };
      rig.start();
      await clock.advance(1000);
      await rig.finish();
      return log;
    };
    const fast = await sent(0, 3);
    expect(fast.length).toBeGreaterThan(900);
    expect(await sent(700, 3)).toEqual(fast);
    expect(await sent(0, 4)).not.toEqual(fast);
  });

  it('offers as many requests to a server that stalls as to one that answers', async () => {
    const due = async (answers: boolean) => {
      const rig = await LoadRig.connected();
      if (answers) rig.driver.echo();
      rig.start();
      await rig.clock.advance(5000);
      return rig.load.reading().due;
    };
    const stalled = await due(false);
    expect(stalled).toBe(await due(true));
    expect(stalled).toBeGreaterThan(4700);
    expect(stalled).toBeLessThan(5300);
  });

  it('makes up for a time in which the process was held up, and says how late it was', async () => {
    const due = async (heldUpMs: number) => {
      const rig = await LoadRig.connected();
      rig.driver.echo();
      rig.start();
      await rig.clock.advance(1000);
      rig.clock.jump(heldUpMs);
      await rig.clock.advance(4000 - heldUpMs);
      return rig.load.reading();
    };
    const calm = await due(0);
    const heldUp = await due(3000);
    expect(heldUp.due).toBe(calm.due);
    // Not timed out, though due for longer than the timeout: the server had no part in that.
    expect(heldUp.expected).toBe(calm.due);
    expect(calm.lagP99Ms).toBeLessThanOrEqual(1);
    expect(heldUp.lagP99Ms).toBeGreaterThan(2900);
    expect(heldUp.latency?.p50Ms).toBeGreaterThan(500);
  });

  it('gives answers their turn after 500 requests when it is behind', async () => {
    const rig = await LoadRig.connected();
    let inTurn = 0;
    let most = 0;
    const { clock } = rig;
    const sleep = clock.sleep.bind(clock);
    clock.sleep = (ms, signal) => {
      inTurn = 0;
      return sleep(ms, signal);
    };
    rig.driver.onRequest = (connection, { id }) => {
      most = Math.max(most, ++inTurn);
      connection.answer(id);
    };
    rig.start();
    clock.jump(5000);
    await clock.advance(100);
    expect(most).toBe(500);
    expect(rig.load.reading().expected).toBeGreaterThan(4500);
  });

  it('shows a stall in the latency of all requests that were due in it', async () => {
    const rig = await LoadRig.connected();
    const { clock, driver } = rig;
    driver.echo();
    rig.start();
    await clock.advance(9000);
    // For one second of ten nothing is answered, and then everything at once.
    driver.onRequest = () => {};
    await clock.advance(1000);
    for (const connection of driver.connections) connection.answerAll();
    const { latency } = rig.load.reading();
    expect(latency?.p50Ms).toBeLessThan(2);
    // A tenth of all were due in the stall, and half of these had to wait for more than half of it.
    expect(latency?.p95Ms).toBeGreaterThan(400);
    expect(latency?.p95Ms).toBeLessThan(600);
    expect(latency?.maxMs).toBeGreaterThan(950);
  });

  it('keeps slow operations apart, and gives each reader what came since it read the last time', async () => {
    const rig = await LoadRig.connected({ mix: { ...onlySimple, simple: 0.5, slow: 0.5 } });
    const { clock, driver, load } = rig;
    driver.ordered = false;
    driver.onRequest = (connection, { id, operation }) => {
      if (operation === 'slow') void clock.sleep(300).then(() => connection.answer(id));
      else connection.answer(id);
    };
    rig.start();
    await clock.advance(1000);
    const first = load.reading();
    expect(first.latency?.maxMs).toBeLessThan(2);
    expect(first.slowLatency?.p50Ms).toBeGreaterThan(299);
    await clock.advance(1000);
    const second = load.reading();
    const both = load.window();
    expect(both.latency?.count).toBe(first.latency!.count + second.latency!.count);
    expect(both.slowLatency?.count).toBe(first.slowLatency!.count + second.slowLatency!.count);
    expect(load.window()).toEqual({ latency: null, slowLatency: null, lagP99Ms: null });
    expect(load.reading()).toMatchObject({ due: 0, latency: null, slowLatency: null, lagP99Ms: null });
  });

  it('has the next client that is connected send for one that is not', async () => {
    const rig = await LoadRig.connected({ clients: 3 });
    const { clock, driver, load } = rig;
    driver.echo();
    driver.onConnect = () => new Error('refused');
    driver.of(1).end();
    rig.start();
    await clock.advance(1000);
    expect(load.reading()).toMatchObject({ unsent: 0, connections: 2 });
    expect(driver.of(1).requests).toHaveLength(0);
    const [zero, two] = [driver.of(0).requests.length, driver.of(2).requests.length];
    expect(two / zero).toBeGreaterThan(1.6);
    for (const number of [0, 2]) driver.of(number).end();
    await clock.advance(1000);
    const { due, unsent } = load.reading();
    expect(unsent).toBe(due);
  });

  it('knows at most 65,536 requests, timed out or not', async () => {
    const rig = await LoadRig.connected({ requestsPerSecond: 50_000 });
    rig.driver.keeps = false;
    rig.start();
    await rig.clock.advance(3000);
    const { due, timedOut, outstanding, unsent } = rig.load.reading();
    expect(timedOut + outstanding).toBe(knownMax);
    expect(unsent).toBe(due - knownMax);
    // Late answers make room again.
    for (const connection of rig.driver.connections) connection.answerAll();
    await rig.clock.advance(100);
    expect(rig.load.reading().unsent).toBe(0);
  });

  it('counts a request as unsent when no connection takes it, and uses its id again', async () => {
    const rig = await LoadRig.connected({ clients: 2 });
    const { clock, driver, load } = rig;
    driver.echo();
    rig.start();
    await clock.advance(100);
    for (const connection of driver.connections) connection.deaf = true;
    await clock.advance(100);
    const { due, expected, unsent, outstanding } = load.reading();
    expect(unsent).toBeGreaterThan(50);
    expect(due).toBe(expected + unsent);
    expect(outstanding).toBe(0);
    for (const connection of driver.connections) connection.deaf = false;
    await clock.advance(100);
    for (const { requests } of driver.connections) {
      expect(requests.map(({ id }) => id)).toEqual(requests.map((_, index) => index + 1));
    }
  });

  it('survives a driver the send of which throws', async () => {
    const rig = await LoadRig.connected(few);
    rig.driver.onRequest = () => {
      throw new Error('no such order book');
    };
    rig.start();
    await rig.clock.advance(1000);
    const { due, unsent, examples } = await rig.finish();
    expect(unsent).toBe(due);
    expect(examples[0]).toContain('no such order book');
  });
});

describe('answers', () => {
  /** So many requests, sent and not answered. */
  async function sent(count: number, overrides = {}) {
    const rig = await LoadRig.connected({ ...few, requestsPerSecond: 1000, ...overrides });
    rig.start();
    while (rig.driver.of(0).requests.length < count) await rig.clock.advance(1);
    rig.stop.abort();
    await rig.clock.until(rig.running, 1000, 1);
    const connection = rig.driver.of(0);
    expect(connection.requests.map(({ id }) => id)).toEqual(connection.requests.map((_, index) => index + 1));
    return { rig, connection, load: rig.load };
  }

  it('are expected or not by the operation', async () => {
    const good = await sent(2);
    good.connection.answer(1, 'success');
    good.connection.answer(2, 'error');
    expect(good.load.losses()).toMatchObject({ expected: 1, unexpected: 1 });
    expect(good.load.losses().examples).toEqual(['client 0, request 2: simple answered with error']);
    const bad = await sent(2, { mix: onlyErrors });
    bad.connection.answer(1, 'error');
    bad.connection.answer(2, 'success');
    expect(bad.load.losses()).toMatchObject({ expected: 1, unexpected: 1 });
    expect(bad.load.losses().examples).toEqual(['client 0, request 2: error answered with success']);
  });

  it('that come twice are duplicated, each time, and change nothing else', async () => {
    const { connection, load } = await sent(10);
    connection.answerAll();
    const before = load.losses();
    for (let i = 0; i < 10_000; i++) connection.events.answered(1 + (i % 10), 'success');
    const after = load.losses();
    expect(after).toEqual({ ...before, duplicated: 10_000, examples: after.examples });
    expect(after.examples).toHaveLength(20);
    expect(after.examples[0]).toBe('client 0: duplicated: request 1 was answered again');
  });

  it('to requests that were never sent are corrupted', async () => {
    const { connection, load } = await sent(3);
    const last = connection.requests.length;
    for (const id of [0, -1, 1.5, last + 1, Number.NaN, 2 ** 40]) connection.events.answered(id, 'success');
    expect(load.losses()).toMatchObject({ corrupted: 6, duplicated: 0, expected: 0 });
  });

  it('out of turn are counted once for each that came after its successor', async () => {
    const { connection, load } = await sent(5);
    for (const id of [2, 1, 5, 4, 3]) connection.answer(id);
    expect(load.losses()).toMatchObject({ expected: 5, disordered: 3, duplicated: 0 });
    expect(load.losses().examples[0]).toBe('client 0: disordered: request 1 was answered after request 2');
  });

  it('may come in any order where the driver says so', async () => {
    const driver = new ScriptedDriver();
    driver.ordered = false;
    const rig = await LoadRig.connected({ ...few, requestsPerSecond: 1000 }, { driver });
    rig.start();
    await rig.clock.advance(50);
    for (const { id } of driver.of(0).requests.toReversed()) driver.of(0).answer(id);
    expect(await rig.finish()).toMatchObject({ disordered: 0, duplicated: 0, corrupted: 0 });
  });

  it('that never come are timed out, and not the fault of those behind them', async () => {
    const { rig, connection, load } = await sent(10);
    connection.unanswered.delete(3);
    connection.answerAll();
    const due = connection.requests.length;
    await rig.clock.advance(2100);
    expect(load.reading()).toMatchObject({ due, expected: due - 1, timedOut: 1, outstanding: 0 });
    expect(load.losses()).toMatchObject({ disordered: 0, late: 0 });
  });

  it('that come late were timed out all the same, whether that had been noticed or not', async () => {
    const { rig, connection, load } = await sent(2);
    // Nobody sweeps: the loop has stopped.
    rig.clock.jump(2100);
    connection.answer(1);
    expect(load.losses()).toMatchObject({ timedOut: 1, late: 1, expected: 0 });
    load.reading();
    connection.answer(2);
    expect(load.losses()).toMatchObject({ timedOut: connection.requests.length, late: 2, expected: 0 });
    connection.events.answered(2, 'success');
    expect(load.losses()).toMatchObject({ late: 2, duplicated: 1 });
  });

  it('that never come are told of by the first five, so that other things have their examples, too', async () => {
    const { rig, connection, load } = await sent(10, { requestTimeoutMs: 12_000 });
    const { operation } = connection.requests[0];
    connection.answer(2);
    rig.clock.jump(20_000);
    load.reading();
    expect(load.losses().examples).toEqual(
      [1, 3, 4, 5, 6].map((id) => `client 0: no answer to request ${id} (${operation}) within 12,000 ms`),
    );
  });

  it('that time out have the timeout for their latency', async () => {
    const { rig, connection, load } = await sent(5);
    rig.clock.jump(5000);
    const { timedOut, latency } = load.reading();
    expect(timedOut).toBe(connection.requests.length);
    expect(latency?.count).toBe(timedOut);
    expect(latency?.p50Ms).toBeGreaterThanOrEqual(2000);
    expect(latency?.maxMs).toBeLessThan(2002);
  });

  it('can be wrong in a way of their own', async () => {
    const { connection, load } = await sent(1);
    connection.events.violated('corrupted', 'a price that nobody asked for');
    connection.events.violated('missing', 'fill 7');
    expect(load.losses()).toMatchObject({ corrupted: 1, missing: 1 });
    expect(load.losses().examples).toEqual([
      'client 0: corrupted: a price that nobody asked for',
      'client 0: missing: fill 7',
    ]);
  });
});

describe('while the server is disturbed', () => {
  it('latency is not judged until what was outstanding or due meanwhile is gone', async () => {
    const rig = await LoadRig.connected({ ...few, requestsPerSecond: 1000 });
    const { clock, driver, load } = rig;
    rig.start();
    await clock.advance(50);
    load.disturb(true);
    await clock.advance(50);
    load.disturb(false);
    await clock.advance(50);
    // Due after the disturbance, but behind its backlog.
    const connection = driver.of(0);
    const backlog = connection.requests.length;
    connection.answerAll();
    expect(load.reading()).toMatchObject({ expected: backlog, latency: null });
    expect(load.window().latency).toBeNull();
    driver.echo();
    await clock.advance(100);
    const { expected, latency } = load.reading();
    expect(latency?.count).toBe(expected);
  });

  it('it is so until the backlog is gone, and for the timeout at most', async () => {
    const rig = await LoadRig.connected({ ...few, requestsPerSecond: 1000 });
    const { clock, driver, load } = rig;
    rig.start();
    await clock.advance(50);
    expect(load.disturbed).toBe(false);
    load.disturb(true);
    expect(load.disturbed).toBe(true);
    await clock.advance(10_000);
    expect(load.disturbed).toBe(true);
    load.disturb(false);
    await clock.advance(50);
    expect(load.disturbed).toBe(true);
    driver.of(0).answerAll();
    expect(load.disturbed).toBe(false);

    load.disturb(true);
    await clock.advance(50);
    rig.stop.abort();
    await clock.until(rig.running, 1000, 1);
    load.disturb(false);
    // Nobody sweeps.
    clock.jump(1999);
    expect(load.disturbed).toBe(true);
    clock.jump(1);
    expect(load.disturbed).toBe(false);
  });

  it('latency is judged again when the backlog has timed out, and only when no disturbance is left', async () => {
    const rig = await LoadRig.connected({ ...few, requestsPerSecond: 1000, requestTimeoutMs: 200 });
    const { clock, driver, load } = rig;
    rig.start();
    load.disturb(true);
    load.disturb(true);
    await clock.advance(50);
    load.disturb(false);
    driver.echo();
    await clock.advance(500);
    expect(load.reading().latency).toBeNull();
    load.disturb(false);
    await clock.advance(300);
    const { expected, latency } = load.reading();
    expect(latency?.count).toBeGreaterThan(100);
    expect(latency?.count).toBeLessThanOrEqual(expected);
    expect(latency?.maxMs).toBeLessThan(2);
  });
});

describe('sums', () => {
  it('go on from an earlier run, and what that one left open is abandoned', async () => {
    const first = await LoadRig.connected();
    first.start();
    await first.clock.advance(300);
    const losses = first.load.losses();
    const open = losses.due - settledOf(losses);
    expect(open).toBeGreaterThan(200);
    const second = await LoadRig.connected();
    second.driver.echo();
    second.load.restore({ ...losses, examples: ['an old one'] });
    expect(second.load.reading()).toMatchObject({ due: 0, abandoned: 0, outstanding: 0 });
    second.start();
    await second.clock.advance(100);
    const { due } = second.load.reading();
    const sums = await second.finish();
    expect(sums).toMatchObject({ due: losses.due + due, expected: due, abandoned: open });
    expect(sums.examples).toEqual(['an old one']);
    expect(settledOf(sums)).toBe(sums.due);
  });

  it('say the first twenty examples as they come', async () => {
    const clock = new ManualClock();
    const driver = new ScriptedDriver();
    const said: string[] = [];
    const config = soakConfig({ ...few, requestsPerSecond: 1000 });
    const onExample = (text: string) => said.push(text);
    const load = new Load({ driver, host: '127.0.0.1', port: 1, config, clock, seed: 1, onExample });
    await load.connect(new AbortController().signal);
    driver.onRequest = (connection, { id }) => connection.answer(id, 'error');
    void load.run(new AbortController().signal);
    await clock.advance(100);
    expect(said).toHaveLength(20);
    expect(load.losses().examples).toEqual(said);
    await clock.until(load.finish(new AbortController().signal), 5000);
  });
});
