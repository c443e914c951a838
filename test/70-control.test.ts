import { describe, expect, test } from 'vitest';
import { resolvePolicy } from '#ackgate/policy/index.js';
import { Producer } from '#ackgate/ring/index.js';
import { createMemory } from '#ackgate/shared/memory.js';
import { type ControlHandlers, ControlReader, ControlWriter, unclaimedFds } from '#ackgate/stage/control.js';
import { bytesOf } from './support/values.js';

function create(connections = 4, maxPayload = 448) {
  const memory = createMemory({ connections, ringCapacity: 16, maxPayload });
  const calls: unknown[][] = [];
  let woken = 0;
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      calls.push([name, ...args]);
  const handlers: ControlHandlers = {
    attach: note('attach'),
    disconnectNow: note('disconnectNow'),
    disconnectDrained: note('disconnectDrained'),
    push: (id, { bytes }, from, length) => calls.push(['push', id, [...bytes.subarray(from, from + length)]]),
    busy: note('busy'),
    notice: note('notice'),
    setPolicy: ({ mode, byte, policy }) => calls.push(['setPolicy', mode, byte, policy.toString()]),
    corruptMode: note('corruptMode'),
    drain: note('drain'),
    tenant: note('tenant'),
    raise: note('raise'),
  };
  return {
    memory,
    handlers,
    writer: new ControlWriter(memory, () => {
      woken++;
    }),
    reader: new ControlReader(memory, handlers),
    calls,
    woken: () => woken,
  };
}

describe('commands come out as they went in', () => {
  test('of every kind, in order, and each wakes the stage', () => {
    const { writer, reader, calls, woken } = create();
    const id = 2 ** 53 - 1;
    expect(reader.pending).toBe(false);
    const results = [
      writer.attach(id, 3, 1023),
      writer.push(id, bytesOf(5)),
      writer.push(id, new Uint8Array(0)),
      writer.busy(0),
      writer.notice(id, 0),
      writer.notice(0, 255),
      writer.disconnect(id, null, undefined),
      writer.disconnect(id, null, 255),
      writer.disconnect(id, 7, 0),
      writer.disconnect(id, -5, undefined),
      writer.disconnect(id, -(2 ** 31), undefined),
      writer.mode(resolvePolicy('hybrid')),
      writer.mode(resolvePolicy('persisted>=2 zones && in_memory>=3')),
      writer.drain(2_147_483_647e6),
      writer.tenant(id, 2 ** 53 - 1),
      writer.raise(id, 3, 1_790_000_000_000),
    ];
    expect(results.every((result) => result === true)).toBe(true);
    expect(woken()).toBe(16);
    expect(reader.pending).toBe(true);
    expect(reader.take()).toBe(16);
    expect(calls).toEqual([
      ['attach', id, 3, 1023],
      ['push', id, Array.from(bytesOf(5))],
      ['push', id, []],
      ['busy', 0],
      ['notice', id, 0],
      ['notice', 0, 255],
      ['disconnectNow', id, null],
      ['disconnectNow', id, 255],
      ['disconnectDrained', id, 7, 0],
      ['disconnectDrained', id, -5, null],
      ['disconnectDrained', id, -(2 ** 31), null],
      ['setPolicy', 'hybrid', 1, 'persisted>=1 && in_memory>=2'],
      ['setPolicy', 'custom', 255, 'persisted>=2 zones && in_memory>=3'],
      ['drain', 2_147_483_647e6],
      ['tenant', id, 2 ** 53 - 1],
      ['raise', id, 3, 1_790_000_000_000],
    ]);
    expect(reader.take()).toBe(0);
  });

  test('a body as long as a payload may be, and one byte more', () => {
    const { writer, reader, calls } = create(4, 1000);
    expect(writer.push(1, bytesOf(1000))).toBe(true);
    expect(writer.push(1, bytesOf(1001))).toBe('oversize');
    expect(reader.take()).toBe(1);
    expect(calls).toEqual([['push', 1, Array.from(bytesOf(1000))]]);
  });

  test('there is room for an attach and a disconnect of every connection, then it is full', () => {
    const connections = 600;
    const { writer, reader, woken } = create(connections);
    for (let i = 0; i < connections; i++) {
      expect(writer.attach(i, i, i)).toBe(true);
      expect(writer.disconnect(i, 0, undefined)).toBe(true);
    }
    let more = 0;
    while (writer.busy(1) === true) more++;
    expect(writer.busy(1)).toBe('full');
    expect(woken()).toBe(2 * connections + more);
    expect(reader.take()).toBe(2 * connections + more);
    expect(writer.busy(1)).toBe(true);
  });

  test('the largest number of connections with the largest payloads still has a ring', () => {
    const { writer } = create(32_768, 60_000);
    expect(writer.busy(1)).toBe(true);
  });
});

describe('a mode that means nothing', () => {
  test.each([
    ['an unknown byte', 4, ''],
    ['a byte out of range', 4096, ''],
    ['a custom policy without a text', 255, ''],
    ['a custom policy with a bad text', 255, 'persisted>=2 &&'],
    ['a mode’s name where a text belongs', 255, 'local'],
  ])('%s changes nothing and is told (M26)', (_, byte, text) => {
    const { memory, reader, calls } = create();
    const ring = new Producer(memory.control);
    const body = new TextEncoder().encode(text);
    ring.bytes.set(body, ring.claim(body.length));
    ring.publish(0, byte, 0, 5);
    reader.take();
    expect(calls).toEqual([['corruptMode', byte, text]]);
  });
});

describe('a command that fails', () => {
  test('is taken, as are those before it: no descriptor is taken twice', () => {
    const { memory, writer, handlers } = create();
    const attached: number[] = [];
    const failing = new ControlReader(memory, {
      ...handlers,
      attach: (_, __, fd) => attached.push(fd),
      busy: () => {
        throw new Error('the kernel refuses');
      },
    });
    writer.attach(1, 0, 31);
    writer.busy(1);
    writer.attach(2, 1, 32);
    expect(() => failing.take()).toThrow('the kernel refuses');
    expect(attached).toEqual([31]);
    // What is left is closed by whoever finds the stage ended: 32, which it never took, and not 31.
    expect(unclaimedFds(memory)).toEqual([32]);
    expect(unclaimedFds(memory)).toEqual([]);
  });
});
