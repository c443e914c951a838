import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CloseHow, resultWords, SenderOp, SenderState, sendBufferBytes } from '#ackgate/egress/sender.js';
import { Bench, patternByte, type Result, type Stream } from './sender-driver.js';
import type { Peer, SenderSizes, World } from './sender-world.js';

const EBADF = -9;
const EFAULT = -14;
const EBUSY = -16;
const EINVAL = -22;
const ECANCELED = -125;
const POLLOUT = 4;

/**
 * What every sender keeps, whatever kernel it runs on. `describeSenderContract('…', () => world)` runs it all
 * through a world of real sockets or through a simulated one.
 */
export function describeSenderContract(name: string, makeWorld: () => Promise<World>): void {
  describe(name, () => {
    let world: World;
    let bench: Bench;
    let others: Peer[];
    let descriptorsBefore: number | null;

    beforeEach(async () => {
      world = await makeWorld();
      others = [];
      descriptorsBefore = world.openDescriptors();
    });

    // Every test ends with nothing held and no descriptor more than before.
    afterEach(async () => {
      expect(await bench.dispose()).toBe(0);
      await Promise.all(others.map((peer) => peer.destroy()));
      expect(world.openDescriptors()).toBe(descriptorsBefore);
      await world.close();
    });

    const start = async (connections: number, sizes?: Partial<SenderSizes>): Promise<Stream[]> => {
      bench = await Bench.create(world, connections, sizes);
      return bench.streams;
    };

    const send = (stream: Stream, length: number, offset = 0) => ({
      op: SenderOp.send,
      slot: stream.slot,
      generation: stream.generation,
      offset,
      length,
    });
    const poll = ({ slot, generation }: Stream) => ({ op: SenderOp.poll, slot, generation });

    describe('sending', () => {
      test('all of it: the result is there when the flush returns', async () => {
        const [stream] = await start(1);
        stream.goal = 1000;
        const request = stream.next()!;
        const results = bench.driver.flush(request);
        expect(results).toEqual([{ op: SenderOp.send, slot: 0, generation: 1, value: 1000 }]);
        bench.apply(results);
        stream.drain();
        expect(stream.received).toBe(1000);
      });

      test('takes bytes from anywhere in the buffer of the slot', async () => {
        const streams = await start(3);
        const { arena } = bench.driver.under;
        arena.fill(1);
        arena[sendBufferBytes * 2 - 1] = 77;
        bench.driver.flush(send(streams[1], 1, sendBufferBytes - 1));
        expect(streams[1].peer.read(10)).toEqual(Buffer.from([77]));
        expect(streams[0].peer.read(10)).toBe('nothing');
      });

      test('a peer that does not read blocks nobody else', async () => {
        const [stuck, healthy] = await start(2);
        await bench.block(stuck);
        for (let round = 1; round <= 5; round++) {
          healthy.goal = round * 5000;
          bench.step();
          expect(healthy.sent).toBe(healthy.goal);
        }
        healthy.drain();
        expect(healthy.received).toBe(25_000);
        expect(stuck.blocked).toBe(true);
      });

      test('a blocked send goes on when its peer reads, in order, nothing twice', async () => {
        const [stream] = await start(1);
        await bench.block(stream);
        const queued = stream.sent;
        expect(queued).toBeGreaterThan(0);
        stream.goal = queued + 3_000_000;
        await bench.pump(() => stream.received === stream.goal, [stream]);
        expect(stream.sent).toBe(stream.goal);
      });

      test('short sends are reported as what was taken', async () => {
        const streams = await start(4);
        // Odd sizes: the kernel's buffers don't end where a chunk does.
        streams.forEach((stream, index) => {
          stream.chunkBytes = sendBufferBytes - 1 - index * 4099;
        });
        for (const stream of streams) await bench.block(stream);
        for (const stream of streams) stream.goal = stream.sent + 500_000;
        await bench.pump(() => streams.every(({ received, goal }) => received === goal), streams);
        expect(streams.reduce((sum, { shorts }) => sum + shorts, 0)).toBeGreaterThan(0);
      });

      test('write interest is told once, when there is room', async () => {
        const [stream] = await start(1);
        await bench.block(stream);
        // A refused send has armed its poll already; a send that the kernel holds has none.
        if (!stream.polling) bench.apply(bench.driver.flush(poll(stream)));
        stream.polling = true;
        bench.driver.sender.park(5);
        bench.apply(bench.driver.reap());
        expect(stream.polling).toBe(true);

        const events: Result[] = [];
        await bench.driver.until(world, () => {
          stream.drain();
          const results = bench.driver.reap();
          events.push(...results.filter(({ op }) => op === SenderOp.poll));
          bench.apply(results);
          return events.length > 0;
        });
        expect(events[0].value & POLLOUT).toBe(POLLOUT);
        expect(bench.driver.reap().filter(({ op }) => op === SenderOp.poll)).toEqual([]);
      });

      test('a socket with room is writable at once', async () => {
        const [stream] = await start(1);
        const [result] = [...bench.driver.flush(poll(stream)), ...(await waitIfNone(stream))];
        expect(result.op).toBe(SenderOp.poll);
        expect(result.value & POLLOUT).toBe(POLLOUT);
      });

      const waitIfNone = async (stream: Stream): Promise<Result[]> =>
        bench.driver.state(SenderState.underWay) > 0 && !stream.closed ? bench.driver.wait(world, 1) : [];

      test('a client that has ended its requests still gets its answers', async () => {
        const [stream] = await start(1);
        await stream.peer.endWrites();
        stream.goal = 100_000;
        await bench.pump(() => stream.received === 100_000, [stream]);
        expect(stream.error).toBe(0);
      });

      test('more connections than ring entries are all served by one flush', async () => {
        const streams = await start(500, { ringEntries: 64 });
        for (const stream of streams) stream.goal = 300;
        bench.apply(bench.driver.flush(...streams.map((stream) => stream.next()!)));
        expect(streams.filter(({ sent }) => sent !== 300)).toEqual([]);
        for (const stream of streams) stream.drain();
        expect(streams.filter(({ received }) => received !== 300)).toEqual([]);
      });

      test('more blocked connections than the ring can answer hold up nobody else', async () => {
        const streams = await start(340, { ringEntries: 64, kernelSendBufferBytes: 1 << 18 });
        const stuck = streams.slice(0, 300);
        const healthy = streams.slice(300);
        for (const stream of stuck) stream.goal = Number.MAX_SAFE_INTEGER;
        await bench.pump(() => stuck.every(({ blocked }) => blocked));
        for (const stream of healthy) stream.goal = 50_000;
        await bench.pump(() => healthy.every(({ received }) => received === 50_000), healthy);
        // And none of the blocked ones has lost anything: all of them go on.
        for (const stream of stuck) stream.goal = stream.sent + 10_000;
        await bench.pump(() => stuck.every(({ received, goal }) => received >= goal), stuck);
      });

      test('at most one send of a slot is under way', async () => {
        const [stream] = await start(1);
        const before = bench.driver.flush(send(stream, 10), send(stream, 10));
        expect(before.map(({ value }) => value).sort((a, b) => a - b)).toEqual(
          // A sender that is done before it returns has none under way when the second comes.
          before.some(({ value }) => value === EBUSY) ? [EBUSY, 10] : [10, 10],
        );
        await bench.block(stream);
        if (stream.underWay > 0 && !stream.polling) {
          expect(bench.driver.flush(send(stream, 10))[0].value).toBe(EBUSY);
        } else {
          expect(bench.driver.flush(poll(stream))[0].value).toBe(EBUSY);
        }
      });

      test('requests outside of the slot, its buffer or its generation are refused', async () => {
        const [stream] = await start(1);
        const values = (...requests: Parameters<Bench['driver']['flush']>) =>
          bench.driver.flush(...requests).map(({ value }) => value);
        expect(values(send(stream, sendBufferBytes + 1))).toEqual([EFAULT]);
        expect(values(send(stream, 2, sendBufferBytes - 1))).toEqual([EFAULT]);
        expect(values(send(stream, 0xffff_ffff, 0xffff_ffff))).toEqual([EFAULT]);
        expect(values({ ...send(stream, 1), slot: 4_000_000 })).toEqual([EINVAL]);
        expect(values({ ...send(stream, 1), slot: 2 })).toEqual([EBADF]);
        expect(values({ ...send(stream, 1), generation: 2 })).toEqual([EBADF]);
        expect(values({ ...send(stream, 1), op: 9 })).toEqual([EINVAL]);
        expect(stream.peer.read(10)).toBe('nothing');
      });

      test('a slot is opened once', async () => {
        const [stream] = await start(1);
        const other = await world.connect();
        others.push(other);
        expect(bench.driver.sender.open(stream.slot, 2, other.fd)).toBe(EBUSY);
        const more = await world.connect();
        others.push(more);
        expect(bench.driver.sender.open(1_000_000, 2, more.fd)).toBe(EINVAL);
      });

      test('the kernel tells how much the peer has not taken', async () => {
        const [stream] = await start(1);
        expect(bench.driver.sender.queuedBytes(0)).toBe(0);
        await bench.block(stream);
        const queued = bench.driver.sender.queuedBytes(0);
        expect(queued).toBeGreaterThan(0);
        stream.drain();
        expect(bench.driver.sender.queuedBytes(0)).toBeLessThan(queued);
        expect(bench.driver.sender.queuedBytes(3)).toBe(EBADF);
      });
    });

    describe('a peer that goes away', () => {
      test('while idle: the next sends fail', async () => {
        const [stream, other] = await start(2);
        await stream.peer.reset();
        stream.goal = 100;
        await bench.pump(() => {
          stream.goal = stream.sent + 100;
          return stream.error !== 0;
        });
        expect([-32, -104]).toContain(stream.error);
        other.goal = 100;
        bench.step();
        expect(other.sent).toBe(100);
      });

      test('while blocked: the send ends with an error', async () => {
        const [stream] = await start(1);
        await bench.block(stream);
        await stream.peer.reset();
        await bench.pump(() => stream.error !== 0);
        expect([-32, -104]).toContain(stream.error);
      });
    });

    describe('closing', () => {
      test('with nothing under way: the end is a result of a later call', async () => {
        const [stream] = await start(1);
        stream.goal = 100;
        bench.step();
        bench.driver.sender.close(0, CloseHow.orderly);
        expect(bench.driver.reap()).toEqual([{ op: SenderOp.closed, slot: 0, generation: 1, value: 0 }]);
        expect(bench.driver.reap()).toEqual([]);
      });

      test('orderly: what was queued arrives, and then a clean end', async () => {
        const [stream] = await start(1);
        stream.goal = 200_000;
        await bench.pump(() => stream.sent === stream.goal);
        await bench.close(stream, CloseHow.orderly);
        expect(stream.drain()).toBe('end');
        expect(stream.received).toBe(stream.sent);
      });

      test('reset: the peer sees it at once, whatever other descriptors are open', async () => {
        const [stream] = await start(1);
        stream.peer.holdDuplicate();
        await bench.block(stream);
        await bench.close(stream, CloseHow.reset);
        const queued = stream.sent;
        expect(stream.drain()).toBe(world.hasReset ? 'reset' : 'end');
        // What the peer had not been given yet is thrown away.
        if (world.hasReset) expect(stream.received).toBeLessThan(queued);
      });

      test.each([
        ['reset', CloseHow.reset],
        ['orderly', CloseHow.orderly],
      ])('%s while blocked: the answer of what is under way, then the end', async (_, how) => {
        const [stream] = await start(1);
        await bench.block(stream);
        const results: Result[] = [];
        bench.driver.sender.close(0, how);
        await bench.driver.until(world, () => {
          results.push(...bench.driver.reap());
          return results.some(({ op }) => op === SenderOp.closed);
        });
        expect(results).toHaveLength(2);
        expect(results[0].op).not.toBe(SenderOp.closed);
        expect(results[1]).toEqual({ op: SenderOp.closed, slot: 0, generation: 1, value: 0 });
        expect(bench.driver.state(SenderState.underWay)).toBe(0);
      });

      test('twice, or a slot that is free, does nothing', async () => {
        const [stream] = await start(1);
        bench.driver.sender.close(0, CloseHow.orderly);
        bench.driver.sender.close(0, CloseHow.reset);
        bench.driver.sender.close(2, CloseHow.reset);
        bench.driver.sender.close(1_000_000, CloseHow.reset);
        expect(bench.driver.flush(send(stream, 1)).map(({ value }) => value)).toEqual([ECANCELED, 0]);
        expect(bench.driver.reap()).toEqual([]);
      });

      test('a slot is used again: no result of the one before is charged to the next', async () => {
        const [first] = await start(1);
        for (let generation = 2; generation < 12; generation++) {
          const last = bench.streams.at(-1)!;
          await bench.block(last);
          await bench.close(last, CloseHow.reset);
          const next = await bench.open(0, generation);
          expect(bench.driver.flush(send(first, 5))[0].value).toBe(EBADF);
          next.goal = 70_000;
          await bench.pump(() => next.received === 70_000, [next]);
        }
      });

      test('a descriptor number is used again: the bytes go to the right peer', async () => {
        const streams = await start(3);
        const numbers = new Map<number, number>();
        for (let round = 2; round < 12; round++) {
          const last = bench.streams.at(-1)!;
          numbers.set(last.peer.fd, (numbers.get(last.peer.fd) ?? 0) + 1);
          await bench.block(last);
          await bench.close(last, CloseHow.reset);
          await last.peer.destroy();
          const next = await bench.open(last.slot, round);
          next.goal = 30_000;
          await bench.pump(() => next.received === 30_000, [next]);
        }
        expect([...numbers.values()].some((count) => count > 1)).toBe(true);
        for (const stream of streams.slice(0, 2)) expect(stream.read()).toBe('nothing');
      });
    });

    describe('taking down', () => {
      test('with blocked sends: what other connections were sent arrives whole', async () => {
        const streams = await start(6);
        for (const stream of streams.slice(0, 3)) await bench.block(stream);
        for (const stream of streams.slice(3)) stream.goal = 40_000;
        await bench.pump(() => streams.slice(3).every(({ sent }) => sent === 40_000));
        expect(bench.driver.sender.destroy(5000)).toBe(0);
        for (const stream of streams.slice(3)) {
          expect(stream.drain()).toBe('end');
          expect(stream.received).toBe(40_000);
        }
        for (const stream of streams.slice(0, 3)) {
          expect(stream.drain()).toBe(world.hasReset ? 'reset' : 'end');
        }
      });

      test('a blocked send moves no byte after it', async () => {
        const [stream] = await start(1);
        await bench.block(stream);
        const { sent } = stream;
        expect(bench.driver.sender.destroy(5000)).toBe(0);
        bench.driver.under.arena.fill(0);
        stream.drain();
        expect(stream.received).toBeLessThanOrEqual(sent);
      });

      test('twice does nothing, and nothing works after it', async () => {
        const [stream] = await start(1);
        const { sender } = bench.driver;
        expect(sender.destroy(1000)).toBe(0);
        expect(sender.destroy(1000)).toBe(0);
        expect(bench.driver.flush(send(stream, 1))).toEqual([]);
        expect(bench.driver.reap()).toEqual([]);
        sender.close(0, CloseHow.reset);
        sender.park(0);
        const other = await world.connect();
        others.push(other);
        expect(sender.open(1, 1, other.fd)).toBeLessThan(0);
      });
    });

    describe('parking', () => {
      // A sleep that nothing ends takes 50 ms; more than half of the wakes lost would show.
      const rounds = 200;
      const asleepMs = (rounds * 50) / 2;

      test('a wake that was written before ends the sleep', async () => {
        await start(1);
        const began = world.nowMs();
        for (let round = 0; round < rounds; round++) {
          bench.driver.under.wake();
          if (round % 3 === 0) bench.driver.reap();
          bench.driver.sender.park(50);
        }
        expect(world.nowMs() - began).toBeLessThan(asleepMs);
      });

      test('the wake is cleared: the next sleep lasts', async () => {
        await start(1);
        for (let round = 0; round < 3; round++) {
          bench.driver.under.wake();
          bench.driver.sender.park(50);
          const began = world.nowMs();
          bench.driver.sender.park(20);
          expect(world.nowMs() - began).toBeGreaterThan(15);
        }
      });

      test('a result ends the sleep', async () => {
        const [stream] = await start(1);
        const began = world.nowMs();
        for (let round = 0; round < rounds; round++) {
          bench.driver.sender.requests.set([SenderOp.poll, 0, 1, 0, 0]);
          if (bench.driver.sender.flush(1) === 0) {
            bench.driver.sender.park(50);
            expect(bench.driver.reap()).toHaveLength(1);
          }
        }
        expect(world.nowMs() - began).toBeLessThan(asleepMs);
        expect(stream.blocked).toBe(false);
      });

      test('odd times are no sleep, and long ones end', async () => {
        await start(1);
        for (const time of [0, -1, Number.NaN, 1e-9]) bench.driver.sender.park(time);
        const began = world.nowMs();
        bench.driver.sender.park(1e12);
        expect(world.nowMs() - began).toBeLessThan(10_000);
      });
    });

    describe('a fence', () => {
      test('nothing is submitted any more, not even in the rounds of one flush', async () => {
        const streams = await start(200, { ringEntries: 64 });
        bench.driver.under.fence[0] = 1;
        const results = bench.driver.flush(
          ...streams.map((stream) => send(stream, 100)),
          ...streams.map((stream) => poll(stream)),
        );
        expect(results).toHaveLength(400);
        expect(results.every(({ value }) => value === ECANCELED)).toBe(true);
        expect(bench.driver.state(SenderState.unsubmitted)).toBe(0);
        for (const { peer } of streams) expect(peer.read(10)).toBe('nothing');
      });

      test('what is under way ends, and slots can be closed', async () => {
        const [blocked, idle] = await start(2);
        await bench.block(blocked);
        bench.driver.under.fence[0] = 1;
        await bench.close(blocked, CloseHow.reset);
        await bench.close(idle, CloseHow.orderly);
        expect(idle.drain()).toBe('end');
      });
    });

    describe('the result table', () => {
      test('what does not fit waits, in order, and nothing is lost', async () => {
        const streams = await start(60, { results: 7 });
        for (let round = 1; round <= 3; round++) {
          for (const stream of streams) stream.goal = round * 100;
          bench.apply(bench.driver.flush(...streams.map((stream) => stream.next()!)));
          expect(bench.driver.state(SenderState.more)).toBe(1);
          let calls = 0;
          while (bench.driver.state(SenderState.more) === 1) {
            bench.apply(bench.driver.reap());
            calls++;
          }
          expect(calls).toBeGreaterThan(60 / 7 - 2);
          await bench.pump(() => streams.every(({ sent, goal }) => sent === goal));
        }
        for (const { slot } of streams) bench.driver.sender.close(slot, CloseHow.orderly);
        await bench.driver.until(world, () => {
          bench.apply(bench.driver.reap());
          return streams.every(({ closed }) => closed);
        });
        for (const stream of streams) expect(stream.drain()).toBe('end');
      });

      test('holds four results for each slot, and 1024 at least', async () => {
        await start(4);
        expect(bench.driver.sender.results.length).toBe(1024 * resultWords);
      });
    });

    test('pages past the first are given back; the first keeps its bytes', async () => {
      const streams = await start(3);
      const { arena } = bench.driver.under;
      for (let i = 0; i < arena.length; i++) arena[i] = patternByte(1, i) | 1;
      bench.driver.sender.releasePages(streams[1].slot);
      const page = 4096;
      const own = arena.subarray(sendBufferBytes, sendBufferBytes * 2);
      expect(own.subarray(0, page).every((byte) => byte !== 0)).toBe(true);
      if (world.hasPages) expect(own.subarray(65_536 - page).every((byte) => byte === 0)).toBe(true);
      expect(arena.subarray(0, sendBufferBytes).every((byte) => byte !== 0)).toBe(true);
      expect(arena.subarray(sendBufferBytes * 2, sendBufferBytes * 3).every((byte) => byte !== 0)).toBe(true);
    });
  });
}
