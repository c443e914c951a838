import diagnosticsChannel from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { DurabilityMode } from '#ackgate/index.js';
import { createInlineStage, monotonicNow, type Stage } from '#ackgate/index.js';
import { RingObserver } from '#ackgate/ring/consumer.js';
import { createMemory, noticeSlots } from '#ackgate/shared/memory.js';
import { channels, type FencedEvent, type ModeChangedEvent } from '#ackgate/stage/channels.js';
import { EventReader, EventWriter } from '#ackgate/stage/events.js';
import { Rig, until } from './support/stage.js';

const names = ['ackgate:dropped', 'ackgate:degraded', 'ackgate:mode', 'ackgate:fenced'] as const;
type Message = Record<string, unknown> & { stage: Stage };

/** What a message says beside the stage, which must be the one that is given: comparing stages takes long. */
function about(stage: Stage, heard: [string, Message][]): [string, object][] {
  return heard.map(([name, { stage: of, ...rest }]) => {
    expect(of === stage).toBe(true);
    return [name, rest];
  });
}

/** Everything that is published until the test ends, in order. */
function listen(): [string, Message][] {
  const heard: [string, Message][] = [];
  const subscriber = (message: unknown, name: string | symbol) =>
    void heard.push([String(name).slice('ackgate:'.length), message as Message]);
  for (const name of names) diagnosticsChannel.subscribe(name, subscriber);
  onTestFinished(() => {
    for (const name of names) diagnosticsChannel.unsubscribe(name, subscriber);
  });
  return heard;
}

describe('channels of a stage', () => {
  test('ackgate:dropped says what the event says, and whose it is', async () => {
    const heard = listen();
    const [one, other] = [await Rig.start(), await Rig.start()];
    const clients = [await one.attach(), await other.attach()];
    clients[0].client.socket.destroy();
    clients[1].client.socket.destroy();
    for (const [index, rig] of [one, other].entries()) {
      await until('the connection is dropped', () => {
        rig.publish({ id: clients[index].id, seq: 0 });
        return rig.dropped.length > 0;
      });
    }
    expect(heard).toHaveLength(2);
    for (const [index, rig] of [one, other].entries()) {
      const mine = heard.filter(([, { stage }]) => stage === rig.stage);
      expect(about(rig.stage, mine)).toEqual([['dropped', rig.dropped[0]]]);
      expect(rig.dropped[0].connectionId).toBe(clients[index].id);
    }
  });

  test('ackgate:mode and ackgate:fenced', async () => {
    const heard = listen();
    const rig = await Rig.start({ policy: 'in_memory>=1', epoch: 4 });
    rig.stage.setMode('local');
    rig.stage.setMode('persisted>=1 && in_memory>=1');
    await until('both changes are told', () => heard.length === 2);
    await rig.stage.fence(9);
    expect(about(rig.stage, heard)).toEqual([
      ['mode', { from: 'custom', fromPolicy: 'in_memory>=1', to: 'local', toPolicy: 'persisted>=1' }],
      [
        'mode',
        {
          from: 'local',
          fromPolicy: 'persisted>=1',
          to: 'custom',
          toPolicy: 'persisted>=1 && in_memory>=1',
        },
      ],
      ['fenced', { epoch: 4, newEpoch: 9 }],
    ]);
  });

  test('ackgate:degraded follows the log, not every flip', () => {
    const heard = listen();
    const startNs = monotonicNow();
    const stage = createInlineStage({ connections: 16, heartbeatIntervalMs: 0, policy: 'in_memory>=2' });
    onTestFinished(async () => {
      const closed = stage.close({ drainMs: 0 });
      at(20_000);
      await closed;
    });
    const at = (ms: number) => stage.doWork(startNs + 60e9 + ms * 1e6);
    const states = () => heard.splice(0).map(([name, message]) => [name, message.degraded]);
    const replica = stage.cursors.node('replica');
    at(0);
    expect(about(stage, heard)).toEqual([
      [
        'degraded',
        {
          degraded: true,
          policy: 'in_memory>=2',
          mode: 'custom',
          connectedNodes: 1,
          neededNodes: 2,
          clause: 'in_memory>=2',
        },
      ],
    ]);
    heard.length = 0;
    replica.connect({ persisted: 0 });
    at(10);
    at(900);
    expect(states()).toEqual([]);
    replica.disconnect();
    at(950);
    at(3000);
    at(9000); // a reminder is no transition
    expect(states()).toEqual([]);
    replica.connect({ persisted: 0 });
    at(10_000);
    at(11_100);
    expect(states()).toEqual([['degraded', false]]);
    replica.disconnect();
    at(12_000);
    at(13_100);
    expect(states()).toEqual([['degraded', true]]);
    // A change of mode is deliberate: at once, and told first.
    stage.setMode('local');
    at(13_200);
    expect(states()).toEqual([
      ['mode', undefined],
      ['degraded', false],
    ]);
  });

  test('carry nothing, and look at nothing, when nobody has subscribed', () => {
    const ownKeys = vi.fn((target: FencedEvent) => Reflect.ownKeys(target));
    const event = new Proxy<FencedEvent>({ epoch: 1, newEpoch: 2 }, { ownKeys });
    channels.fenced.publish({} as Stage, event);
    expect(ownKeys).not.toHaveBeenCalled();
    const heard = listen();
    channels.fenced.publish({} as Stage, event);
    expect(ownKeys).toHaveBeenCalled();
    expect(heard).toEqual([['fenced', { stage: {}, epoch: 1, newEpoch: 2 }]]);
  });

  test('are published as Node does it where subscribers can not be found', () => {
    const heard: unknown[] = [];
    const channel = diagnosticsChannel.channel('ackgate:fenced') as unknown as { _subscribers: unknown };
    listen();
    const kept = channel._subscribers;
    onTestFinished(() => {
      channel._subscribers = kept;
    });
    channel._subscribers = { length: 1, 0: (message: unknown) => heard.push(message) };
    channels.fenced.publish({} as Stage, { epoch: 1, newEpoch: 2 });
    expect(heard).toEqual([{ stage: {}, epoch: 1, newEpoch: 2 }]);
  });
});

describe('changes are told however much there is to tell', () => {
  const connections = 1000;

  function create() {
    const memory = createMemory({ connections, ringCapacity: 16, maxPayload: 64 });
    const observer = new RingObserver(memory.events);
    const writer = new EventWriter(
      memory,
      () => observer.consumed(),
      () => {},
    );
    const reader = new EventReader(memory);
    const taken: [string, ...unknown[]][] = [];
    const note =
      (what: string) =>
      (...args: unknown[]) =>
        void taken.push([what, ...args]);
    const line = note('log');
    const handlers = {
      dropped: note('dropped'),
      closed: note('closed'),
      fenced: note('fenced'),
      fatal: note('fatal'),
      mode: note('mode'),
      degraded: note('degraded'),
      logger: { debug: line, info: line, warn: line, error: line },
    };
    return {
      writer,
      drain() {
        reader.drain(handlers);
        return taken.splice(0);
      },
    };
  }

  const policy = (n: number) => `persisted>=${n}`;
  const modeChange = (n: number): ModeChangedEvent => ({
    from: 'custom',
    fromPolicy: policy(n),
    to: 'custom' satisfies DurabilityMode | 'custom',
    toPolicy: policy(n + 1),
  });
  const degradedChange = (n: number) => ({
    degraded: n % 2 === 1,
    policy: policy(n),
    mode: 'custom' as const,
    connectedNodes: 1,
    neededNodes: 2,
    clause: null,
  });

  test('in order with everything else', () => {
    const { writer, drain } = create();
    writer.logger.info({ n: 1 }, 'before');
    writer.mode(modeChange(1));
    writer.degraded(degradedChange(1));
    writer.fenced();
    expect(drain()).toEqual([
      ['log', { n: 1 }, 'before'],
      ['mode', modeChange(1)],
      ['degraded', degradedChange(1)],
      ['fenced'],
    ]);
  });

  test('a flood becomes one that tells the last state, and goes on from what was told', () => {
    const { writer, drain } = create();
    const rounds = 5000;
    for (let n = 0; n < rounds; n++) {
      writer.logger.error({ n }, 'flood');
      writer.mode(modeChange(n));
      writer.degraded(degradedChange(n));
    }
    const first = drain();
    expect(first.length).toBeLessThanOrEqual(noticeSlots);
    writer.changes();
    const all = [...first, ...drain()];
    const modes = all.filter(([what]) => what === 'mode').map(([, change]) => change as ModeChangedEvent);
    expect(modes.length).toBeLessThan(rounds / 2);
    for (let i = 1; i < modes.length; i++) expect(modes[i].fromPolicy).toBe(modes[i - 1].toPolicy);
    expect(modes.at(-1)!.toPolicy).toBe(policy(rounds));
    const states = all.filter(([what]) => what === 'degraded').map(([, change]) => change);
    expect(states.at(-1)).toEqual(degradedChange(rounds - 1));
    // And nothing is left.
    writer.changes(true);
    expect(drain()).toEqual([]);
  });

  test('the ring holds all that can come while nobody reads, and the last word', () => {
    const { writer, drain } = create();
    for (let n = 0; n < 2 * noticeSlots; n++) {
      writer.logger.error({ n }, 'flood');
      writer.mode(modeChange(n));
      writer.degraded(degradedChange(n));
    }
    for (let slot = 0; slot < connections; slot++) writer.ended(slot, slot, 1, 0, 0);
    writer.mode(modeChange(-1));
    writer.degraded(degradedChange(-1));
    writer.fenced();
    writer.fatal(new Error('last'));
    writer.changes(true);
    const taken = drain();
    expect(taken.filter(([what]) => what === 'dropped')).toHaveLength(connections);
    expect(taken.slice(-4).map(([what]) => what)).toEqual(['fenced', 'fatal', 'mode', 'degraded']);
    expect(taken.at(-2)).toEqual(['mode', expect.objectContaining({ toPolicy: policy(0) })]);
    expect(taken.at(-1)).toEqual(['degraded', degradedChange(-1)]);
  });

  test('the last state is told when the thread comes back, without anything else happening', async () => {
    const heard = listen();
    const rig = await Rig.start();
    const policies = ['in_memory>=1', 'in_memory>=2'];
    // All of it in one turn: this thread takes no events, while the stage takes every change.
    const deadline = performance.now() + 20_000;
    const spin = (what: string, done: () => boolean) => {
      while (!done()) if (performance.now() > deadline) throw new Error(`spun in vain until ${what}`);
    };
    const set = (to: string) => () => {
      try {
        rig.stage.setMode(to);
        return true;
      } catch (error) {
        if ((error as { code: string }).code !== 'ERR_ACKGATE_CONTROL_FULL') throw error;
        return false;
      }
    };
    for (let n = 0; n < 3000; n++) spin('there is room for a change', set(policies[n % 2]));
    spin('there is room for the last one', set('local'));
    spin('the last one is in force', () => rig.stage.status().policy === 'persisted>=1');
    expect(heard.length).toBe(0);
    await until('the last mode is told', () => {
      const last = heard.filter(([name]) => name === 'mode').at(-1);
      return last?.[1].toPolicy === 'persisted>=1';
    });
    await until('the last state is told', () => {
      const last = heard.filter(([name]) => name === 'degraded').at(-1);
      return last?.[1].degraded === false;
    });
    expect(rig.stage.status().policyDegraded).toBe(0);
    expect(heard.length).toBeLessThan(3000);
  });
});
