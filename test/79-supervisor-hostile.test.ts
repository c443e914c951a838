import { describe, expect, it } from 'vitest';
import { type Fault, FaultClient, faults, reconnectStorm } from '#ackgate/fault-client/index.js';
import { Random } from '#ackgate/sim/random.js';
import type { EndReason } from '#ackgate/supervisor/index.js';
import { realBackends, until } from './support/stage.js';
import {
  answers,
  framed,
  openFds,
  range,
  reasons,
  reply,
  request,
  Site,
  seqOf,
  type Visitor,
} from './support/supervisor.js';

const frameBytes = 4096;

/** Small enough that a client that reads nothing is found out in a short flood. */
const small = { kernelSendBufferBytes: 8192, blockedTimeoutMs: 150 };

/** As the catalogue's faults send them; noise in the right place asks for an answer with some number. */
const answering = (site: () => Site) => (connection: { id: number }, body: Uint8Array) =>
  body.length < 5 ? undefined : reply(site().stage, connection, seqOf(body), { bytes: 440 });

/**
 * How each fault may end. A reset is seen by Node as what it finds first: an error, or the end of a stream; or the stage
 * finds it while sending. One that is closed without having read sends a reset.
 */
const left: EndReason[] = ['end-of-stream', 'read-error', 'reset'];
const midFrame: EndReason[] = [...left, 'truncated-frame'];
const endings: Record<string, EndReason[]> = {
  'connect-and-leave': left,
  'connect-and-reset': left,
  'half-close': ['end-of-stream'],
  'half-header': ['truncated-frame'],
  'half-frame': ['truncated-frame'],
  'half-close-mid-frame': ['truncated-frame'],
  'reset-mid-frame': midFrame,
  'reset-at-byte-n': midFrame,
  'empty-frame': ['malformed-frame'],
  // Four random bytes are a length that is too large nearly always; fewer are none.
  garbage: ['oversize-frame', 'malformed-frame', 'truncated-frame'],
  'noise-in-frame': ['oversize-frame', 'client-disconnect', ...left],
  oversize: ['oversize-frame'],
  'oversize-after-request': ['oversize-frame'],
  flood: [...midFrame, 'overflow', 'blocked'],
  'flood-then-reset': [...midFrame, 'overflow', 'blocked'],
  trickle: midFrame,
  'never-reads': ['overflow', 'blocked', ...midFrame],
  'leaves-unread': left,
  'slow-reader': [...left, 'overflow', 'blocked'],
};
/** Reasons of the supervisor's own that the client is told, with their bytes. */
const told: Partial<Record<EndReason, number>> = {
  'malformed-frame': 3,
  'oversize-frame': 4,
  'truncated-frame': 5,
};

/** Well-behaved clients that ask and check, all along. */
function polite(visitors: Visitor[]) {
  let stop = false;
  let asked = 0;
  const running = visitors.map(async ({ client }, index) => {
    for (let seq = index * 1_000_000; !stop; seq++, asked++) {
      await client.sendFrame(request(seq));
      const body = await client.nextFrame(20_000);
      if (seqOf(body) !== seq) throw new Error(`asked for ${seq}, got ${seqOf(body)}`);
      if (seq % 64 === 63) await new Promise((resolve) => setImmediate(resolve));
    }
    // Every byte of every answer.
    expect(answers(client)).toHaveLength(client.frames.length);
    expect(reasons(client)).toEqual([]);
  });
  return {
    asked: () => asked,
    async end() {
      stop = true;
      await Promise.all(running);
    },
  };
}

const baseline = (site: Site) => {
  const { attached, permits, active, pendingPushes, handling } = site.supervisor.status();
  return { attached, permits, active, pendingPushes, handling };
};

describe.each(realBackends)('hostile clients, with %s,', (backend) => {
  it('each end their own connection with a reason, while others get every answer', async () => {
    const site: Site = await Site.start({
      backend,
      stage: small,
      limits: { frameBytes },
      onFrame: answering(() => site),
    });
    const good = [await site.visit(), await site.visit(), await site.visit()];
    const before = { ...baseline(site), fds: openFds() };
    const crowd = polite(good);

    const attack = async (fault: Fault, seed: number) => {
      const { client, id } = await site.visit({ seed, allowHalfOpen: true });
      const asked = crowd.asked();
      await fault.run(client, new Random(seed), { bytesMax: 256 * 1024, timeMsMax: 100 });
      await until('others were answered meanwhile', () => crowd.asked() > asked);
      // Whoever is still there leaves in good order, having read what came.
      client.resumeReading();
      await client.end();
      const { outcome, reason } = await site.untilEnded(id);
      expect(endings[fault.name], `${fault.name} with seed ${seed}: ${outcome} ${reason}`).toContain(reason);
      await client.ended;
      const byte = told[reason as EndReason];
      if (byte !== undefined && client.ending === 'end') {
        expect(reasons(client), fault.name).toEqual([byte]);
        const lines = site.logged('connection crashed').filter(({ fields }) => fields.connectionId === id);
        expect(lines.map(({ fields }) => fields.reason)).toEqual([reason]);
      }
      if (byte === undefined) expect(reasons(client), fault.name).toEqual([]);
      await client.close();
    };
    expect(faults.map(({ name }) => name).sort()).toEqual(Object.keys(endings).sort());
    for (const seed of [1, 2]) {
      // Four at a time: they also hurt each other, if they can.
      for (let i = 0; i < faults.length; i += 4) {
        await Promise.all(faults.slice(i, i + 4).map((fault, at) => attack(fault, seed * 100 + i + at)));
      }
    }
    await crowd.end();
    await site.untilAttached(good.length);
    expect(site.supervisor.status().ended).toMatchObject({ 'handler-failed': 0, 'socket-closed': 0 });
    const { spawned, ended } = site.supervisor.status();
    // Those that never read were found out.
    expect(ended.overflow + ended.blocked).toBeGreaterThan(0);
    expect(Object.values(ended).reduce((sum, count) => sum + count)).toBe(spawned - good.length);
    // The ends counted are the ends told.
    const counted = new Map<string, number>();
    for (const { what, reason } of site.told) {
      if (what === 'disconnected') counted.set(reason!, (counted.get(reason!) ?? 0) + 1);
    }
    for (const [reason, count] of Object.entries(ended)) expect(counted.get(reason) ?? 0, reason).toBe(count);
    await until('everything is given back', () => openFds() <= before.fds);
    expect({ ...baseline(site), fds: openFds() }).toEqual(before);
    for (const [i, { client }] of good.entries()) await site.ask(client, i);
  });

  it('in a reconnect storm leave nothing behind, and nobody waits for them', async () => {
    const site: Site = await Site.start({ backend, limits: { connections: 40, frameBytes } });
    const good = [await site.visit(), await site.visit(), await site.visit()];
    const before = { ...baseline(site), fds: openFds() };
    const crowd = polite(good);
    const counts = await reconnectStorm({
      port: site.port,
      connections: 600,
      concurrency: 60,
      behaviour: async (client, index) => {
        if (index % 4 === 0) await client.reset();
        else if (index % 4 === 1) await client.emptyFrame();
        else await client.sendFrame(request(index));
        if (index % 4 === 2) await client.wait(2);
        if (index % 4 === 3) await client.end();
      },
    });
    expect(counts.connected).toBe(600);
    await crowd.end();
    await site.untilAttached(good.length);
    const { spawned, refused } = site.supervisor.status();
    // A client that has left before it was accepted is no connection any more.
    expect(
      spawned - good.length + refused['too-many-connections'] + refused.unattachable,
    ).toBeLessThanOrEqual(600);
    expect(spawned).toBeGreaterThan(40);
    await until('everything is given back', () => openFds() <= before.fds);
    expect({ ...baseline(site), fds: openFds() }).toEqual(before);
    expect(crowd.asked()).toBeGreaterThan(0);
  });
});

describe('a hostile client', () => {
  it('can not answer for another one', async () => {
    const site = await Site.start({ limits: { frameBytes } });
    const other = await site.visit();
    const awaiter = other.connection.push(Uint8Array.of(1));
    const push = await other.client.nextFrame(20_000);
    const answersTo = (head: Uint8Array, payload: number) =>
      Buffer.concat([Buffer.of(7), head.subarray(1, 9), Buffer.of(payload)]);
    const forger = await site.visit();
    // The reply to somebody else's push, and the ids at the edges.
    await forger.client.sendFrame(answersTo(push, 66));
    for (const byte of [0, 0x7f, 0x80, 0xff]) {
      await forger.client.sendFrame(Buffer.concat([Buffer.of(7), Buffer.alloc(8, byte)]));
    }
    await until('they are ignored', () => site.supervisor.status().repliesIgnored === 5);
    expect(site.supervisor.status()).toMatchObject({ pendingPushes: 1, replies: 0 });
    await other.client.sendFrame(answersTo(push, 42));
    expect(Buffer.from(await awaiter.receive(20_000))).toEqual(Buffer.of(42));
    // One that is cut short is no reply to anything.
    for (const bytes of [1, 8]) {
      const { client, id } = await site.visit();
      await client.sendFrame(Buffer.alloc(bytes, 7));
      await client.ended;
      expect(reasons(client)).toEqual([3]);
      expect(await site.untilEnded(id)).toMatchObject({ outcome: 'crashed', reason: 'malformed-frame' });
    }
    // The second one is late.
    await other.client.sendFrame(answersTo(push, 43));
    await until('it is ignored', () => site.supervisor.status().repliesIgnored === 6);
    await site.ask(other.client, 1);
  });

  it('that crashes while the gate is closed still gets what was published for it, then its reason', async () => {
    const site: Site = await Site.start({
      onFrame: (connection, body) => reply(site.stage, connection, seqOf(body), { gatedBy: 50 }),
    });
    const { client, id } = await site.visit({ allowHalfOpen: true });
    await client.send(Buffer.concat([framed(request(1)), Buffer.alloc(4)]));
    expect(await site.untilEnded(id)).toMatchObject({ reason: 'malformed-frame' });
    expect(client.frames).toEqual([]);
    site.stage.cursors.primary.advance(50);
    expect(await client.ended).toBe('end');
    expect(answers(client)).toEqual([1]);
    expect(reasons(client)).toEqual([3]);
  });

  it('that sends a frame byte by byte costs as much for each byte of a long one as of a short one', async () => {
    let handled = 0;
    const site = await Site.start({
      limits: { frameBytes: 1024 * 1024 },
      onFrame: (_, body) => {
        handled += body.length;
      },
    });
    // The bytes go into the session as its socket gives them to it: the kernel would put them together again.
    const { socket } = await site.visit();
    const cpuOf = (bytes: number): number => {
      const whole = framed(request(1, bytes));
      const pieces = Array.from(whole, (_, i) => whole.subarray(i, i + 1));
      const had = handled;
      const { user, system } = process.cpuUsage();
      for (const piece of pieces) socket.emit('data', piece);
      const spent = process.cpuUsage({ user, system });
      expect(handled - had).toBe(bytes);
      return (spent.user + spent.system) / bytes;
    };
    cpuOf(100_000);
    const short = Math.max(...range(0, 3).map(() => cpuOf(100_000)));
    const long = cpuOf(1024 * 1024);
    // Quadratic would be ten times as much for each.
    expect(long / short).toBeLessThan(5);
  });

  it('that trickles over a real socket is heard out', async () => {
    const site = await Site.start();
    const { client } = await site.visit();
    const other = await site.visit();
    const sending = client.trickle(framed(request(1, 60), request(2)), { everyMs: 0 });
    for (let seq = 1; seq < 30; seq++) await site.ask(other.client, seq);
    await sending;
    await until('both are answered', () => answers(client).length === 2);
    expect(answers(client)).toEqual([1, 2]);
  });

  it('that comes and goes before it is accepted leaves nothing behind', async () => {
    const site = await Site.start();
    const fds = openFds();
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(range(0, 20).map(() => FaultClient.connect({ port: site.port })));
      await Promise.all(clients.map((client, i) => (i % 2 === 0 ? client.reset() : client.close())));
    }
    const { client } = await site.visit();
    await site.ask(client, 1);
    await site.untilAttached(1);
    await client.close();
    await until('everything is given back', () => openFds() <= fds);
    const paired = site.told.filter(({ what }) => what === 'connected').length;
    expect(site.told).toHaveLength(paired * 2);
  });
});
