import { describe, expect, onTestFinished, test } from 'vitest';
import { sendBufferBytes } from '#ackgate/egress/sender.js';
import { SilenceWatch } from '#ackgate/gate/silence-watch.js';
import type { CursorFrame } from '#ackgate/index.js';
import { createMemory, cursorsOffset, Word } from '#ackgate/shared/memory.js';
import { checkOptions } from '#ackgate/stage/options.js';
import { ResponseStage } from '#ackgate/stage/response-stage.js';
import { seatPrimary } from '#ackgate/stage/seat-primary.js';
import { StageView } from '#ackgate/stage/stage-view.js';
import { createCluster } from './support/cluster.js';
import { ScriptedSender } from './support/scripted-sender.js';
import { Rig, realBackends, until } from './support/stage.js';

const ms = 1e6;

function keptLog() {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

describe('the watch', () => {
  function create() {
    const { lines: log, logger } = keptLog();
    const cluster = createCluster('in_memory>=2');
    const { cursors, frames, names, lines } = cluster;
    cursors.primary.issued(100);
    let at = 0;
    return {
      ...cluster,
      log,
      watch: new SilenceWatch({ frames, names, logger, staleAfterNs: 1000 * ms }),
      say: (node: string, more: Partial<CursorFrame> = {}) =>
        cursors.ingest({ node, epoch: 1, inMemory: 50, persisted: 40, at: ++at, ...more }),
      line: (line: number) => ({ ...lines.read(line) }),
    };
  }

  test('takes a node out when its last frame is as old as that, not before', () => {
    const { watch, say, line, time, log } = create();
    say('r1');
    const saidNs = time.nowNs;
    expect(watch.nextDeadlineNs()).toBe(saidNs + 1000 * ms);
    expect(watch.tick(saidNs + 1000 * ms - 1)).toBe(0);
    expect(line(1)).toMatchObject({ active: true, inMemory: 50 });
    expect(watch.tick(saidNs + 1000 * ms)).toBe(1);
    expect(line(1)).toMatchObject({ active: false, inMemory: 0, persisted: 0 });
    expect(watch.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    expect(watch.tick(saidNs + 5000 * ms)).toBe(0);
    expect(watch.fellSilent).toBe(1);
    expect(log).toEqual([
      {
        level: 'warn',
        fields: { node: 'r1', silentMs: 1000 },
        message: 'node fell silent, it no longer counts',
      },
    ]);
  });

  test('counts from the last frame of each node, whatever their own clocks say', () => {
    const { watch, say, line, time } = create();
    say('r1', { at: 5 });
    say('r2', { at: 9e15 });
    time.nowNs += 600 * ms;
    say('r1', { at: 6 });
    expect(watch.nextDeadlineNs()).toBe(time.nowNs + 400 * ms);
    expect(watch.tick(time.nowNs + 400 * ms)).toBe(1);
    expect([line(1).active, line(2).active]).toEqual([true, false]);
    expect(watch.nextDeadlineNs()).toBe(time.nowNs + 1000 * ms);
  });

  test.each([
    ['a frame that is repeated', { at: 1 }],
    ['one of an older epoch', { epoch: 0 }],
    ['one that is ahead', { inMemory: 101 }],
  ])('is not put off by %s', (_, more) => {
    const { watch, say, time } = create();
    say('r1', { at: 1 });
    time.nowNs += 999 * ms;
    expect(say('r1', more)).not.toBe('taken');
    expect(watch.tick(time.nowNs + ms)).toBe(1);
  });

  test('tells that the node is back, once, and for how long it was not', () => {
    const { watch, say, line, time, log } = create();
    say('r1', { zone: 'a' });
    watch.tick(time.nowNs + 1000 * ms);
    time.nowNs += 3400 * ms;
    say('r1');
    expect(line(1)).toMatchObject({ active: true, inMemory: 50, persisted: 40 });
    watch.tick(time.nowNs);
    watch.tick(time.nowNs + 10 * ms);
    expect(log.slice(1)).toEqual([
      { level: 'info', fields: { node: 'r1', silentMs: 3400 }, message: 'node is back, it counts again' },
    ]);
    watch.tick(time.nowNs + 1000 * ms);
    expect(watch.fellSilent).toBe(2);
    expect(log).toHaveLength(3);
  });

  test('says nothing of the node that has the line of a silent one that was retired', () => {
    const { watch, say, cursors, time, log } = create();
    say('r1');
    watch.tick(time.nowNs + 1000 * ms);
    cursors.node('r1').retire();
    time.nowNs += 2000 * ms;
    say('r2');
    watch.tick(time.nowNs);
    expect(log).toHaveLength(1);
    watch.tick(time.nowNs + 1000 * ms);
    expect(log[1].fields).toEqual({ node: 'r2', silentMs: 1000 });
  });

  test('leaves nodes alone that are moved by calls, also those that were fed by frames before', () => {
    const { watch, say, cursors, time, line } = create();
    cursors.node('called').connect({ persisted: 3 });
    say('taken over');
    cursors.node('taken over').connect({ persisted: 3 });
    expect(watch.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    expect(watch.tick(time.nowNs + 1e15)).toBe(0);
    expect([line(1).active, line(2).active]).toEqual([true, true]);
  });

  test('takes a line that is locked for one that is being fed', () => {
    const { watch, say, time, memory } = create();
    say('r1');
    const words = new Int32Array(memory.buffer, cursorsOffset);
    words[32]++;
    expect(watch.tick(time.nowNs + 5000 * ms)).toBe(0);
    words[32]++;
    expect(watch.tick(time.nowNs + 5000 * ms)).toBe(1);
  });

  test('does not take out a node whose frame came between its look and its try', () => {
    const { say, frames, time, line } = create();
    say('r1');
    const { heardNs } = frames.read(1)!;
    time.nowNs += 1;
    say('r1');
    expect(frames.silence(1, frames.tenancy(1), heardNs)).toBe(false);
    expect(frames.silence(1, frames.tenancy(1) + 1, heardNs + 1)).toBe(false);
    expect(line(1).active).toBe(true);
    expect(frames.silence(1, frames.tenancy(1), heardNs + 1)).toBe(true);
  });
});

describe('a stage on a clock of its own', () => {
  function create() {
    const { lines: log, logger } = keptLog();
    const { limits, policy } = checkOptions({
      connections: 2,
      policy: 'replicated',
      heartbeatIntervalMs: 0,
      staleAfterMs: 80,
    });
    const memory = createMemory({ connections: 2, ringCapacity: 16, maxPayload: 64 });
    seatPrimary(memory, undefined);
    const arena = new Uint8Array(2 * sendBufferBytes);
    const sender = new ScriptedSender(2, arena, new Int32Array(memory.buffer, Word.fence * 4, 1));
    const time = { nowNs: 1e9 };
    const clock = () => time.nowNs;
    const rig = {
      time,
      log,
      /** How long each sleep was asked to be. */
      sleeps: [] as number[],
      view: new StageView(memory, () => {}, clock),
      stage: new ResponseStage({
        memory,
        sender,
        arena,
        clock,
        unixMs: () => 1,
        policy,
        limits,
        ringBell: () => {},
        logger,
      }),
      say: (at: number) => rig.view.cursors.ingest({ node: 'r1', epoch: 1, inMemory: 5, persisted: 5, at }),
      /** Rounds until there is nothing to do, then one whole sleep. */
      sleep() {
        while (rig.stage.doWork(time.nowNs) > 0 || rig.stage.hasWork());
        rig.stage.park();
      },
    };
    // Nothing ends a sleep but its own time.
    Object.assign(sender, {
      park(timeoutMs: number) {
        rig.sleeps.push(timeoutMs);
        time.nowNs += timeoutMs * ms;
      },
    });
    rig.view.cursors.primary.advance(9);
    return rig;
  }

  test('sleeps no longer than until its node is silent, and finds it so without any other wake', () => {
    const rig = create();
    rig.say(1);
    rig.time.nowNs += 60 * ms;
    rig.sleep();
    expect(rig.sleeps).toEqual([20]);
    expect(rig.stage.gate).toMatchObject({ connectedNodes: 2, durablePos: 5 });
    rig.sleep();
    expect(rig.stage.gate).toMatchObject({ connectedNodes: 1, durablePos: 0 });
    expect(rig.view.status()).toMatchObject({ connectedNodes: 1, policyDegraded: 1, nodeSilences: 1 });
    expect(rig.log.map(({ message }) => message)).toContain('node fell silent, it no longer counts');
  });

  test('holds what comes while its node is silent, and lets it go when frames come back', () => {
    const rig = create();
    rig.say(1);
    rig.stage.doWork(rig.time.nowNs);
    rig.time.nowNs += 100 * ms;
    // The round that finds it silent has done something, and there is more to do: the gate has to look again.
    expect(rig.stage.doWork(rig.time.nowNs)).toBe(1);
    expect(rig.stage.hasWork()).toBe(true);
    const record = { connectionId: 1, wireSeq: 3, payload: new Uint8Array(4) };
    expect(rig.view.producer.tryPublish(record)).toBe('ok');
    rig.stage.doWork(rig.time.nowNs);
    expect(rig.stage.gate.closed).toBe(true);
    rig.say(2);
    rig.stage.doWork(rig.time.nowNs);
    expect(rig.stage.gate.closed).toBe(false);
    expect(rig.stage.recordsIn).toBe(1);
  });
});

describe.each(realBackends)('a running stage, %s', (backend) => {
  test('closes its gate when the node falls silent, and opens it when frames come back', async () => {
    const { lines: log, logger } = keptLog();
    const rig = await Rig.start({ backend, policy: 'replicated', staleAfterMs: 100, logger });
    const { id, client } = await rig.attach();
    const { cursors } = rig.stage;
    cursors.primary.advance(10);
    let at = 0;
    let timer: NodeJS.Timeout | undefined;
    const start = () => {
      timer = setInterval(() => {
        cursors.ingest({ node: 'r1', epoch: 1, inMemory: 10, persisted: 0, at: ++at });
      }, 10);
    };
    const stop = () => clearInterval(timer);
    onTestFinished(stop);
    start();
    rig.publish({ id, seq: 1 });
    expect(await client.untilAnswers(1)).toEqual([1]);
    stop();
    await until('the node is out', () => !cursors.nodes()[0].connected);
    rig.publish({ id, seq: 2 });
    await rig.settled();
    await until('the gate is closed', () => rig.stage.status().gateClosed === 1);
    expect(rig.stage.status()).toMatchObject({ policyDegraded: 1, connectedNodes: 1, recordsReleased: 1 });
    expect(client.answers).toEqual([1]);
    expect(cursors.nodes()).toMatchObject([{ name: 'r1', connected: false, epoch: 1 }]);
    start();
    expect(await client.untilAnswers(2)).toEqual([1, 2]);
    expect(rig.stage.status().nodeSilences).toBeGreaterThan(0);
    const isBack = () => log.some(({ message }) => message === 'node is back, it counts again');
    await until('it is told that the node is back', isBack);
  });
});
