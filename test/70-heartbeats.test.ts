import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { lengthPrefixFraming } from '#ackgate/encode/framing.js';
import { Heartbeats } from '#ackgate/stage/heartbeats.js';
import { createEgress } from './support/egress.js';
import { bytesOf } from './support/values.js';

const ms = 1e6;
const interval = 1000 * ms;
const tick = 10 * ms;
const { heartbeat } = lengthPrefixFraming;

/** Heartbeats over connections whose kernel takes everything, unless the test says otherwise. */
function create(options: { slots?: number; intervalNs?: number } = {}) {
  const { slots = 4, intervalNs = interval } = options;
  const one = createEgress(slots);
  const heartbeats = new Heartbeats(one.egress, heartbeat, intervalNs, 0);
  one.sender.answer = ({ bytes }) => bytes.length;
  let now = 0;
  return {
    ...one,
    heartbeats,
    now: () => now,
    connect(slot = 0) {
      one.connect(slot, now);
      heartbeats.opened(slot, now);
    },
    /** Time in ticks of 10 ms; returns when heartbeats were sent. */
    pass(ns: number, each: () => void = () => {}): number[] {
      const times: number[] = [];
      for (const end = now + ns; now < end; ) {
        now += tick;
        each();
        if (heartbeats.tick(now) > 0) times.push(now);
        one.egress.flush(now);
      }
      return times;
    },
    beats: (slot = 0) => one.sender.received.get(slot)!.length / heartbeat.length,
  };
}

describe('a connection that is idle', () => {
  test('gets a heartbeat each interval, the first one within it', () => {
    const { connect, pass, sender } = create();
    connect();
    const times = pass(10 * interval);
    expect(times[0]).toBeLessThanOrEqual(interval);
    expect(times.slice(1).map((time, i) => time - times[i]!)).toEqual(times.slice(1).map(() => interval));
    expect(sender.received.get(0)).toEqual(Buffer.concat(times.map(() => heartbeat)));
  });

  test('gets none at interval 0', () => {
    const { connect, pass, heartbeats } = create({ intervalNs: 0 });
    connect();
    expect(pass(5 * interval)).toEqual([]);
    expect(heartbeats.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  test('gets none once it has ended', () => {
    const { connect, pass, heartbeats } = create();
    connect();
    heartbeats.ended(0);
    expect(pass(3 * interval)).toEqual([]);
  });
});

test('a connection that is answered within the interval gets none; the next is due an interval after the last', () => {
  const { connect, pass, egress, now, beats } = create();
  connect();
  egress.appendBytes(0, heartbeat, now());
  expect(pass(5 * interval, () => egress.appendBytes(0, heartbeat, now()))).toEqual([]);
  const before = beats();
  const quietSince = now();
  const [first] = pass(2 * interval);
  expect(first! - quietSince).toBe(interval);
  expect(beats() - before).toBe(2);
});

describe('never to a blocked peer (M18, M19)', () => {
  test.each([
    ['a send is under way', undefined],
    ['it refuses', -constants.errno.EAGAIN],
  ])('where %s', (_, answer) => {
    const { connect, pass, egress, sender, now } = create();
    connect();
    sender.answer = ({ bytes }) => (bytes.length > 0 ? answer : undefined);
    egress.appendBytes(0, bytesOf(100), now());
    const clock = egress.lastProgressNs[0];
    expect(pass(60 * interval)).toEqual([]);
    expect(egress.buffers.used[0]).toBe(100);
    expect(egress.lastProgressNs[0]).toBeLessThanOrEqual(clock! + tick);

    // Due as soon as it takes what it was sent.
    sender.answer = ({ bytes }) => bytes.length;
    sender.complete(0, sender.underWay(0)!.op === 1 ? 100 : 4);
    egress.reap(now());
    const since = now();
    const [first] = pass(interval);
    expect(first! - since).toBeLessThanOrEqual(2 * tick);
  });
});

describe('many connections', () => {
  test('that come at once are not due at once', () => {
    const slots = 4000;
    const { connect, pass, egress } = create({ slots });
    for (let slot = 0; slot < slots; slot++) connect(slot);
    let before = 0;
    let most = 0;
    pass(interval, () => {
      most = Math.max(most, egress.counters.heartbeats - before);
      before = egress.counters.heartbeats;
    });
    expect(egress.counters.heartbeats).toBe(slots);
    // Half an interval of ticks shares them.
    expect(most).toBeLessThan((2 * slots) / 50);
  });

  test('that are due at once get theirs a bounded number at a time, none is forgotten', () => {
    const slots = 2000;
    const { connect, heartbeats, egress } = create({ slots });
    for (let slot = 0; slot < slots; slot++) connect(slot);
    const counts: number[] = [];
    for (let sent = heartbeats.tick(9e9); sent > 0; sent = heartbeats.tick(9e9)) counts.push(sent);
    expect(counts).toEqual([512, 512, 512, 464]);
    expect(egress.counters.heartbeats).toBe(slots);
  });
});
