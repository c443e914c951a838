import { CloseHow, SenderOp, SenderState, sendBufferBytes } from '#ackgate/egress/sender.js';
import { SimulationFailure } from '#ackgate/sim/failure.js';
import { Bench, type Driver, type Result, type Stream } from './sender-driver.js';
import type { World } from './sender-world.js';

const EAGAIN = -11;
const ECANCELED = -125;
const POLLOUT = 4;
const POLLHUP = 16;
const quarter = 16_384;

/** What a kernel does in one situation, as plain facts that another kernel's can be compared with. */
export type Facts = Record<string, unknown>;

export interface KernelRow {
  name: string;
  connections: number;
  ringEntries?: number;
  observe(bench: Bench, world: World): Promise<Facts>;
  /** What is right where a send to a full socket waits, and where it is refused. */
  wait: Facts;
  refuse: Facts;
}

const sendOf = ({ slot, generation }: Stream, length: number) => ({
  op: SenderOp.send,
  slot,
  generation,
  length,
});
const pollOf = ({ slot, generation }: Stream) => ({ op: SenderOp.poll, slot, generation });
const values = (results: Result[]) => results.map(({ value }) => value);

/** Everything that comes within a moment. */
async function later(driver: Driver, world: World, ms = 20): Promise<Result[]> {
  const results: Result[] = [];
  const untilMs = world.nowMs() + ms;
  while (world.nowMs() < untilMs) {
    driver.sender.park(5);
    await world.settle();
    results.push(...driver.reap());
  }
  return results;
}

/** Sends until the kernel takes no more: then the last send is under way, or it was refused, and again after a while. */
async function fill(driver: Driver, world: World, stream: Stream, length = sendBufferBytes) {
  let taken = 0;
  let shorts = 0;
  for (let refusals = 0; refusals < 2; ) {
    const [result] = [...driver.flush(sendOf(stream, length)), ...(await ifNone(driver, world))];
    if (result === undefined) return { taken, shorts, waits: true };
    if (result.value === EAGAIN) {
      refusals++;
      await later(driver, world);
      continue;
    }
    refusals = 0;
    taken += result.value;
    if (result.value < length) shorts++;
  }
  return { taken, shorts, waits: false };
}

async function ifNone(driver: Driver, world: World): Promise<Result[]> {
  return driver.state(SenderState.underWay) === 0 ? [] : later(driver, world);
}

/** Fills the socket; then something of it waits for room: the send itself, or a poll. */
async function block(driver: Driver, world: World, stream: Stream) {
  const filled = await fill(driver, world, stream);
  const told = filled.waits ? [] : driver.flush(pollOf(stream));
  return { ...filled, told };
}

/** What an ended or writable connection told, as it is: the order of polls and errors is the kernel's. */
const kinds = (results: Result[]) =>
  results.map(({ op, value }) => {
    if (op === SenderOp.closed) return 'closed';
    // A cancelled send may have moved bytes, and an end of writes breaks the pipe of one that waits.
    return value === ECANCELED || value > 0 || value === -32 ? 'ended' : value;
  });

export const kernelRows: KernelRow[] = [
  {
    name: 'a full socket',
    connections: 1,
    async observe({ driver, streams: [stream] }, world) {
      const { waits, told } = await block(driver, world, stream);
      const whileFull = await later(driver, world, 60);
      const underWay = driver.state(SenderState.underWay);
      const drained: Result[] = [];
      await driver.until(world, () => {
        stream.peer.read(1 << 20);
        drained.push(...driver.reap());
        return drained.length > 0;
      });
      return { waits, early: [...told, ...whileFull].length, underWay, op: drained[0].op };
    },
    wait: { waits: true, early: 0, underWay: 1, op: SenderOp.send },
    refuse: { waits: false, early: 0, underWay: 1, op: SenderOp.poll },
  },
  {
    name: 'sends longer than the room that is left',
    connections: 4,
    async observe({ driver, streams }, world) {
      let shorts = 0;
      let whole = true;
      for (const [index, stream] of streams.entries()) {
        const filled = await fill(driver, world, stream, sendBufferBytes - 1 - index * 4099);
        shorts += filled.shorts;
        driver.sender.close(stream.slot, CloseHow.orderly);
        await later(driver, world);
        let arrived = 0;
        await driver.until(world, () => {
          const read = stream.peer.read(1 << 20);
          if (typeof read !== 'string') arrived += read.length;
          return read === 'end';
        });
        if (arrived !== filled.taken) whole = false;
      }
      return { someAreShort: shorts > 0, whatWasReportedArrives: whole };
    },
    wait: { someAreShort: true, whatWasReportedArrives: true },
    refuse: { someAreShort: true, whatWasReportedArrives: true },
  },
  {
    name: 'an idle socket whose peer resets',
    connections: 1,
    async observe({ driver, streams: [stream] }) {
      // Nobody else looks at the socket meanwhile: an error is told once, to whoever asks first.
      const gone = stream.peer.reset();
      const [{ value: events }] = driver.flush(pollOf(stream));
      const sends = [10, 10, 0].flatMap((length) => values(driver.flush(sendOf(stream, length))));
      await gone;
      return { writable: (events & POLLOUT) > 0, hungUp: (events & POLLHUP) > 0, sends };
    },
    wait: { writable: true, hungUp: true, sends: [-104, -32, -32] },
    refuse: { writable: true, hungUp: true, sends: [-104, -32, -32] },
  },
  {
    name: 'a blocked socket whose peer resets',
    connections: 1,
    async observe({ driver, streams: [stream] }, world) {
      await block(driver, world, stream);
      const gone = stream.peer.reset();
      const told: Result[] = [];
      // Without a moment for anybody else: see above.
      while (told.length === 0) {
        driver.sender.park(5);
        told.push(...driver.reap());
      }
      const [{ op, value }] = told;
      const after = [10, 10].flatMap((length) => values(driver.flush(sendOf(stream, length))));
      await gone;
      return { op, told: op === SenderOp.poll ? value & (POLLOUT | POLLHUP) : value, after };
    },
    wait: { op: SenderOp.send, told: -104, after: [-32, -32] },
    refuse: { op: SenderOp.poll, told: POLLOUT | POLLHUP, after: [-104, -32] },
  },
  ...(['orderly', 'reset'] as const).map(
    (how): KernelRow => ({
      name: `a blocked socket that we end: ${how}`,
      connections: 1,
      async observe({ driver, streams: [stream] }, world) {
        const { taken } = await block(driver, world, stream);
        driver.sender.close(stream.slot, CloseHow[how]);
        const results: Result[] = [];
        await driver.until(world, () => {
          results.push(...driver.reap());
          return results.some(({ op }) => op === SenderOp.closed);
        });
        let arrived = 0;
        let end = 'nothing';
        await driver.until(world, () => {
          const read = stream.peer.read(1 << 20);
          if (typeof read === 'string') end = read;
          else arrived += read.length;
          return end !== 'nothing';
        });
        return { told: kinds(results), end, lost: arrived < taken };
      },
      wait: { told: ['ended', 'closed'], end: how === 'orderly' ? 'end' : 'reset', lost: how === 'reset' },
      refuse: { told: ['ended', 'closed'], end: how === 'orderly' ? 'end' : 'reset', lost: how === 'reset' },
    }),
  ),
  {
    name: 'a peer that reads in steps from a full socket',
    connections: 1,
    async observe({ driver, streams: [stream] }, world) {
      await block(driver, world, stream);
      const before = driver.sender.queuedBytes(stream.slot);
      const told: Result[] = [];
      while (told.length === 0) {
        stream.peer.read(quarter);
        told.push(...(await later(driver, world, 3)));
      }
      const [{ op, value }] = told;
      const added = op === SenderOp.send ? value : 0;
      const free = (before - (driver.sender.queuedBytes(stream.slot) - added)) / before;
      return { toldWhenAboutAThirdIsFree: free > 1 / 4 && free < 2 / 5, progress: value > 0 };
    },
    wait: { toldWhenAboutAThirdIsFree: true, progress: true },
    refuse: { toldWhenAboutAThirdIsFree: true, progress: true },
  },
  {
    name: 'a send to a socket that has room again, but not a third',
    connections: 1,
    async observe({ driver, streams: [stream] }, world) {
      const { waits, told } = await block(driver, world, stream);
      if (waits) {
        // It was woken neither: the send under way is the only one that there can be.
        stream.peer.read(quarter);
        return { taken: (await later(driver, world, 10)).length > 0 };
      }
      let taken = 0;
      while (taken <= 0) {
        stream.peer.read(quarter);
        const results = driver.flush(sendOf(stream, quarter));
        told.push(...results.filter(({ op }) => op === SenderOp.poll));
        taken = results.find(({ op }) => op === SenderOp.send)!.value;
      }
      return { taken: taken > 0, toldBefore: told.length > 0 };
    },
    wait: { taken: false },
    refuse: { taken: true, toldBefore: false },
  },
  {
    name: 'bytes that change while their send is under way',
    connections: 1,
    async observe({ driver, streams: [stream] }, world) {
      const { arena } = driver.under;
      arena.fill(1, 0, sendBufferBytes);
      await fill(driver, world, stream);
      arena.fill(2, 0, sendBufferBytes);
      let changed = false;
      try {
        for (let quiet = 0; quiet < 3; quiet++) {
          const read = stream.peer.read(1 << 20);
          if (typeof read !== 'string') {
            quiet = 0;
            if (read.includes(2)) changed = true;
          }
          await later(driver, world, 5);
        }
      } catch (error) {
        // The simulated kernel objects as soon as it would read them.
        if (!(error instanceof SimulationFailure) || error.invariant !== 'I07') throw error;
        changed = true;
      }
      // So that what still waits can be taken down in peace.
      arena.fill(1, 0, sendBufferBytes);
      return { readWhenDone: changed };
    },
    wait: { readWhenDone: true },
    refuse: { readWhenDone: false },
  },
  {
    name: 'a full batch of small sends to healthy sockets',
    connections: 64,
    ringEntries: 64,
    async observe({ driver, streams }) {
      const results = driver.flush(...streams.map((stream) => sendOf(stream, 100)));
      return { inline: results.length, whole: results.filter(({ value }) => value === 100).length };
    },
    wait: { inline: 64, whole: 64 },
    refuse: { inline: 64, whole: 64 },
  },
  {
    name: 'more requests than the ring has entries',
    connections: 200,
    ringEntries: 64,
    async observe({ driver, streams }) {
      const results = driver.flush(...streams.map((stream) => sendOf(stream, 100)));
      return {
        inline: results.length,
        unsubmitted: driver.state(SenderState.unsubmitted),
        errno: driver.state(SenderState.submitErrno),
      };
    },
    wait: { inline: 200, unsubmitted: 0, errno: 0 },
    refuse: { inline: 200, unsubmitted: 0, errno: 0 },
  },
  {
    name: 'a send of nothing',
    connections: 2,
    async observe({ driver, streams: [healthy, full] }, world) {
      const toHealthy = values(driver.flush(sendOf(healthy, 0)));
      await fill(driver, world, full);
      return { toHealthy, toFull: values(driver.flush(sendOf(full, 0))) };
    },
    wait: { toHealthy: [0], toFull: [-16] },
    refuse: { toHealthy: [0], toFull: [0] },
  },
];

/** The facts of one row on one kernel. */
export async function observeRow(row: KernelRow, world: World): Promise<Facts> {
  const sizes = row.ringEntries === undefined ? {} : { ringEntries: row.ringEntries };
  const bench = await Bench.create(world, row.connections, sizes);
  try {
    return await row.observe(bench, world);
  } finally {
    await bench.dispose();
    await world.close();
  }
}
