import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SendBuffers } from '#ackgate/egress/send-buffers.js';
import { sendBufferBytes } from '#ackgate/egress/sender.js';
import { frame, lengthPrefixFraming } from '#ackgate/encode/framing.js';
import { Bytes } from '#ackgate/shared/bytes.js';
import { bytesOf } from './support/values.js';

const slots = 3;
/** The slot under test has neighbours on both sides. */
const slot = 1;
const guard = 0xa5;
const untouched = new Uint8Array(sendBufferBytes).fill(guard);

/** A slot's buffer, with the kernel's side of it played by hand. */
function create() {
  const arena = new Uint8Array(slots * sendBufferBytes).fill(guard);
  const buffers = new SendBuffers(arena, slots);
  let underWay: Uint8Array | null = null;
  return {
    arena,
    buffers,
    /** Bytes that were appended and not yet sent, by the model. */
    expected: [] as number[],
    frame(source: Uint8Array, length: number) {
      buffers.appendFrame(slot, lengthPrefixFraming, new Bytes(source), 0, length);
      this.expected.push(...frame(lengthPrefixFraming, source.slice(0, length)));
    },
    bytes(source: Uint8Array) {
      buffers.appendBytes(slot, source);
      this.expected.push(...source);
    },
    region: () => {
      const from = slot * sendBufferBytes + buffers.start[slot]!;
      return arena.subarray(from, from + buffers.underWay[slot]!);
    },
    /** Hands the next piece to the kernel; it may read it from now on. */
    startSend() {
      buffers.underWay[slot] = buffers.sendable(slot);
      underWay = this.region().slice();
    },
    /** The kernel has taken `count` of it: they must be what was there at the start, and what is next in the stream. */
    finishSend(count: number) {
      if (Buffer.compare(this.region(), underWay!) !== 0) expect.unreachable('bytes under way have changed');
      const sent = Array.from(underWay!.subarray(0, count));
      const wanted = this.expected.splice(0, count);
      if (Buffer.compare(Buffer.from(sent), Buffer.from(wanted)) !== 0)
        expect.unreachable('wrong bytes were sent');
      buffers.underWay[slot] = 0;
      if (count > 0) buffers.sent(slot, count);
    },
    /** Sends everything that is left. */
    drain() {
      while (buffers.used[slot]! > 0) {
        this.startSend();
        this.finishSend(underWay!.length);
      }
      expect(this.expected).toEqual([]);
    },
    neighboursUntouched() {
      const first = arena.subarray(0, slot * sendBufferBytes);
      const last = arena.subarray((slot + 1) * sendBufferBytes);
      return Buffer.compare(first, untouched) === 0 && Buffer.compare(last, untouched) === 0;
    },
  };
}

/** Moves the start of the buffer to `at`, with `kept` bytes in it. */
function startingAt(at: number, kept: number) {
  const one = create();
  one.bytes(bytesOf(at + kept));
  one.startSend();
  one.finishSend(at);
  return one;
}

describe('frames', () => {
  test('are a little-endian length and the body', () => {
    const one = create();
    one.frame(Uint8Array.of(1, 2, 3), 3);
    one.frame(bytesOf(300), 300);
    const at = slot * sendBufferBytes;
    expect(Array.from(one.arena.subarray(at, at + 7))).toEqual([3, 0, 0, 0, 1, 2, 3]);
    expect(Array.from(one.arena.subarray(at + 7, at + 12))).toEqual([44, 1, 0, 0, 0]);
  });

  test('of every length come out as they went in', () => {
    for (const length of [0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 448, 1023, 1024, 1025, 5000]) {
      for (const viewBytes of [length, length + 1, 448, 1024, 4096]) {
        if (viewBytes < length) continue;
        const one = create();
        one.frame(bytesOf(viewBytes, length), length);
        one.frame(bytesOf(5, 1), 5);
        one.drain();
      }
    }
  });

  test('go around the end of the buffer wherever it cuts them', () => {
    for (const length of [0, 1, 20, 100, 448]) {
      for (let cut = 0; cut < length + 4; cut += cut < 6 ? 1 : 1 + (length >> 4)) {
        const one = startingAt(sendBufferBytes - cut - 10, 10);
        one.frame(bytesOf(448, cut), length);
        one.drain();
        if (!one.neighboursUntouched()) expect.unreachable('a neighbour was written to');
      }
    }
  });
});

describe('the whole buffer', () => {
  test('all 65,536 bytes can be used, at once or in pieces', () => {
    const whole = create();
    whole.bytes(bytesOf(sendBufferBytes));
    expect(whole.buffers.room(slot)).toBe(0);
    expect(whole.buffers.sendable(slot)).toBe(sendBufferBytes);
    whole.drain();

    const pieces = startingAt(1000, 5);
    pieces.frame(bytesOf(4000), 4000);
    while (pieces.buffers.room(slot) >= 104) pieces.frame(bytesOf(448, pieces.expected.length), 100);
    pieces.bytes(bytesOf(pieces.buffers.room(slot)));
    expect(pieces.buffers.used[slot]).toBe(sendBufferBytes);
    expect(pieces.buffers.sendable(slot)).toBe(sendBufferBytes - 1000);
    pieces.drain();
    expect(pieces.neighboursUntouched()).toBe(true);
  });

  test('a frame that fills the last byte before bytes under way leaves those alone', () => {
    const one = startingAt(600, 400);
    one.startSend();
    const room = one.buffers.room(slot);
    one.bytes(bytesOf(room - 14, 1));
    // The source is longer than the room that is left: its garbage must not spill over.
    one.frame(bytesOf(448, 2), 10);
    expect(one.buffers.room(slot)).toBe(0);
    one.finishSend(400);
    one.drain();
  });

  test('a send covers what lies in one piece, the rest is the next', () => {
    const one = startingAt(sendBufferBytes - 10, 5);
    one.bytes(bytesOf(20));
    expect(one.buffers.sendable(slot)).toBe(10);
    one.startSend();
    one.finishSend(10);
    expect(one.buffers.start[slot]).toBe(0);
    expect(one.buffers.sendable(slot)).toBe(15);
    one.drain();
  });

  test('starts over at its first page when it is empty, and only then', () => {
    const one = create();
    one.bytes(bytesOf(3000));
    one.startSend();
    one.finishSend(2999);
    expect(one.buffers.start[slot]).toBe(2999);
    one.startSend();
    one.finishSend(1);
    expect(one.buffers.start[slot]).toBe(0);
    expect(one.buffers.spread[slot]).toBe(0);
    one.bytes(bytesOf(4096));
    expect(one.buffers.spread[slot]).toBe(0);
    one.bytes(bytesOf(1));
    expect(one.buffers.spread[slot]).toBe(1);
    expect(Array.from(one.buffers.spread)).toEqual([0, 1, 0]);
  });

  test('reset forgets everything', () => {
    const one = startingAt(600, 400);
    one.startSend();
    one.buffers.reset(slot);
    expect([one.buffers.start[slot], one.buffers.used[slot], one.buffers.underWay[slot]]).toEqual([0, 0, 0]);
    expect(one.buffers.room(slot)).toBe(sendBufferBytes);
  });
});

test('any history sends exactly what was appended, and never touches what is under way', () => {
  const length = fc.oneof(fc.nat(40), fc.nat(448), fc.nat(3000), fc.nat(30_000));
  const step = fc.oneof(
    fc.record({ kind: fc.constant('frame' as const), length, extra: fc.nat(1024), seed: fc.nat(255) }),
    fc.record({ kind: fc.constant('bytes' as const), length, seed: fc.nat(255) }),
    fc.record({ kind: fc.constant('start' as const) }),
    // Short sends of any length, nothing included.
    fc.record({ kind: fc.constant('finish' as const), share: fc.constantFrom(0, 0.01, 0.5, 0.99, 1, 1, 1) }),
  );
  const property = fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
    const one = create();
    const { buffers } = one;
    let sending = false;
    for (const now of steps) {
      if (now.kind === 'frame' && now.length + 4 <= buffers.room(slot)) {
        one.frame(bytesOf(now.length + now.extra, now.seed), now.length);
      } else if (now.kind === 'bytes' && now.length <= buffers.room(slot)) {
        one.bytes(bytesOf(now.length, now.seed));
      } else if (now.kind === 'start' && !sending && buffers.used[slot]! > 0) {
        one.startSend();
        sending = true;
      } else if (now.kind === 'finish' && sending) {
        one.finishSend(Math.floor(buffers.underWay[slot]! * now.share));
        sending = false;
      }
      if (buffers.used[slot] !== one.expected.length) expect.unreachable('the count is off');
      if (buffers.used[slot] === 0) expect(buffers.start[slot]).toBe(0);
    }
    if (sending) one.finishSend(0);
    one.drain();
    if (!one.neighboursUntouched()) expect.unreachable('a neighbour was written to');
  });
  fc.assert(property, { numRuns: 150 });
});
