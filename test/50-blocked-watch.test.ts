import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { BlockedWatch } from '#ackgate/egress/blocked-watch.js';
import { Drop } from '#ackgate/egress/counters.js';
import { SenderOp } from '#ackgate/egress/sender.js';
import { createEgress } from './support/egress.js';
import { bytesOf } from './support/values.js';

const { EAGAIN } = constants.errno;
const ms = 1e6;
const second = 1e9;
const tick = 10 * ms;

/** A watch over one connection whose kernel the test plays; the clock starts at one second. */
function create(limits: { timeout?: number; total?: number } = {}) {
  const one = createEgress();
  const { timeout = 5 * second, total = 0 } = limits;
  const watch = new BlockedWatch(one.egress, { blockedTimeoutNs: timeout, blockedTotalNs: total }, tick);
  let now = second;
  watch.tick(now);
  const { egress, sender } = one;
  return {
    ...one,
    watch,
    now: () => now,
    connect(slot = 0) {
      watch.opened(slot);
      one.connect(slot, now);
    },
    /** Appends, and hands over. */
    send(bytes = 100, slot = 0) {
      egress.appendBytes(slot, bytesOf(bytes), now);
      egress.flush(now);
    },
    answer(value: number, slot = 0) {
      sender.complete(slot, value);
      egress.reap(now);
    },
    /** Lets time pass, with a tick each 10 ms; `each` does what a round of the stage would. */
    pass(ns: number, each: () => void = () => egress.flush(now)) {
      for (const end = now + ns; now < end; ) {
        now = Math.min(end, now + tick);
        each();
        watch.tick(now);
      }
    },
    /** Time without a tick. */
    wait(ns: number) {
      now += ns;
    },
    /** One tick only, however late. */
    sleep(ns: number) {
      now += ns;
      watch.tick(now);
    },
    dropped: () => egress.counters.drops[Drop.blocked] === 1,
  };
}

describe('a peer is blocked', () => {
  test('when a send to it has been under way for a whole tick', () => {
    const { connect, send, wait, pass, watch, answer } = create();
    connect();
    expect(watch.isBlocked(0)).toBe(false);
    pass(5 * tick);
    expect(watch.blockedNow).toBe(0);
    wait(1);
    send();
    pass(tick - 1);
    expect(watch.isBlocked(0)).toBe(false);
    pass(tick);
    expect(watch.isBlocked(0)).toBe(true);
    expect(watch.blockedNow).toBe(1);
    answer(100);
    expect(watch.isBlocked(0)).toBe(false);
    pass(tick);
    expect(watch.blockedNow).toBe(0);
  });

  test('not when it was given bytes a moment ago, after however long a rest', () => {
    const { connect, send, wait, pass, watch, dropped } = create();
    connect();
    pass(60 * second);
    wait(1);
    send();
    pass(tick - 1);
    expect(watch.isBlocked(0)).toBe(false);
    pass(4.9 * second);
    expect(dropped()).toBe(false);
  });
});

describe('the timeout', () => {
  test('counts from the bytes that the peer was given', () => {
    const { connect, send, pass, sleep, dropped, sender, watch } = create();
    connect();
    send();
    pass(5 * second - tick);
    expect(dropped()).toBe(false);
    expect(watch.blockedNow).toBe(1);
    sleep(tick);
    expect(dropped()).toBe(true);
    expect(watch.blockedNow).toBe(0);
    expect(sender.closes).toHaveLength(1);
    pass(second);
    expect(sender.closes).toHaveLength(1);
  });

  test('counts from the last progress, not from the first refusal (M17)', () => {
    const { connect, send, pass, answer, egress, now, dropped } = create();
    connect();
    send(1000);
    answer(-EAGAIN);
    pass(4 * second);
    answer(4);
    egress.flush(now());
    answer(1);
    pass(4.9 * second);
    expect(dropped()).toBe(false);
    pass(0.2 * second);
    expect(dropped()).toBe(true);
  });

  test('is not moved by results of 0, by refusals, by polls or by new bytes (M15)', () => {
    const { connect, send, pass, sender, egress, now, dropped } = create();
    connect();
    send();
    const start = now();
    let turn = 0;
    pass(4.9 * second, () => {
      const under = sender.underWay(0);
      if (under !== undefined)
        sender.complete(0, under.op === SenderOp.poll ? 4 : turn++ % 2 === 0 ? 0 : -EAGAIN);
      egress.appendBytes(0, bytesOf(1), now());
      egress.reap(now());
      egress.flush(now());
    });
    expect(turn).toBeGreaterThan(100);
    expect(dropped()).toBe(false);
    pass(0.11 * second);
    expect(dropped()).toBe(true);
    expect(now() - start).toBeLessThan(5.1 * second);
  });

  test('also finds a peer whose kernel says writable and then takes nothing, within every round', () => {
    const { connect, send, pass, sender, dropped } = create();
    connect();
    sender.answer = ({ op }) => (op === SenderOp.poll ? 4 : -EAGAIN);
    send();
    pass(5.1 * second);
    expect(dropped()).toBe(true);
  });

  test('lets a peer live that takes a little now and then', () => {
    const { connect, send, pass, answer, dropped } = create();
    connect();
    send(1000);
    for (let i = 0; i < 20; i++) {
      pass(4.5 * second);
      answer(10);
      pass(tick);
    }
    expect(dropped()).toBe(false);
  });
});

describe('before a drop the kernel is asked', () => {
  test('a queue that has become shorter is progress, as often as it does', () => {
    const { connect, send, pass, sender, dropped } = create();
    connect();
    sender.queued.set(0, 3_000_000);
    send();
    for (let queue = 2_900_000; queue > 2_000_000; queue -= 100_000) {
      pass(4 * second);
      sender.queued.set(0, queue);
      pass(second);
      expect(dropped()).toBe(false);
    }
    pass(20.1 * second);
    expect(dropped()).toBe(true);
  });

  test('what was taken excuses a silence: 5 KB a second, for four timeouts at most', () => {
    for (const { taken, patience } of [
      { taken: 1, patience: 5 },
      { taken: 50_000, patience: 10 },
      { taken: 2_000_000, patience: 20 },
    ]) {
      const { connect, send, pass, sender, dropped } = create();
      connect();
      sender.queued.set(0, 3_000_000);
      send();
      pass(4 * second);
      sender.queued.set(0, 3_000_000 - taken);
      pass(1.1 * second);
      pass((patience - 0.2) * second);
      expect(dropped()).toBe(false);
      pass(0.2 * second);
      expect(dropped()).toBe(true);
    }
  });

  test('a slow peer that was writable for a moment is as slow as before', () => {
    const { connect, send, pass, answer, sender, dropped } = create();
    connect();
    sender.queued.set(0, 3_000_000);
    send(60_000);
    pass(4 * second);
    sender.queued.set(0, 2_950_000);
    pass(2 * second);
    answer(10_000);
    pass(9 * second);
    expect(dropped()).toBe(false);
    pass(2 * second);
    expect(dropped()).toBe(true);
  });

  test.each([
    ['stayed as long', 1000],
    ['grew', 1001],
    ['can’t be asked', -25],
  ])('a queue that %s is none', (_, queue) => {
    const { connect, send, pass, sender, dropped } = create();
    connect();
    sender.queued.set(0, 1000);
    send();
    pass(4 * second);
    sender.queued.set(0, queue);
    pass(1.1 * second);
    expect(dropped()).toBe(true);
  });
});

describe('a tick that comes late', () => {
  test('judges nobody: we slept, not the peers', () => {
    const { connect, send, pass, sleep, dropped, watch } = create();
    connect();
    send();
    pass(2 * second);
    sleep(3600 * second);
    expect(dropped()).toBe(false);
    expect(watch.isBlocked(0)).toBe(true);
    pass(2.9 * second);
    expect(dropped()).toBe(false);
    pass(0.2 * second);
    expect(dropped()).toBe(true);
  });

  test('forgives nothing to a send that begins after it', () => {
    const { connect, sleep, egress, now, watch, dropped, pass } = create();
    connect();
    egress.appendBytes(0, bytesOf(100), now());
    // The stage's round: the flush first, its time is already that of the late tick.
    egress.flush(now() + 3600 * second);
    sleep(3600 * second);
    expect(egress.lastProgressNs[0]).toBeLessThanOrEqual(now());
    pass(5.1 * second);
    expect(watch.isBlocked(0)).toBe(false);
    expect(dropped()).toBe(true);
  });

  test('ticks that are a little late judge as ever', () => {
    const { connect, send, sleep, dropped } = create();
    connect();
    send();
    for (let i = 0; i < 51; i++) sleep(100 * ms);
    expect(dropped()).toBe(true);
  });
});

describe('the limit in total', () => {
  /** Blocked for a second, then a trickle, again and again. */
  function trickle(total: number) {
    const one = create({ total });
    one.connect();
    one.send(1000);
    let seconds = 0;
    for (; seconds < 100 && !one.dropped(); seconds++) {
      one.pass(second);
      if (!one.dropped()) one.answer(1);
    }
    return { ...one, seconds };
  }

  test('drops a peer that trickles for longer', () => {
    const { seconds, dropped } = trickle(10 * second);
    expect(dropped()).toBe(true);
    expect(seconds).toBeGreaterThanOrEqual(10);
    expect(seconds).toBeLessThanOrEqual(11);
  });

  test('is off at 0', () => {
    expect(trickle(0).dropped()).toBe(false);
  });

  test('does not follow the slot to its next connection', () => {
    const { egress, connect, send, pass, answer, sender, now, letGo } = create({ total: 2 * second });
    connect();
    send(1000);
    pass(1.5 * second);
    answer(1000);
    egress.disconnect(0);
    letGo(0, now());
    connect();
    send(1000);
    pass(1.5 * second);
    expect(sender.closes).toHaveLength(1);
    pass(second);
    expect(sender.closes).toHaveLength(2);
  });
});

test('several connections are judged each by its own clock', () => {
  const { egress, connect, send, pass, sender, watch } = create();
  for (let slot = 0; slot < 4; slot++) {
    connect(slot);
    send(100, slot);
    pass(second);
  }
  expect(watch.blockedNow).toBe(4);
  const closed = () => sender.closes.map(({ slot }) => slot);
  pass(1.05 * second);
  expect(closed()).toEqual([0]);
  pass(second);
  expect(closed()).toEqual([0, 1]);
  pass(2 * second);
  expect(closed()).toEqual([0, 1, 2, 3]);
  pass(tick);
  expect(watch.blockedNow).toBe(0);
  expect(egress.owing.size).toBe(0);
});
