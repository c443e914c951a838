import { describe, expect, test } from 'vitest';
import { SimulatedSocket } from '#ackgate/sim/kernel/socket.js';
import { Random } from '#ackgate/sim/random.js';
import { Timeline } from '#ackgate/sim/timeline.js';

const EAGAIN = -11;
const bytes = new Uint8Array(1 << 20);

function make(capacity = 60_000, startNs = 1e9) {
  const timeline = new Timeline(startNs);
  const socket = new SimulatedSocket(timeline, 3, capacity, () => {});
  const fill = () => {
    while (socket.send(bytes, 0, bytes.length) > 0);
  };
  return { timeline, socket, fill };
}

describe('a peer that reads at a rate', () => {
  test.each([1, 3, 17, 20, 999, 20_000, 333_333.3, 1e6, 1e9, 1e10 / 3])(
    'has read its rate times the time, however often one looks: %d bytes a second',
    (rate) => {
      for (let seed = 1; seed <= 20; seed++) {
        const random = new Random(seed);
        const { timeline, socket } = make(1 << 20, random.below(1e9) * 1e3);
        socket.send(bytes, 0, bytes.length);
        socket.bytesPerSecond = rate;
        const startNs = timeline.nowNs;
        const spanNs = (bytes.length / rate) * 1e9 * 0.9;
        const looks = random.between(1, 3000);
        for (let look = 0; look < looks; look++) {
          timeline.spend(Math.floor((spanNs / looks) * 2 * random.fraction()));
          socket.settle();
          const expected = Math.min(bytes.length, ((timeline.nowNs - startNs) * rate) / 1e9);
          expect(Math.abs(bytes.length - socket.queued - expected)).toBeLessThan(1);
        }
      }
    },
  );

  test('loses no part of a byte when its rate changes', () => {
    const random = new Random(7);
    const { timeline, socket } = make(1 << 20);
    socket.send(bytes, 0, bytes.length);
    let expected = 0;
    for (let turn = 0; turn < 2000; turn++) {
      const rate = random.chance(0.2) ? 0 : random.magnitude(1, 100_000);
      socket.bytesPerSecond = rate;
      const ns = random.magnitude(1, 3e6);
      timeline.spend(ns);
      expected += (rate * ns) / 1e9;
      socket.settle();
      expect(Math.abs(bytes.length - socket.queued - expected)).toBeLessThan(1.001);
    }
    expect(expected).toBeGreaterThan(1000);
    expect(expected).toBeLessThan(bytes.length);
  });

  test('the same schedule leaves the same bytes, whether anybody looked in between or not', () => {
    const { timeline, socket } = make();
    const other = new SimulatedSocket(timeline, 4, socket.capacity, () => {});
    for (const each of [socket, other]) {
      each.send(bytes, 0, 50_000);
      each.bytesPerSecond = 12_345;
    }
    for (let look = 0; look < 10_000; look++) {
      timeline.spend(77_777);
      socket.settle();
    }
    other.settle();
    expect(socket.queued).toBe(other.queued);
  });

  test('stops, goes on, and has saved up nothing meanwhile', () => {
    const { timeline, socket } = make();
    socket.bytesPerSecond = 1000;
    timeline.spend(5e9);
    socket.send(bytes, 0, 10_000);
    timeline.spend(1e9);
    socket.bytesPerSecond = 0;
    expect(socket.queued).toBe(9000);
    timeline.spend(5e9);
    socket.settle();
    expect(socket.queued).toBe(9000);
    expect(socket.reads).toBe(false);
    socket.bytesPerSecond = 2000;
    timeline.spend(1e9);
    socket.settle();
    expect(socket.queued).toBe(7000);
  });

  test('takes some at once besides', () => {
    const { timeline, socket } = make();
    socket.send(bytes, 0, 10_000);
    expect(socket.take(300)).toBe(300);
    socket.bytesPerSecond = 1000;
    timeline.spend(0.5e9);
    expect(socket.take(200)).toBe(200);
    expect(socket.queued).toBe(9000);
    timeline.spend(0.5e9);
    expect(socket.take(1e6)).toBe(8500);
    expect(socket.take(1)).toBe(0);
  });

  test('tells when it was last seen to take something', () => {
    const { timeline, socket } = make();
    timeline.spend(100);
    socket.send(bytes, 0, 10);
    expect(socket.takenNs).toBe(timeline.nowNs);
    socket.bytesPerSecond = 1;
    timeline.spend(0.9e9);
    socket.settle();
    expect(socket.takenNs).toBe(1e9 + 100);
    timeline.spend(0.2e9);
    socket.settle();
    expect(socket.takenNs).toBe(timeline.nowNs);
  });
});

describe('a full socket', () => {
  test('takes what there is room for, and tells of room only once a third is free', () => {
    const { socket, fill } = make();
    expect(socket.send(bytes, 0, 59_999)).toBe(59_999);
    expect(socket.send(bytes, 0, 10)).toBe(1);
    expect(socket.send(bytes, 0, 10)).toBe(EAGAIN);
    socket.take(19_999);
    expect(socket.writable).toBe(false);
    socket.take(1);
    expect(socket.writable).toBe(true);
    fill();
    socket.take(5);
    expect(socket.writable).toBe(false);
    expect(socket.send(bytes, 0, 10)).toBe(5);
  });

  test.each([1, 7, 19.5, 1234, 1e6, 3e9])('calls back once, at the right time: %d bytes a second', (rate) => {
    const { timeline, socket, fill } = make();
    fill();
    const startNs = timeline.nowNs;
    socket.bytesPerSecond = rate;
    const calls: number[] = [];
    socket.whenWritable(() => {
      expect(socket.writable).toBe(true);
      calls.push(timeline.nowNs - startNs);
    });
    const dueNs = (20_000 / rate) * 1e9;
    // Looks in between change nothing.
    for (let look = 0; look < 100; look++) {
      timeline.spend(Math.floor(dueNs / 150));
      socket.settle();
    }
    expect(calls).toEqual([]);
    timeline.spend(2 * dueNs);
    expect(calls).toHaveLength(1);
    // Within a thousandth of a byte's time, or the clock's step.
    expect(Math.abs(calls[0] - dueNs)).toBeLessThan(1e9 / rate / 1000 + 2);
    timeline.spend(10 * dueNs);
    expect(calls).toHaveLength(1);
  });

  test('calls back later when the peer slows down, sooner when it speeds up, and never while it stands', () => {
    const { timeline, socket, fill } = make();
    fill();
    const calls: number[] = [];
    socket.bytesPerSecond = 20_000;
    socket.whenWritable(() => calls.push(timeline.nowNs));
    timeline.spend(0.5e9);
    socket.bytesPerSecond = 0;
    timeline.spend(100e9);
    expect(calls).toEqual([]);
    socket.bytesPerSecond = 10_000;
    timeline.spend(0.9e9);
    expect(calls).toEqual([]);
    socket.bytesPerSecond = 1e9;
    timeline.spend(0.1e9);
    expect(calls).toHaveLength(1);
    expect(calls[0] - 1e9 - 101.4e9).toBeCloseTo(1000, -1);
  });

  test('calls back from outside: never from inside of what made the room', () => {
    for (const change of ['take', 'fail', 'end', 'rate', 'watch'] as const) {
      const { timeline, socket, fill } = make();
      if (change !== 'watch') fill();
      let calls = 0;
      socket.whenWritable(() => calls++);
      if (change === 'take') socket.take(40_000);
      if (change === 'fail') socket.fail(104);
      if (change === 'end') socket.endWrites();
      if (change === 'rate') socket.bytesPerSecond = 1e12;
      expect(calls).toBe(0);
      timeline.spend(1e9);
      expect([change, calls]).toEqual([change, 1]);
    }
  });

  test('a watch that was taken back is not heard, one that was set again is', () => {
    const { timeline, socket, fill } = make();
    fill();
    let first = 0;
    let second = 0;
    socket.whenWritable(() => first++);
    socket.take(40_000);
    socket.unwatch();
    socket.whenWritable(() => second++);
    timeline.spend(10);
    expect([first, second]).toEqual([0, 1]);
  });

  test('a watch waits on when the room is gone again before it is heard', () => {
    const { timeline, socket, fill } = make();
    fill();
    let calls = 0;
    socket.whenWritable(() => calls++);
    socket.take(40_000);
    fill();
    timeline.spend(10);
    expect(calls).toBe(0);
    socket.take(40_000);
    timeline.spend(10);
    expect(calls).toBe(1);
  });
});

describe('a peer that has gone', () => {
  test.each([104, 110, 107])('its error %d is told once, and a broken pipe from then on', (errno) => {
    const { socket, fill } = make();
    fill();
    expect(socket.failed).toBe(false);
    socket.fail(errno);
    expect(socket.failed).toBe(true);
    expect(socket.writable).toBe(true);
    expect(socket.pollEvents).toBe(4 | 8 | 16);
    expect([1, 1, 0].map((length) => socket.send(bytes, 0, length))).toEqual([-errno, -32, -32]);
    expect(socket.pollEvents).toBe(4 | 16);
  });

  test('what was accepted came in order, all of it', () => {
    const got: number[] = [];
    const timeline = new Timeline();
    const socket = new SimulatedSocket(timeline, 3, 100, (from, at, length) => {
      for (let i = at; i < at + length; i++) got.push(from[i]);
    });
    const random = new Random(3);
    const stream = Uint8Array.from({ length: 5000 }, () => random.below(256));
    socket.bytesPerSecond = 1e6;
    for (let at = 0; at < stream.length; ) {
      const count = socket.send(stream, at, Math.min(random.between(1, 90), stream.length - at));
      if (count > 0) at += count;
      else timeline.spend(random.magnitude(1, 1e5));
    }
    expect(got).toEqual([...stream]);
    expect(socket.accepted).toBe(stream.length);
  });
});
