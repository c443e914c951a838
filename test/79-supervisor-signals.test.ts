import { describe, expect, it, onTestFinished } from 'vitest';
import { FaultClient } from '#ackgate/fault-client/index.js';
import { DisconnectReason } from '#ackgate/supervisor/index.js';
import { type ChildSetting, SupervisorChild } from './support/supervisor-child.js';

const request = Uint8Array.of(0x10, 1, 2, 3);
const farewell = Uint8Array.of(0x05, DisconnectReason.shutdown);
/** Far more than any drain that is waited for here; it must be cut short. */
const longMs = 60_000;
const signals = ['SIGTERM', 'SIGINT'] as const;

async function connected(port: number): Promise<FaultClient> {
  const client = await FaultClient.connect({ port });
  onTestFinished(() => client.close());
  return client;
}

/** Everything that it got but heartbeats, once its connection is over. */
async function received(client: FaultClient): Promise<Uint8Array[]> {
  await client.ended;
  return client.frames.filter((body) => body[0] !== 0x01).map((body) => Uint8Array.from(body));
}

/** A child with a client whose request is never handled: no drain ends by itself. */
async function stuck(setting: ChildSetting = {}) {
  const { child, ports } = await SupervisorChild.listening({
    requests: 'never',
    drainMs: longMs,
    ...setting,
  });
  const clients = await Promise.all(ports.map(connected));
  for (const client of clients) await client.sendFrame(request);
  await child.until('the requests are there', () => child.all('request').length === ports.length);
  return { child, ports, clients };
}

const shuttingDown = 'signal received: shutting down';
const closing = 'second signal received: closing what is left';

describe.each(signals)('%s', (signal) => {
  it('shuts down in order the first time, and the process ends with 0', async () => {
    const { child, ports } = await SupervisorChild.listening({});
    const client = await connected(ports[0]);
    await client.sendFrame(request);
    expect(Uint8Array.from(await client.nextFrame(20_000))).toEqual(request);
    expect((await child.ask('status')).listeners).toBe(2);

    child.signal(signal);
    expect(await received(client)).toEqual([request, farewell]);
    expect(client.ending).toBe('end');
    expect(await child.ended()).toBe(0);
    expect(child.logged(shuttingDown)).toBe(1);
    expect(child.logged(closing)).toBe(0);
    expect(child.all('flushed')).toHaveLength(1);
    expect(await child.event('closed')).toMatchObject({ listeners: 0 });
    expect(child.stderr).toBe('');
  });

  it('closes what is left the second time, and the process ends with 0', async () => {
    const { child, clients } = await stuck();
    const start = performance.now();
    child.signal(signal);
    await child.until('it shuts down', () => child.logged(shuttingDown) === 1);
    child.signal(signal);
    expect(await received(clients[0])).toEqual([farewell]);
    expect(await child.ended()).toBe(0);
    // As long as the drain would have been: only a bound that tells the one from the other.
    expect(performance.now() - start).toBeLessThan(longMs / 2);
    expect(child.logged(closing)).toBe(1);
    expect(child.logged('connection force-closed')).toBe(1);
    expect(child.all('flushed')).toHaveLength(1);
  });

  it('ends the process the third time, whatever it waits for', async () => {
    const { child } = await stuck({ flush: 'never' });
    child.signal(signal);
    await child.until('it shuts down', () => child.logged(shuttingDown) === 1);
    child.signal(signal);
    await child.event('flushing');
    child.signal(signal);
    expect(await child.ended()).toBe(signal === 'SIGTERM' ? 143 : 130);
  });

  it('does what it always does without signals: true', async () => {
    const { child } = await SupervisorChild.listening({ signals: false });
    expect((await child.ask('status')).listeners).toBe(0);
    child.signal(signal);
    expect(await child.ended()).toBe(signal);
  });
});

describe('signals', () => {
  it('count together, whichever they are', async () => {
    const { child } = await stuck({ flush: 'never' });
    child.signal('SIGINT');
    await child.until('it shuts down', () => child.logged(shuttingDown) === 1);
    child.signal('SIGTERM');
    await child.event('flushing');
    child.signal('SIGINT');
    expect(await child.ended()).toBe(130);
  });

  it('end a shutdown that was not in order with 1', async () => {
    const { child } = await SupervisorChild.listening({ flush: 'failed' });
    child.signal('SIGTERM');
    expect(await child.ended()).toBe(1);
    expect((await child.event('failed')).message).toContain('flush: ');
    expect(child.logged('shutdown stage failed')).toBe(1);
  });

  it('are watched no more after a shutdown that was asked for otherwise', async () => {
    const { child } = await SupervisorChild.listening({});
    await child.ask('shutdown');
    expect(await child.event('closed')).toMatchObject({ listeners: 0 });
    expect(await child.ended()).toBe(0);
  });

  it('shut down every supervisor of a process, each on its own', async () => {
    const { child, ports, clients } = await stuck({ servers: 2 });
    expect(ports).toHaveLength(2);
    expect((await child.ask('status')).listeners).toBe(4);
    child.signal('SIGTERM');
    await child.until('both shut down', () => child.logged(shuttingDown) === 2);
    expect(child.end).toBeNull();
    child.signal('SIGTERM');
    for (const client of clients) expect(await received(client)).toEqual([farewell]);
    expect(await child.ended()).toBe(0);
    expect(child.all('closed').map(({ server }) => server)).toEqual(expect.arrayContaining([0, 1]));
    expect(child.all('closed').at(-1)).toMatchObject({ listeners: 0 });
  });

  it('that come after the end of one supervisor are the other’s alone', async () => {
    const { child, ports } = await SupervisorChild.listening({ servers: 2 });
    await child.ask('shutdown');
    expect(await child.event('closed')).toMatchObject({ server: 0, listeners: 2 });
    const client = await connected(ports[1]);
    await client.sendFrame(request);
    expect(Uint8Array.from(await client.nextFrame(20_000))).toEqual(request);
    child.signal('SIGTERM');
    expect(await received(client)).toEqual([request, farewell]);
    expect(await child.ended()).toBe(0);
    expect(child.logged(shuttingDown)).toBe(1);
  });
});
