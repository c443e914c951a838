import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { SlotState } from '#ackgate/egress/connection-table.js';
import { Drop } from '#ackgate/egress/counters.js';
import { endedOrderly } from '#ackgate/egress/egress.js';
import { CloseHow, SenderOp, SenderState, sendBufferBytes } from '#ackgate/egress/sender.js';
import { Bytes } from '#ackgate/shared/bytes.js';
import { createEgress } from './support/egress.js';
import { bytesOf, codeOf } from './support/values.js';

const { EAGAIN, EBADF, EBUSY, ECANCELED, ECONNRESET, EINTR, EIO, ENOTCONN, EPIPE, ETIMEDOUT } =
  constants.errno;

/** One connection with bytes handed to the kernel, which has not answered. */
function sending(bytes = bytesOf(1000)) {
  const one = createEgress();
  one.connect();
  one.egress.appendBytes(0, bytes, 10);
  one.egress.flush(20);
  return one;
}

describe('what an answer of the kernel means', () => {
  test('all of it: the buffer starts over, nothing more is sent', () => {
    const { egress, sender, delivered } = sending();
    expect(egress.isClear(0)).toBe(false);
    expect(egress.drained).toBe(false);
    sender.complete(0, 1000);
    expect(egress.reap(30)).toBe(1);
    expect(egress.buffers.start[0]).toBe(0);
    expect(egress.buffers.used[0]).toBe(0);
    expect(egress.lastProgressNs[0]).toBe(30);
    expect(delivered).toEqual([0]);
    expect(egress.isClear(0)).toBe(true);
    expect(egress.drained).toBe(true);
    expect(egress.pending).toBe(false);
    expect(egress.flush(40)).toBe(0);
    expect(sender.flushes).toBe(1);
    expect(egress.counters).toMatchObject({ bytesSent: 1000, sends: 1, shortSends: 0 });
  });

  test('part of it: the rest goes out next, in order, nothing twice (M16)', () => {
    const { egress, sender } = sending();
    const parts = [1, 399, 250, 350];
    parts.forEach((part, index) => {
      sender.complete(0, part);
      egress.reap(100 + index);
      expect(egress.lastProgressNs[0]).toBe(100 + index);
      egress.flush(100 + index);
    });
    expect(sender.received.get(0)).toEqual(Buffer.from(bytesOf(1000)));
    expect(sender.submitted.map(({ bytes }) => bytes.length)).toEqual([1000, 999, 600, 350]);
    expect(egress.counters).toMatchObject({ bytesSent: 1000, shortSends: 3 });
    expect(egress.sentTotal[0]).toBe(1000);
  });

  test('what was appended behind a short send follows it', () => {
    const { egress, sender } = sending();
    egress.appendBytes(0, bytesOf(500, 1), 25);
    egress.flush(26);
    expect(sender.submitted).toHaveLength(1);
    sender.complete(0, 600);
    egress.reap(30);
    sender.answer = ({ bytes }) => bytes.length;
    egress.flush(31);
    expect(sender.received.get(0)).toEqual(Buffer.concat([bytesOf(1000), bytesOf(500, 1)]));
  });

  test.each([
    ['nothing (0)', 0],
    ['EAGAIN', -EAGAIN],
  ])('%s: no progress, one poll, and the clock runs on (M15)', (_, value) => {
    const { egress, sender, delivered } = sending();
    sender.complete(0, value);
    egress.reap(30);
    expect(egress.lastProgressNs[0]).toBe(20);
    expect(delivered).toEqual([]);
    expect(egress.isClear(0)).toBe(false);
    for (let nowNs = 31; nowNs < 36; nowNs++) {
      egress.appendBytes(0, bytesOf(10), nowNs);
      egress.flush(nowNs);
    }
    expect(sender.submitted.map(({ op }) => op)).toEqual([SenderOp.send, SenderOp.poll]);

    // The kernel says writable, and then takes nothing after all: still no progress, and one more poll.
    sender.complete(0, 4);
    egress.reap(50);
    expect(egress.lastProgressNs[0]).toBe(20);
    sender.answer = ({ op }) => (op === SenderOp.send ? value : undefined);
    egress.flush(60);
    egress.flush(61);
    expect(sender.submitted.map(({ op }) => op)).toEqual([
      SenderOp.send,
      SenderOp.poll,
      SenderOp.send,
      SenderOp.poll,
    ]);
    expect(egress.lastProgressNs[0]).toBe(20);

    sender.answer = ({ bytes }) => bytes.length;
    sender.complete(0, 4);
    egress.reap(70);
    egress.flush(80);
    expect(egress.lastProgressNs[0]).toBe(80);
    expect(sender.received.get(0)!.subarray(0, 1000)).toEqual(Buffer.from(bytesOf(1000)));
    expect(sender.received.get(0)).toHaveLength(1050);
    expect(egress.counters.blockedSends).toBe(2);
  });

  test('a poll that fails leads to a send, whose error tells', () => {
    const { egress, sender } = sending();
    sender.complete(0, -EAGAIN);
    egress.reap(30);
    egress.flush(31);
    sender.complete(0, -EBADF);
    egress.reap(32);
    sender.answer = () => -EBADF;
    egress.flush(33);
    expect(egress.counters.drops[Drop.sendError]).toBe(1);
  });

  test('EINTR: the same bytes once more, at the next flush (M13)', () => {
    const { egress, sender, delivered } = sending();
    sender.complete(0, -EINTR);
    egress.reap(30);
    expect(delivered).toEqual([]);
    expect(sender.submitted).toHaveLength(1);
    sender.answer = ({ bytes }) => bytes.length;
    egress.flush(31);
    expect(sender.submitted[1]!.bytes).toEqual(sender.submitted[0]!.bytes);
    expect(sender.received.get(0)).toEqual(Buffer.from(bytesOf(1000)));
  });

  test('ECANCELED: no drop of its own, the bytes stay where they are', () => {
    const { egress, sender, fence, ended } = sending();
    Atomics.store(fence, 0, 1);
    sender.complete(0, -ECANCELED);
    egress.reap(30);
    expect(egress.table.state[0]).toBe(SlotState.open);
    expect(egress.flush(31)).toBe(0);
    expect(sender.submitted).toHaveLength(1);
    egress.dropAll(Drop.fenced);
    sender.letGo(0);
    egress.reap(32);
    expect(ended).toEqual([{ slot: 0, id: 100, reason: Drop.fenced, errno: 0, unsent: 1000 }]);
  });

  test.each([
    ['EPIPE', EPIPE, Drop.reset],
    ['ECONNRESET', ECONNRESET, Drop.reset],
    ['ENOTCONN', ENOTCONN, Drop.sendError],
    ['ETIMEDOUT', ETIMEDOUT, Drop.sendError],
    ['EBADF', EBADF, Drop.sendError],
    ['EIO', EIO, Drop.sendError],
  ])('%s: a drop with the errno', (_, errno, reason) => {
    const { egress, sender, ended, letGo } = sending();
    sender.complete(0, -errno);
    egress.reap(30);
    expect(egress.table.find(100)).toBe(-1);
    expect(sender.closes).toEqual([{ slot: 0, how: CloseHow.reset }]);
    letGo(0);
    expect(ended).toEqual([{ slot: 0, id: 100, reason, errno, unsent: 1000 }]);
    expect(egress.counters.drops[reason]).toBe(1);
  });

  test('more bytes than were asked for stop everything', () => {
    const { egress, sender } = sending();
    sender.stray(SenderOp.send, 0, 1, 1001);
    expect(codeOf(() => egress.reap(30))).toBe('ERR_ACKGATE_SUBMIT_FAILED');
  });
});

describe('a submission that fails', () => {
  test.each([
    ['EAGAIN', EAGAIN],
    ['EBUSY', EBUSY],
    ['EINTR', EINTR],
  ])('with %s is the sender’s to try again', (_, errno) => {
    const { egress, sender } = createEgress();
    egress.open(0, 100, 50, 0);
    egress.appendBytes(0, bytesOf(10), 0);
    sender.state[SenderState.submitErrno] = errno;
    egress.flush(1);
    sender.state[SenderState.submitErrno] = 0;
    expect(egress.isClear(0)).toBe(false);
    expect(egress.flush(2)).toBe(0);
    sender.complete(0, 10);
    egress.reap(3);
    expect(egress.drained).toBe(true);
  });

  test('with anything else stops the stage: wrong bytes are worse than none (M14)', () => {
    const { egress, sender, connect } = createEgress();
    connect();
    egress.appendBytes(0, bytesOf(10), 0);
    sender.state[SenderState.submitErrno] = EBADF;
    expect(codeOf(() => egress.flush(1))).toBe('ERR_ACKGATE_SUBMIT_FAILED');
  });
});

describe('flushing', () => {
  test('takes every dirty connection in one call, each once', () => {
    const { egress, sender, connect } = createEgress(8);
    for (let slot = 0; slot < 8; slot++) connect(slot);
    for (const slot of [5, 1, 5, 3]) egress.appendBytes(slot, bytesOf(10, slot), 1);
    egress.flush(2);
    expect(sender.flushes).toBe(1);
    expect(sender.submitted.map(({ slot, bytes }) => [slot, bytes.length])).toEqual([
      [5, 20],
      [1, 10],
      [3, 10],
    ]);
  });

  test('takes all results, however many fit into the table at once', () => {
    const { egress, sender, connect } = createEgress(50, 3);
    sender.answer = ({ bytes }) => bytes.length;
    for (let slot = 0; slot < 50; slot++) {
      connect(slot);
      egress.appendBytes(slot, bytesOf(10, slot), 1);
    }
    expect(egress.flush(2)).toBe(50);
    expect(egress.drained).toBe(true);
    expect(egress.counters.bytesSent).toBe(500);
  });

  test('submits nothing behind a fence, whatever is asked (M28)', () => {
    const { egress, sender, connect, fence } = createEgress();
    connect(0);
    connect(1);
    egress.appendBytes(0, bytesOf(10), 1);
    egress.flush(2);
    sender.complete(0, -EAGAIN);
    egress.reap(3);
    Atomics.store(fence, 0, 1);
    egress.appendBytes(1, bytesOf(10), 4);
    expect(egress.flush(5)).toBe(0);
    // Also where it is an append that asks for room.
    egress.appendBytes(1, bytesOf(sendBufferBytes), 6);
    expect(sender.submitted).toHaveLength(1);
    expect(egress.counters.drops[Drop.fenced]).toBe(1);
  });

  test('sends nothing for an empty frame', () => {
    const { egress, sender, connect } = createEgress();
    connect();
    expect(egress.appendBytes(0, new Uint8Array(0), 1)).toBe(true);
    expect(egress.pending).toBe(false);
    egress.flush(2);
    expect(sender.flushes).toBe(0);
  });

  test('without anything to hand over or to wait for, the sender is not called', () => {
    const { egress, sender, connect } = createEgress();
    connect();
    sender.stray(SenderOp.send, 0, 1, 5);
    expect(egress.flush(1)).toBe(0);
    expect(egress.reap(1)).toBe(0);
    expect(sender.flushes).toBe(0);
  });
});

describe('a drop', () => {
  test('happens once, and ends when the kernel has let go (M20, M21)', () => {
    const { egress, sender, ended, discarded } = sending();
    egress.drop(0, Drop.blocked, 0);
    egress.drop(0, Drop.overflow, 7);
    egress.disconnect(0);
    egress.dropAll(Drop.fenced);
    expect(sender.closes).toEqual([{ slot: 0, how: CloseHow.reset }]);
    expect(discarded).toEqual([0]);
    expect(egress.table.find(100)).toBe(-1);
    expect(egress.table.state[0]).toBe(SlotState.closing);
    expect(ended).toEqual([]);

    sender.complete(0, -ECANCELED);
    egress.reap(30);
    expect(egress.table.state[0]).toBe(SlotState.closing);
    sender.letGo(0);
    sender.letGo(0);
    egress.reap(40);
    expect(ended).toEqual([{ slot: 0, id: 100, reason: Drop.blocked, errno: 0, unsent: 1000 }]);
    expect(egress.table.state[0]).toBe(SlotState.free);
    expect(egress.table.count).toBe(0);
    expect(Array.from(egress.counters.drops)).toEqual([0, 1, 0, 0, 0, 0, 0, 0]);
    expect(egress.counters).toMatchObject({ bytesUnsent: 1000, staleResults: 1 });
  });

  test('counts the bytes of a completion that comes after it as sent', () => {
    const { egress, sender, ended, letGo } = sending();
    egress.drop(0, Drop.blocked, 0);
    sender.complete(0, 300);
    egress.reap(30);
    expect(sender.submitted).toHaveLength(1);
    letGo(0);
    expect(ended[0]!.unsent).toBe(700);
    expect(egress.counters).toMatchObject({ bytesSent: 300, bytesUnsent: 700 });
  });

  test('of a connection that polls, or has not been flushed, forgets it everywhere', () => {
    const { egress, sender, connect, letGo } = createEgress();
    connect(0);
    connect(1);
    egress.appendBytes(0, bytesOf(10), 1);
    egress.flush(1);
    sender.complete(0, -EAGAIN);
    egress.reap(2);
    egress.appendBytes(1, bytesOf(10), 2);
    expect(egress.pending).toBe(true);
    egress.dropAll(Drop.drainTimeout);
    expect(egress.pending).toBe(false);
    egress.flush(3);
    expect(sender.submitted).toHaveLength(1);
    letGo(0);
    letGo(1);
    expect(egress.drained).toBe(true);
    expect([egress.dirty.size, egress.waiting.size, egress.owing.size]).toEqual([0, 0, 0]);
  });

  test('gives the pages of a burst back', () => {
    const { egress, sender, connect, letGo } = createEgress();
    connect(0);
    connect(1);
    egress.appendBytes(0, bytesOf(5000), 1);
    egress.appendBytes(1, bytesOf(50), 1);
    egress.dropAll(Drop.fenced);
    expect(sender.releasedPages).toEqual([]);
    letGo(0);
    letGo(1);
    expect(sender.releasedPages).toEqual([0]);
    egress.releasePages(0);
    expect(sender.releasedPages).toEqual([0]);
  });
});

describe('a slot that is used again', () => {
  function reused() {
    const one = sending();
    one.egress.drop(0, Drop.blocked, 0);
    one.sender.complete(0, -ECANCELED);
    one.letGo(0);
    one.egress.open(0, 777, 60, 50);
    return one;
  }

  test('starts clean, under another generation', () => {
    const { egress, sender } = reused();
    expect(sender.opened.map(({ generation }) => generation)).toEqual([1, 2]);
    expect(egress.table.find(777)).toBe(0);
    expect(egress.appendedTotal[0]).toBe(0);
    expect(egress.sentTotal[0]).toBe(0);
    expect(egress.lastProgressNs[0]).toBe(50);
    expect(egress.isClear(0)).toBe(true);
    sender.answer = ({ bytes }) => bytes.length;
    egress.appendBytes(0, bytesOf(20, 9), 51);
    egress.flush(52);
    expect(sender.received.get(0)).toEqual(Buffer.from(bytesOf(20, 9)));
  });

  test('ignores and counts every result of the connection before', () => {
    const { egress, sender } = reused();
    egress.appendBytes(0, bytesOf(20, 9), 51);
    egress.flush(52);
    sender.stray(SenderOp.send, 0, 1, 20);
    sender.stray(SenderOp.send, 0, 1, -ECONNRESET);
    sender.stray(SenderOp.poll, 0, 1, 4);
    sender.stray(SenderOp.closed, 0, 1, 0);
    sender.stray(SenderOp.send, 3, 0, 1);
    sender.stray(SenderOp.send, 999, 0, 1);
    egress.reap(53);
    expect(egress.counters.staleResults).toBe(6);
    expect(egress.buffers.used[0]).toBe(20);
    expect(egress.table.find(777)).toBe(0);
    expect(egress.isClear(0)).toBe(false);
    sender.complete(0, 20);
    egress.reap(54);
    expect(egress.drained).toBe(true);
  });

  test('after an open that failed, too', () => {
    const { egress, sender, ended } = createEgress();
    sender.openResult = -EBADF;
    egress.open(2, 5, 99, 0);
    expect(ended).toEqual([{ slot: 2, id: 5, reason: Drop.sendError, errno: EBADF, unsent: 0 }]);
    expect(egress.table.find(5)).toBe(-1);
    expect(egress.table.count).toBe(0);
    expect(sender.closes).toEqual([]);
    sender.openResult = 0;
    egress.open(2, 5, 99, 1);
    expect(egress.table.find(5)).toBe(2);
  });
});

describe('an append that finds no room', () => {
  test('hands over what was never handed over (M04)', () => {
    const { egress, sender, connect } = createEgress();
    connect();
    sender.answer = ({ bytes }) => bytes.length;
    for (let i = 0; i < 300; i++) {
      expect(egress.appendFrame(0, new Bytes(bytesOf(448, i)), 0, 448, bytesOf(5), i)).toBe(true);
    }
    expect(egress.counters.drops[Drop.overflow]).toBe(0);
    egress.flush(300);
    expect(sender.received.get(0)).toHaveLength(300 * (4 + 448 + 5));
  });

  test('takes the results that nobody has looked at', () => {
    const { egress, sender } = sending(bytesOf(60_000));
    sender.complete(0, 60_000);
    expect(egress.appendBytes(0, bytesOf(50_000), 30)).toBe(true);
    expect(egress.buffers.used[0]).toBe(50_000);
  });

  test('goes on with the second piece of a buffer that goes around its end', () => {
    const { egress, sender } = sending(bytesOf(60_000));
    sender.complete(0, 59_000);
    egress.reap(30);
    // 1,000 bytes at 59,000, and behind them as many as the buffer holds: up to its end and on from its start.
    egress.appendBytes(0, bytesOf(sendBufferBytes - 1000, 2), 31);
    sender.answer = ({ bytes }) => bytes.length;
    expect(egress.appendBytes(0, bytesOf(30_000, 3), 32)).toBe(true);
    egress.flush(33);
    const all = [bytesOf(60_000), bytesOf(sendBufferBytes - 1000, 2), bytesOf(30_000, 3)];
    expect(sender.received.get(0)!.equals(Buffer.concat(all))).toBe(true);
    expect(egress.counters.drops[Drop.overflow]).toBe(0);
  });

  test('drops the connection when the kernel takes nothing, and what is behind that is discarded', () => {
    const { egress, sender, ended, letGo } = sending(bytesOf(65_000));
    expect(egress.appendBytes(0, bytesOf(536), 30)).toBe(true);
    expect(egress.appendBytes(0, bytesOf(1), 31)).toBe(false);
    expect(sender.closes).toEqual([{ slot: 0, how: CloseHow.reset }]);
    sender.complete(0, -ECANCELED);
    letGo(0);
    expect(ended).toEqual([{ slot: 0, id: 100, reason: Drop.overflow, errno: 0, unsent: sendBufferBytes }]);
  });

  test('appends an answer and its end together or not at all (M24)', () => {
    const { egress, sender, connect } = createEgress();
    connect();
    sender.answer = () => undefined;
    egress.appendBytes(0, bytesOf(sendBufferBytes - 104), 1);
    egress.flush(2);
    expect(egress.appendFrame(0, new Bytes(bytesOf(100)), 0, 100, bytesOf(5), 3)).toBe(false);
    expect(egress.buffers.used[0]).toBe(sendBufferBytes - 104);
    expect(egress.counters.drops[Drop.overflow]).toBe(1);
  });

  test('more than a whole buffer is never appended', () => {
    const { egress, connect } = createEgress();
    connect();
    expect(egress.appendFrame(0, new Bytes(bytesOf(sendBufferBytes)), 0, sendBufferBytes - 3, null, 1)).toBe(
      false,
    );
    expect(egress.counters.drops[Drop.overflow]).toBe(1);
  });

  test('a peer that resets while room is made is not answered', () => {
    const { egress, sender } = sending(bytesOf(60_000));
    sender.complete(0, -ECONNRESET);
    expect(egress.appendBytes(0, bytesOf(10_000), 30)).toBe(false);
    expect(Array.from(egress.counters.drops)).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
  });
});

describe('ending', () => {
  test('an empty connection ends in order, and waits for the kernel', () => {
    const { egress, sender, ended, connect, letGo } = createEgress();
    connect(1);
    egress.disconnect(1);
    egress.disconnect(1);
    expect(sender.closes).toEqual([{ slot: 1, how: CloseHow.orderly }]);
    expect(ended).toEqual([]);
    expect(egress.table.count).toBe(1);
    letGo(1);
    expect(ended).toEqual([{ slot: 1, id: 101, reason: endedOrderly, errno: 0, unsent: 0 }]);
    expect(Array.from(egress.counters.drops)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('a connection with bytes left is reset, and says how many', () => {
    const { egress, sender, ended, letGo } = sending();
    egress.disconnect(0);
    expect(sender.closes).toEqual([{ slot: 0, how: CloseHow.reset }]);
    sender.complete(0, -ECANCELED);
    letGo(0);
    expect(ended).toEqual([{ slot: 0, id: 100, reason: Drop.disconnected, errno: 0, unsent: 1000 }]);
  });

  test('all at once: in order where everything was sent', () => {
    const { egress, sender, connect } = createEgress();
    for (let slot = 0; slot < 3; slot++) connect(slot);
    egress.appendBytes(1, bytesOf(10), 1);
    egress.disconnectAll(Drop.drainTimeout);
    expect(sender.closes).toEqual([
      { slot: 0, how: CloseHow.orderly },
      { slot: 1, how: CloseHow.reset },
      { slot: 2, how: CloseHow.orderly },
    ]);
    expect(egress.counters.drops[Drop.drainTimeout]).toBe(1);
  });

  test('abandoned, every connection has its last event at once, with what was left', () => {
    const { egress, sender, connect, ended } = createEgress();
    for (let slot = 0; slot < 3; slot++) connect(slot);
    egress.appendBytes(0, bytesOf(10), 1);
    egress.flush(1);
    egress.appendBytes(1, bytesOf(20), 2);
    egress.drop(2, Drop.blocked, 0);
    expect(egress.abandon(Drop.stageFailed, 100)).toBe(1);
    expect(ended).toEqual([
      { slot: 0, id: 100, reason: Drop.stageFailed, errno: 0, unsent: 10 },
      { slot: 1, id: 101, reason: Drop.stageFailed, errno: 0, unsent: 20 },
      { slot: 2, id: 102, reason: Drop.blocked, errno: 0, unsent: 0 },
    ]);
    expect(egress.table.count).toBe(0);
    expect(egress.drained).toBe(true);
    egress.abandon(Drop.stageFailed, 100);
    expect(ended).toHaveLength(3);
    expect(sender.destroyed).toBe(2);
  });
});

test('what closes is told at once, when its kernel has not let go of it yet', () => {
  const { egress, closing, ended, connect, letGo, sender } = createEgress();
  for (let slot = 0; slot < 3; slot++) connect(slot);
  sender.answer = () => undefined;
  egress.drop(2, Drop.blocked, 0);
  egress.disconnect(1);
  expect(closing).toEqual([2, 1]);
  expect(ended).toEqual([]);
  letGo(2);
  expect(closing).toEqual([2, 1]);
  egress.abandon(Drop.stageFailed, 0);
  expect(closing).toEqual([2, 1, 0]);
});

test('abandoned, a connection with bytes left is reset: what it has got may end inside a frame', () => {
  const { egress, connect, sender } = createEgress();
  connect(0);
  connect(1);
  egress.appendBytes(0, bytesOf(5), 1);
  egress.abandon(Drop.stageFailed, 0);
  expect(sender.closes).toEqual([{ slot: 0, how: CloseHow.reset }]);
});
