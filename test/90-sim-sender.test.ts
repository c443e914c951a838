import { describe, expect, test } from 'vitest';
import { CloseHow, SenderOp, SenderState, sendBufferBytes } from '#ackgate/egress/sender.js';
import type { KernelFaults } from '#ackgate/sim/kernel/kernel-faults.js';
import { describeSenderContract } from './support/sender-contract.js';
import { Bench } from './support/sender-driver.js';
import { type SimulatedPeer, SimulatedWorld } from './support/simulated-world.js';

for (const whenFull of ['wait', 'refuse'] as const) {
  describeSenderContract(`simulated sender that lets full sockets ${whenFull}`, async () => {
    return new SimulatedWorld(whenFull);
  });
}

describe('what the simulated kernel objects to', () => {
  /** One connection to a full socket, so that the last send is under way. */
  async function blocked(faults: Partial<KernelFaults> = {}) {
    const world = new SimulatedWorld('wait', faults, {});
    const bench = await Bench.create(world, 2);
    const [stream] = bench.streams;
    await bench.block(stream);
    return { world, bench, stream, peer: stream.peer as SimulatedPeer, ...bench.driver.under };
  }
  const breaks = (invariant: string) => expect.objectContaining({ name: 'SimulationFailure', invariant });

  test('bytes that change before a blocked send goes on', async () => {
    const { arena, peer, sender } = await blocked();
    arena[sendBufferBytes - 1] ^= 1;
    peer.read(1 << 20);
    expect(() => sender.park(1)).toThrow(breaks('I07'));
  });

  test('bytes that change before a late completion', async () => {
    const world = new SimulatedWorld('wait', { completionDelayNs: () => 1000 }, { callNs: 0, requestNs: 0 });
    const bench = await Bench.create(world, 1);
    const { arena, sender } = bench.driver.under;
    expect(bench.driver.flush({ op: SenderOp.send, slot: 0, generation: 1, offset: 7, length: 1 })).toEqual(
      [],
    );
    arena[6] ^= 1;
    arena[8] ^= 1;
    sender.park(0.0005);
    arena[7] ^= 1;
    expect(() => sender.park(1)).toThrow(breaks('I07'));
  });

  test('bytes that change while a failed submission keeps their request queued', async () => {
    let refuses = true;
    const submission = () => (refuses ? { taken: 0, errno: 11, hidden: false } : null);
    const bench = await Bench.create(new SimulatedWorld('wait', { submission }, {}), 1);
    const { arena, sender } = bench.driver.under;
    bench.driver.flush({ op: SenderOp.send, slot: 0, generation: 1, length: 10 });
    expect(bench.driver.state(SenderState.unsubmitted)).toBe(1);
    expect(bench.driver.state(SenderState.submitErrno)).toBe(11);
    refuses = false;
    arena[3] ^= 1;
    expect(() => sender.reap()).toThrow(breaks('I07'));
  });

  test('bytes that change between the end of a connection and the last that is heard of it', async () => {
    const { arena, sender } = await blocked({ cancelDelayNs: () => 1000 });
    sender.close(0, CloseHow.reset);
    arena[5] ^= 1;
    expect(() => sender.park(1)).toThrow(breaks('I07'));
  });

  test('pages that are given back while a send is under way', async () => {
    const { sender } = await blocked();
    expect(() => sender.releasePages(0)).toThrow(breaks('I07'));
    expect(() => sender.releasePages(1)).not.toThrow();
  });

  test('a slot that is opened before it is free', async () => {
    const { sender, world } = await blocked({ cancelDelayNs: () => 1e6 });
    const open = async () => sender.open(0, 2, (await world.connect()).fd);
    await expect(open()).rejects.toThrow(breaks('I06'));
    sender.close(0, CloseHow.reset);
    await expect(open()).rejects.toThrow(breaks('I06'));
    sender.park(2);
    expect(await open()).toBe(0);
  });

  test('requests behind a fence', async () => {
    const { sender, fence } = await blocked();
    fence[0] = 1;
    expect(() => sender.flush(1)).toThrow(breaks('I10'));
    expect(() => sender.reap()).not.toThrow();
  });
});

describe('faults of the simulated kernel', () => {
  const sends = (count: number) =>
    Array.from({ length: count }, (_, slot) => ({ op: SenderOp.send, slot, generation: 1, length: 10 }));

  test('a submission that stops half-way is taken up by the next call, in order', async () => {
    let calls = 0;
    const submission = () => (calls++ === 0 ? { taken: 2, errno: 16, hidden: false } : null);
    const { driver } = await Bench.create(new SimulatedWorld('wait', { submission }), 5);
    expect(driver.flush(...sends(5)).map(({ slot }) => slot)).toEqual([0, 1]);
    expect(driver.state(SenderState.submitErrno)).toBe(16);
    expect(driver.state(SenderState.unsubmitted)).toBe(3);
    expect(driver.reap().map(({ slot }) => slot)).toEqual([2, 3, 4]);
    expect(driver.state(SenderState.submitErrno)).toBe(0);
  });

  test('a connection that ends takes its queued requests with it, and no others', async () => {
    let refuses = true;
    const submission = () => (refuses ? { taken: 0, errno: 11, hidden: false } : null);
    const { driver } = await Bench.create(new SimulatedWorld('wait', { submission }), 3);
    driver.flush(...sends(3));
    driver.sender.close(1, CloseHow.reset);
    expect(driver.state(SenderState.unsubmitted)).toBe(3);
    refuses = false;
    expect(driver.reap().map(({ op, slot, value }) => [op, slot, value])).toEqual([
      [SenderOp.send, 1, -125],
      [SenderOp.send, 0, 10],
      [SenderOp.send, 2, 10],
      [SenderOp.closed, 1, 0],
    ]);
  });

  test('results that an interrupted submission has brought show at the next call', async () => {
    let calls = 0;
    const submission = (count: number) => (calls++ === 0 ? { taken: count, errno: 4, hidden: true } : null);
    const { driver } = await Bench.create(new SimulatedWorld('wait', { submission }), 3);
    expect(driver.flush(...sends(3))).toEqual([]);
    expect(driver.state(SenderState.submitErrno)).toBe(4);
    expect(driver.reap()).toHaveLength(3);
  });

  test('results come in another order, but nothing of a slot comes after its end', async () => {
    const { driver } = await Bench.create(new SimulatedWorld('wait', { resultPlace: () => 0 }), 3);
    expect(driver.flush(...sends(3)).map(({ slot }) => slot)).toEqual([2, 1, 0]);
    driver.sender.close(0, CloseHow.orderly);
    const all = driver.flush(...sends(3)).map(({ op, slot }) => [op, slot]);
    expect(all).toHaveLength(4);
    expect(all.at(-1)).toEqual([SenderOp.closed, 0]);
  });

  test('slots that the kernel holds on to when everything is taken down are counted', async () => {
    const world = new SimulatedWorld('wait', { cancelDelayNs: () => 5e9 });
    const bench = await Bench.create(world, 3);
    const { sender } = bench.driver;
    const beganMs = world.nowMs();
    expect(sender.destroy(100)).toBe(3);
    expect(sender.destroy(100)).toBe(3);
    expect(world.nowMs() - beganMs).toBeCloseTo(100, 1);
  });

  test('a late completion of a connection that has ended is not charged to the next', async () => {
    let delayNs = 1e6;
    const world = new SimulatedWorld('wait', { completionDelayNs: () => delayNs });
    const bench = await Bench.create(world, 1);
    const { driver } = bench;
    expect(driver.flush(...sends(1))).toEqual([]);
    driver.sender.close(0, CloseHow.reset);
    expect(driver.reap().map(({ op, value }) => [op, value])).toEqual([
      [SenderOp.send, -125],
      [SenderOp.closed, 0],
    ]);
    const next = await bench.open(0, 2);
    delayNs = 1e7;
    expect(driver.flush({ op: SenderOp.send, slot: 0, generation: 2, length: 7 })).toEqual([]);
    driver.sender.park(5);
    expect(driver.reap()).toEqual([]);
    expect(next.peer.read(100)).toBe('nothing');
    driver.sender.park(50);
    expect(driver.reap()).toEqual([{ op: SenderOp.send, slot: 0, generation: 2, value: 7 }]);
  });

  test('slots end in the order in which they were closed', async () => {
    const { driver } = await Bench.create(new SimulatedWorld('wait'), 4);
    for (const slot of [2, 0, 3]) driver.sender.close(slot, CloseHow.orderly);
    expect(driver.reap().map(({ slot }) => slot)).toEqual([2, 0, 3]);
  });

  test.each([
    ['in the middle of a send: with a reset', 3, 'reset'],
    ['behind a whole send: in order', 10, 'end'],
  ] as const)('taking down ends a connection %s', async (_, limit, end) => {
    const world = new SimulatedWorld('wait', { sendLimit: () => limit });
    const { driver, streams } = await Bench.create(world, 1);
    driver.flush(...sends(1));
    expect(driver.sender.destroy(10)).toBe(0);
    streams[0].peer.read(limit);
    expect(streams[0].peer.read(10)).toBe(end);
  });

  test('forced results and limits are told as they are', async () => {
    const results = [0, -11, -4, null];
    const world = new SimulatedWorld('wait', {
      sendResult: () => results.shift() ?? null,
      sendLimit: () => 3,
    });
    const { driver, streams } = await Bench.create(world, 1);
    const values = Array.from({ length: 4 }, () => driver.flush(...sends(1))[0].value);
    expect(values).toEqual([0, -11, -4, 3]);
    expect(streams[0].peer.read(100)).toHaveLength(3);
  });
});
