import { describe, expect, it } from 'vitest';
import type { ChaosConfig } from '#ackgate/soak/config.js';
import type { ServerFault, ServerHandle } from '#ackgate/soak/driver.js';
import { Chaos, unsupportedChaos } from '#ackgate/soak/load/chaos.js';
import { noChaos, ScriptedDriver, soakConfig } from './support/soak-driver.js';
import { LoadRig } from './support/soak-load.js';

const server: ServerHandle = {
  pid: 1,
  host: '127.0.0.1',
  port: 1,
  send: () => false,
  onMessage: () => () => {},
};

class Disturber extends ScriptedDriver {
  faults: Record<string, ServerFault> = {};
}

/** A load of four clients, each request of which is answered at once, and chaos beside it. */
async function chaotic(
  chaos: Partial<ChaosConfig>,
  faults: Record<string, ServerFault> = {},
  { seed = 1, requestsPerSecond = 100 } = {},
) {
  const driver = new Disturber();
  driver.faults = faults;
  const all = { ...noChaos, ...chaos };
  const rig = await LoadRig.connected({ chaos: all, requestsPerSecond }, { driver });
  driver.echo();
  const { clock, load } = rig;
  const config = soakConfig({ chaos: all });
  const made = new Chaos({ load, driver, server, host: '127.0.0.1', port: 1, config, clock, seed });
  const stop = new AbortController();
  const running = made.run(stop.signal);
  rig.start();
  const end = async () => {
    stop.abort();
    await clock.until(running, 30_000);
  };
  return { rig, clock, driver, load, chaos: made, end };
}

/** Notes when it is on. */
function notedFault(at: () => number, endMs?: () => Promise<void>) {
  const times: [number, number][] = [];
  const fault: ServerFault = {
    description: 'noted',
    begin: () => void times.push([at(), -1]),
    end: async () => {
      await endMs?.();
      times.at(-1)![1] = at();
    },
  };
  return { times, fault };
}

describe('disconnects', () => {
  it('come at their rate, half of them as resets, the same ones for the same seed', async () => {
    const events = async (seed: number) => {
      // 4 clients × 0.5 a minute: two a minute.
      const { clock, chaos, end, load } = await chaotic(
        { disconnectsPerClientMinute: 0.5 },
        {},
        { seed, requestsPerSecond: 1 },
      );
      await clock.advance(30 * 60_000);
      await end();
      const { disconnect, reset, ...others } = chaos.take();
      expect(others).toEqual({});
      expect(disconnect + reset).toBeGreaterThan(35);
      expect(disconnect + reset).toBeLessThan(90);
      expect(disconnect).toBeGreaterThan(10);
      expect(reset).toBeGreaterThan(10);
      expect(chaos.take()).toEqual({});
      const { connectionsMade, connectionsLost, lost } = load.losses();
      expect(connectionsMade).toBe(4 + disconnect + reset);
      expect({ connectionsLost, lost }).toEqual({ connectionsLost: 0, lost: 0 });
      const happened = chaos.events();
      expect(happened).toHaveLength(disconnect + reset);
      expect(chaos.events()).toEqual([]);
      return happened;
    };
    const first = await events(1);
    expect(await events(1)).toEqual(first);
    expect(await events(2)).not.toEqual(first);
  }, 30_000);
});

describe('faults of the server', () => {
  it('begin at random, last as long as they should, and never run into themselves', async () => {
    const noted = { now: () => 0 };
    const { times, fault } = notedFault(() => noted.now());
    const stall = { fault: 'stall', everySeconds: 10, forMs: 8000 };
    const { clock, chaos, end } = await chaotic({ server: [stall] }, { stall: fault });
    noted.now = () => clock.nowMs();
    await clock.advance(5 * 60_000);
    await end();
    expect(times.length).toBeGreaterThan(10);
    for (const [index, [began, ended]] of times.entries()) {
      if (index > 0) expect(began).toBeGreaterThanOrEqual(times[index - 1][1]);
      if (index < times.length - 1) expect(ended - began).toBeCloseTo(8000, 6);
    }
    expect(chaos.take()).toEqual({ stall: times.length });
    const events = chaos.events();
    expect(events).toHaveLength(times.length);
    expect(events[0].kind).toBe('stall');
    expect(events[0].forMs).toBeCloseTo(8000, 6);
  });

  it('disturb the load as long as they last', async () => {
    const { fault } = notedFault(() => 0);
    const stall = { fault: 'stall', everySeconds: 1, forMs: 3_600_000 };
    const { clock, load, end } = await chaotic({ server: [stall] }, { stall: fault });
    await clock.advance(60_000);
    load.reading();
    await clock.advance(1000);
    expect(load.reading()).toMatchObject({ latency: null });
    await end();
    await clock.advance(1000);
    expect(load.reading().latency?.count).toBeGreaterThan(50);
  });

  it('are ended before the chaos is, however long that takes', async () => {
    const wait = { forIt: async () => {} };
    const { times, fault } = notedFault(
      () => 1,
      () => wait.forIt(),
    );
    const stall = { fault: 'stall', everySeconds: 1, forMs: 3_600_000 };
    const { clock, end } = await chaotic({ server: [stall] }, { stall: fault });
    wait.forIt = () => clock.sleep(3000);
    await clock.advance(60_000);
    expect(times).toEqual([[1, -1]]);
    await end();
    expect(times).toEqual([[1, 1]]);
  });

  it('that fail, or never come to an end of their own, are noted and hold nothing up', async () => {
    const faults: Record<string, ServerFault> = {
      broken: {
        description: 'can not begin',
        begin: () => {
          throw new Error('no such replica');
        },
        end: () => {
          throw new Error('never begun');
        },
      },
      stuck: { description: 'hangs', begin: () => {}, end: () => new Promise(() => {}) },
    };
    const every = { everySeconds: 30, forMs: 100 };
    const names = Object.keys(faults).map((fault) => ({ fault, ...every }));
    const { clock, chaos, load, end } = await chaotic({ server: names }, faults);
    await clock.advance(10 * 60_000);
    await end();
    expect(chaos.take()).toEqual({ stuck: expect.any(Number) });
    expect(new Set(chaos.problems)).toEqual(
      new Set([
        'begin of the fault broken failed: no such replica',
        'end of the fault stuck takes more than 10 s',
      ]),
    );
    load.reading();
    await clock.advance(1000);
    expect(load.reading().latency?.count).toBeGreaterThan(50);
  });
});

describe('a fault that can not begin', () => {
  const fault = (begin: () => unknown): Record<string, ServerFault> => ({
    broken: { description: 'can not begin', begin: begin as () => void, end: () => expect.unreachable() },
  });
  const every = { server: [{ fault: 'broken', everySeconds: 1, forMs: 100 }] };

  it.each([
    [
      'throws',
      (): never => {
        throw new Error('no such replica');
      },
      'no such replica',
    ],
    ['rejects', (): Promise<never> => Promise.reject(new Error('no such replica')), 'no such replica'],
    ['comes to false', (): boolean => false, 'it returned false'],
  ] as const)(
    'because it %s is noted, and neither counted, marked, nor an excuse',
    async (_, begin, problem) => {
      const { clock, chaos, load, driver, end } = await chaotic(every, fault(begin));
      // Whatever is outstanding when it fails is judged all the same.
      driver.onRequest = (connection, { id }) => void clock.sleep(1500).then(() => connection.answer(id));
      await clock.advance(60_000);
      const { expected, latency, slowLatency } = load.reading();
      expect(expected).toBeGreaterThan(4000);
      expect(latency!.count + slowLatency!.count).toBe(expected);
      expect(load.disturbed).toBe(false);
      await end();
      expect(chaos.take()).toEqual({});
      expect(chaos.events()).toEqual([]);
      expect(chaos.problems.length).toBeGreaterThan(10);
      expect(new Set(chaos.problems)).toEqual(new Set([`begin of the fault broken failed: ${problem}`]));
    },
  );

  it('takes no excuse from another one that did', async () => {
    const { rig, clock, load, driver } = await chaotic({});
    driver.onRequest = () => {};
    load.disturb(true);
    await clock.advance(100);
    load.disturb(true);
    load.retract();
    expect(load.disturbed).toBe(true);
    load.disturb(false);
    expect(load.disturbed).toBe(true);
    load.disturb(true);
    load.retract();
    expect(load.disturbed).toBe(true);
    for (const connection of driver.connections) connection.answerAll();
    expect(load.reading()).toMatchObject({ latency: null });
    expect(load.disturbed).toBe(false);
    await rig.finish();
  });
});

describe('chaos that a driver can not do', () => {
  it('is said in sentences', () => {
    const driver = new Disturber();
    driver.faults = { stall: notedFault(() => 0).fault };
    const chaos = {
      ...noChaos,
      halfFramesPerMinute: 1,
      server: ['stall', 'kill'].map((fault) => ({ fault, everySeconds: 1, forMs: 1 })),
    };
    expect(unsupportedChaos(driver, chaos)).toEqual([
      'The driver scripted has no fault kill: it has stall.',
      'The driver scripted has no sampleRequest, so there are no half-frames.',
    ]);
    expect(unsupportedChaos(driver, noChaos)).toEqual([]);
  });

  it('is left out, and noted when it only shows once there is a connection', async () => {
    const { rig, clock, chaos, end, driver } = await chaotic({
      slowReadersPerMinute: 6,
      halfFramesPerMinute: 6,
      server: [{ fault: 'kill', everySeconds: 1, forMs: 1 }],
    });
    await clock.advance(60_000);
    await end();
    expect(chaos.take()).toEqual({});
    expect(chaos.problems[0]).toBe('slow-reader: the driver scripted gives no socket');
    expect(driver.connections.slice(4).every(({ open, number }) => !open && number >= 4)).toBe(true);
    await rig.finish();
    expect(clock.sleeping).toBe(0);
  });
});
