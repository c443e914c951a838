import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startAdminServer } from '#ackgate/admin/index.js';
import { FaultClient } from '#ackgate/fault-client/index.js';
import { startStage } from '#ackgate/index.js';
import { collectMetrics, createPrometheusRegistry, metricFamilies } from '#ackgate/metrics/index.js';
import type { SupervisorStatus } from '#ackgate/supervisor/counters.js';
import {
  type ConnectionEnd,
  DisconnectReason,
  type RefusalReason,
  type SupervisorOptions,
  supervise,
} from '#ackgate/supervisor/index.js';
import { ask } from './support/admin.js';
import { sourceOf, statusWith, supervisorWith } from './support/metrics.js';
import { parsePrometheusText } from './support/prometheus-text.js';
import { until } from './support/stage.js';

type Supervisor = ReturnType<typeof supervise>;

/** Samples of a family as `label value → number`, in the order of the table. */
function figuresOf(supervisor: { status(): SupervisorStatus | null }): Map<string, Record<string, number>> {
  const metrics = collectMetrics(sourceOf(statusWith()), { supervisor });
  return new Map(
    metrics
      .filter(({ name }) => name.startsWith('ackgate_supervisor_'))
      .map(({ name, samples }) => [
        name,
        Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels)[0] ?? '', value])),
      ]),
  );
}

const families = metricFamilies.filter(({ name }) => name.startsWith('ackgate_supervisor_'));

describe('the families of a supervisor', () => {
  test('show every figure of its status: each moves one family', () => {
    const before = figuresOf(supervisorWith());
    const moved = Object.entries(supervisorWith().status()).map(([field, value]) => {
      const set =
        typeof value === 'object' ? Object.fromEntries(Object.keys(value).map((key) => [key, 1])) : 1;
      const after = figuresOf(supervisorWith({ [field]: field === 'state' ? 'closed' : set }));
      const names = [...after.keys()].filter(
        (name) => JSON.stringify(after.get(name)) !== JSON.stringify(before.get(name)),
      );
      expect(names, field).toHaveLength(1);
      if (typeof value === 'object') expect(Object.values(after.get(names[0]!)!), field).not.toContain(0);
      return names[0];
    });
    expect(new Set(moved)).toEqual(new Set(families.map(({ name }) => name)));
  });

  test('show what the cap counts as connections that live, leave or linger', () => {
    const figures = figuresOf(supervisorWith({ active: 5, attached: 7, permits: 10 }));
    expect(figures.get('ackgate_supervisor_connections')).toEqual({ live: 5, leaving: 2, lingering: 3 });
  });

  test('have labels of known values only', () => {
    const { samples } = collectMetrics(sourceOf(statusWith()), { supervisor: supervisorWith() }).find(
      ({ name }) => name === 'ackgate_supervisor_ended_total',
    )!;
    const known = Object.keys(supervisorWith().status().ended);
    expect(samples.map(({ labels }) => labels)).toEqual(known.map((reason) => ({ reason })));
  });

  test('are absent while there is no supervisor', () => {
    expect(figuresOf({ status: () => null }).size).toBe(0);
  });
});

async function start(options: Partial<SupervisorOptions>) {
  const stage = await startStage({ backend: 'posix', policy: 'local', connections: 100 });
  const server = createServer();
  const supervisor: Supervisor = supervise(server, { stage, onFrame: () => {}, signals: false, ...options });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => supervisor.shutdown({ drainMs: 0 }));
  const { metrics } = createPrometheusRegistry(stage, { supervisor });
  /** One figure of the text that Prometheus gets. */
  const value = async (name: string, label = '') => {
    const samples = parsePrometheusText(await metrics()).flatMap((family) => family.samples);
    return samples.find((one) => one.name === name && (Object.values(one.labels)[0] ?? '') === label)?.value;
  };
  const connect = async () => {
    const client = await FaultClient.connect({ port });
    onTestFinished(() => client.close());
    return client;
  };
  return { supervisor, value, connect };
}

type Crash = [ConnectionEnd['reason'], number | null, (client: FaultClient) => unknown];

const text = (words: string) => Buffer.from(words);
const crashes: Crash[] = [
  ['malformed-frame', DisconnectReason.malformedFrame, (client) => client.emptyFrame()],
  ['oversize-frame', DisconnectReason.oversizeFrame, (client) => client.oversize(1001)],
  [
    'truncated-frame',
    DisconnectReason.truncatedFrame,
    (client) => client.halfFrame(text('cut off'), 6).then(() => client.end()),
  ],
  ['handler-failed', DisconnectReason.handlerFailed, (client) => client.sendFrame(text('throw'))],
  [
    'too-many-subscriptions',
    DisconnectReason.tooManySubscriptions,
    (client) => client.sendFrame(text('subscribe')),
  ],
  ['too-many-pushes', DisconnectReason.tooManyPushes, (client) => client.sendFrame(text('push'))],
  [
    'inbound-full',
    DisconnectReason.inboundFull,
    (client) => client.flood({ frames: 10, body: text('never settles'.padEnd(900)) }),
  ],
  ['read-error', null, (client) => client.reset()],
];

describe('over sockets', () => {
  test('each crash is counted under its reason, and told', async () => {
    const { supervisor, value, connect } = await start({
      limits: { frameBytes: 1000, inboundBytes: 4096, subscriptions: 1, pendingPushes: 1 },
      onFrame(connection, body) {
        const [word] = Buffer.from(body).toString().split(' ');
        if (word === 'throw') throw new Error('as it was asked to');
        if (word === 'never') return new Promise(() => {});
        for (const name of ['one', 'two']) {
          if (word === 'subscribe') connection.subscribe(name);
          if (word === 'push') connection.push(text(name));
        }
      },
    });
    for (const [reason, told, offend] of crashes) {
      const client = await connect();
      await until('it is tracked', () => supervisor.activeCount() === 1);
      await offend(client);
      await until(`it has ended: ${reason}`, () => supervisor.activeCount() === 0);
      expect(await value('ackgate_supervisor_ended_total', reason), reason).toBe(1);
      if (told === null) continue;
      await client.ended;
      expect([...client.frames.at(-1)!], reason).toEqual([5, told]);
    }
    expect(await value('ackgate_supervisor_spawned_total')).toBe(crashes.length);
    const { ended } = supervisor.status();
    const others = Object.entries(ended).filter(([reason]) => !crashes.some(([known]) => known === reason));
    expect(others.map(([, count]) => count)).toEqual(others.map(() => 0));
    // The one that never settles is still being handled; the flood did not get further than that.
    expect(await value('ackgate_supervisor_handling')).toBe(1);
  });

  test('each refusal is counted under its reason', async () => {
    const { supervisor, value, connect } = await start({ limits: { connections: 1 } });
    const refused = (reason: RefusalReason) => value('ackgate_supervisor_refused_total', reason);
    const spare = createServer().listen(0, '127.0.0.1');
    await once(spare, 'listening');
    onTestFinished(() => void spare.close());
    /** A connected socket that was given to nobody. */
    const accepted = async (): Promise<Socket> => {
      const arrived = once(spare, 'connection');
      const client = await FaultClient.connect({ port: (spare.address() as AddressInfo).port });
      onTestFinished(() => client.close());
      return (await arrived)[0];
    };

    const destroyed = await accepted();
    destroyed.destroy();
    expect(() => supervisor.spawn(destroyed)).toThrow();
    expect(await refused('unattachable')).toBe(1);
    const first = supervisor.spawn(await accepted());
    supervisor.disconnect(first);
    await until('its permit is back', () => supervisor.status().permits === 0);
    const again = await accepted();
    expect(() => supervisor.spawn(again, { connectionId: first })).toThrow();
    expect(await refused('connection-id')).toBe(1);
    expect(await value('ackgate_supervisor_ended_total', 'server-disconnect')).toBe(1);

    await connect();
    await until('it is tracked', () => supervisor.activeCount() === 1);
    expect(await value('ackgate_supervisor_connections', 'live')).toBe(1);
    const second = await connect();
    expect([...(await second.nextFrame(20_000))]).toEqual([5, DisconnectReason.tooManyConnections]);
    expect(await refused('too-many-connections')).toBe(1);

    const late = await accepted();
    const closed = supervisor.shutdown();
    expect(() => supervisor.spawn(late)).toThrow();
    await closed;
    expect(await refused('shutting-down')).toBe(1);
    expect(await value('ackgate_supervisor_ended_total', 'shutdown')).toBe(1);
    expect(await value('ackgate_supervisor_spawned_total')).toBe(2);
  });

  test('pushes, replies and requests are counted, and what is under way is shown', async () => {
    const settle: (() => void)[] = [];
    const { supervisor, value, connect } = await start({
      onFrame: () => new Promise<void>((resolve) => settle.push(resolve)),
    });
    const client = await connect();
    await until('it is tracked', () => supervisor.activeCount() === 1);
    await client.sendFrame(text('request'));
    await until('it is handled', () => supervisor.status().handling === 1);
    expect(await value('ackgate_supervisor_requests_total')).toBe(1);
    expect(await value('ackgate_supervisor_handling')).toBe(1);

    const [connection] = supervisor.connections();
    const awaiter = connection!.push(text('question'));
    expect(await value('ackgate_supervisor_pending_pushes')).toBe(1);
    const push = await client.nextFrame(20_000);
    const reply = Buffer.concat([Buffer.of(7), push.subarray(1, 9), text('answer')]);
    await client.sendFrame(reply);
    await client.sendFrame(reply);
    expect(Buffer.from(await awaiter.receive()).toString()).toBe('answer');
    await until('the second one was ignored', () => supervisor.status().repliesIgnored === 1);
    expect(await value('ackgate_supervisor_pushes_total')).toBe(1);
    expect(await value('ackgate_supervisor_replies_total')).toBe(1);
    expect(await value('ackgate_supervisor_replies_ignored_total')).toBe(1);
    expect(await value('ackgate_supervisor_pending_pushes')).toBe(0);

    connection!.subscribe('news');
    supervisor.notifyShutdown();
    expect(await value('ackgate_supervisor_notices_total')).toBe(1);
    for (const done of settle) done();
    await until('nothing is handled', () => supervisor.status().handling === 0);
    await supervisor.shutdown();
    expect(await value('ackgate_supervisor_state', 'closed')).toBe(1);
    expect(await value('ackgate_supervisor_state', 'running')).toBe(0);
  });
});

test('the admin server shows a supervisor that was made after it', async () => {
  const stage = await startStage({ backend: 'posix' });
  // Not there before `supervise` was called, as a constant further down in a program is not.
  const late: { supervisor?: Supervisor } = {};
  const admin = await startAdminServer({
    stage,
    supervisor() {
      if (late.supervisor === undefined) throw new ReferenceError('not yet');
      return late.supervisor;
    },
  });
  onTestFinished(() => admin.close());
  expect((await ask(admin.port, '/status')).body.supervisor).toBeNull();
  const early = await ask(admin.port, '/metrics');
  expect(early.status).toBe(200);
  expect(early.text).not.toContain('\nackgate_supervisor_');

  late.supervisor = supervise(createServer(), { stage, onFrame: () => {}, signals: false });
  onTestFinished(() => late.supervisor?.shutdown({ drainMs: 0 }));
  const { body } = await ask(admin.port, '/status');
  expect(body.supervisor).toEqual(late.supervisor.status());
  const { text: metrics } = await ask(admin.port, '/metrics');
  expect(metrics).toContain('\nackgate_supervisor_state{state="running"} 1\n');
  expect(metrics).toContain('\nackgate_supervisor_refused_total{reason="too-many-connections"} 0\n');
});

test('an admin server takes a supervisor as a function only', async () => {
  const stage = await startStage({ backend: 'posix' });
  onTestFinished(() => stage.close());
  const supervisor = { status: () => null } as never;
  await expect(startAdminServer({ stage, supervisor })).rejects.toMatchObject({
    code: 'ERR_ACKGATE_INVALID_ARGUMENT',
  });
});
