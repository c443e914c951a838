import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrameReader } from '#ackgate/demo/frames.js';
import { OrderStatus, Side } from '#ackgate/demo/order-book.js';
import {
  decodeResponse,
  encodeRequest,
  RejectReason,
  type Request,
  RequestTag,
  type Response,
  ResponseTag,
  responseBytes,
} from '#ackgate/demo/protocol.js';
import { MatchingServer } from '#ackgate/demo/server.js';
import { ControlTag } from '#ackgate/index.js';
import { DisconnectReason } from '#ackgate/supervisor/index.js';

/** A client that takes its time: it shows frames as they are, and can send nonsense. */
class RawClient {
  readonly socket: Socket;
  readonly responses: (Response & { number: number })[] = [];
  ends = 0;
  /** Of the disconnect frames that it was sent. */
  readonly reasons: number[] = [];
  closed = false;
  readonly #frames = new FrameReader(responseBytes);
  #changed = () => {};

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    this.socket.on('data', (chunk) => this.#read(chunk));
    this.socket.on('error', () => {});
    this.socket.on('end', () => this.socket.end());
    this.socket.on('close', () => {
      this.closed = true;
      this.#changed();
    });
  }

  send(...requests: Request[]): this {
    this.socket.write(Buffer.concat(requests.map(encodeRequest)));
    return this;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async answers(ends: number): Promise<(Response & { number: number })[]> {
    await this.until(() => this.ends >= ends);
    return this.responses;
  }

  #read(chunk: Buffer): void {
    this.#frames.push(chunk);
    for (let body = this.#frames.next(); body !== null; body = this.#frames.next()) {
      if (body[0] === ControlTag.endOfBatch) this.ends++;
      else if (body[0] === ControlTag.disconnect) this.reasons.push(body[1]);
      else if (body[0] >= 0x10) this.responses.push(decodeResponse(body)!);
    }
    this.#changed();
  }
}

let directory: string;
let server: MatchingServer;
let clients: RawClient[];

async function start(policy = 'local', connections = 64): Promise<void> {
  server = await MatchingServer.start(
    { directory, port: 0, policy, backend: 'auto', connections },
    (error) => {
      throw error;
    },
  );
}

function client(): RawClient {
  const one = new RawClient(server.port);
  clients.push(one);
  return one;
}

function logon(clientId: number): Request {
  return { tag: RequestTag.logon, clientId };
}

function limit(requestId: number, side: Side, price: number, quantity: number): Request {
  return { tag: RequestTag.limit, requestId, side, price, quantity };
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ackgate-demo-server-'));
  clients = [];
});

afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

test('a fill reaches both sides, the one who asked and the one who waited', async () => {
  await start();
  const maker = client().send(logon(1), limit(1, Side.sell, 100, 5));
  await maker.answers(2);
  const taker = client().send(logon(2), limit(1, Side.buy, 101, 3));
  await taker.answers(2);
  await maker.until(() => maker.responses.length === 3);
  expect(maker.responses[2]).toMatchObject({
    tag: ResponseTag.fill,
    taker: false,
    requestId: 1,
    price: 100,
    quantity: 3,
    filled: 3,
    code: OrderStatus.open,
    number: 3,
  });
  expect(taker.responses.map(({ tag }) => tag)).toEqual([
    ResponseTag.loggedOn,
    ResponseTag.accepted,
    ResponseTag.fill,
  ]);
  expect(taker.responses[2]).toMatchObject({ taker: true, price: 100, filled: 3, code: OrderStatus.filled });
});

test('a client who went away misses a fill, and learns of it when it comes back and asks', async () => {
  await start();
  const maker = client().send(logon(1), limit(1, Side.sell, 100, 5));
  await maker.answers(2);
  maker.socket.destroy();
  await maker.until(() => maker.closed);
  await client()
    .send(logon(2), limit(1, Side.buy, 100, 4))
    .answers(2);
  const again = client().send(logon(1), { tag: RequestTag.query, requestId: 2, target: 1 });
  const [loggedOn, state] = await again.answers(2);
  expect(loggedOn).toMatchObject({ tag: ResponseTag.loggedOn, orderId: 1, number: 1 });
  expect(state).toMatchObject({
    tag: ResponseTag.orderState,
    code: OrderStatus.open,
    filled: 4,
    requestId: 2,
  });
});

test('a client who comes back before its old connection is gone takes its place', async () => {
  await start();
  const old = client().send(logon(1));
  await old.answers(1);
  const fresh = client().send(logon(1), limit(1, Side.buy, 10, 1));
  await fresh.answers(2);
  await old.until(() => old.closed);
  expect(old.responses).toHaveLength(1);
});

test('the same request again changes nothing, on whatever connection it comes', async () => {
  await start();
  await client()
    .send(logon(1), limit(1, Side.buy, 10, 1))
    .answers(2);
  const again = client().send(logon(1), limit(1, Side.buy, 10, 1), limit(2, Side.buy, 10, 1));
  const answers = await again.answers(3);
  expect(answers[1]).toMatchObject({ tag: ResponseTag.rejected, code: RejectReason.duplicateRequest });
  expect(answers[2]).toMatchObject({ tag: ResponseTag.accepted, requestId: 2 });
  expect(server.status().openOrders).toBe(2);
});

function orders(requestId: number): Request {
  return { tag: RequestTag.orders, requestId };
}

test('the open orders of a client come as a list, and one that has none is told so', async () => {
  await start();
  const one = client().send(logon(1), orders(1));
  expect((await one.answers(2)).slice(1)).toMatchObject([
    { tag: ResponseTag.orderState, requestId: 1, code: OrderStatus.unknown, match: 0, quantity: 0 },
  ]);
  await client()
    .send(logon(2), limit(1, Side.buy, 9, 1))
    .answers(2);
  for (let i = 2; i <= 24; i++) one.send(limit(i, Side.sell, 40 - i, 5));
  one.send({ tag: RequestTag.cancel, requestId: 25, target: 10 }, limit(26, Side.buy, 16, 2), orders(27));
  const listed = (await one.answers(28)).filter(({ requestId }) => requestId === 27);
  const open = Array.from({ length: 23 }, (_, i) => i + 2).filter((i) => i !== 10);
  expect(listed.map(({ match }) => match)).toEqual(open);
  for (const { match, code, price, quantity, orderId, filled, sequence } of listed) {
    expect({ code, price, quantity }).toEqual({ code: OrderStatus.open, price: 40 - match, quantity: 5 });
    expect({ orderId, filled, sequence }).toEqual({
      orderId: match,
      filled: match === 24 ? 2 : 0,
      sequence: 26,
    });
  }
});

test('what is out of range is rejected and not journaled', async () => {
  await start();
  const one = client().send(logon(1), limit(1, Side.buy, 0, 1), limit(2, Side.buy, 10, 0));
  const answers = await one.answers(3);
  for (const answer of answers.slice(1)) {
    expect(answer).toMatchObject({ tag: ResponseTag.rejected, code: RejectReason.outOfRange });
  }
  expect(server.status().lastSequence).toBe(0);
});

describe('a connection that talks nonsense ends, and only this one', () => {
  const frame = (...bytes: number[]) => Buffer.from([bytes.length, 0, 0, 0, ...bytes]);
  const good = encodeRequest(logon(1));
  test.each([
    ['an unknown tag', frame(0x7f, 0, 0, 0, 1, 0, 0, 0)],
    ['an order before the logon', encodeRequest(limit(1, Side.buy, 10, 1))],
    ['a second logon', Buffer.concat([good, good])],
  ])('%s', async (_, bytes) => {
    await start();
    const other = client().send(logon(7));
    await other.answers(1);
    const one = client();
    one.socket.write(bytes);
    await one.until(() => one.closed);
    expect(one.responses.at(-1)).toMatchObject({ tag: ResponseTag.rejected, code: RejectReason.malformed });
    expect(one.reasons).toEqual([]);
    await other.send(limit(1, Side.buy, 10, 1)).answers(2);
    expect(other.closed).toBe(false);
  });

  test.each([
    ['a frame that is too long', Buffer.from([0xff, 0xff, 0xff, 0x7f]), DisconnectReason.oversizeFrame],
    [
      'a frame one byte too long',
      frame(...good.subarray(4), ...Buffer.alloc(9)),
      DisconnectReason.oversizeFrame,
    ],
    ['an empty frame', Buffer.from([0, 0, 0, 0]), DisconnectReason.malformedFrame],
  ])('%s, which is no frame at all', async (_, bytes, reason) => {
    await start();
    const other = client().send(logon(7));
    await other.answers(1);
    const one = client().send(logon(1));
    one.socket.write(bytes);
    await one.until(() => one.closed);
    expect(one.responses.map(({ tag }) => tag)).toEqual([ResponseTag.loggedOn]);
    expect(one.reasons).toEqual([reason]);
    await other.send(limit(1, Side.buy, 10, 1)).answers(2);
    expect(other.closed).toBe(false);
  });
});

test('one client too many is told so, and there is room again when another has gone', async () => {
  await start('local', 2);
  const [one, two] = [client().send(logon(1)), client().send(logon(2))];
  await Promise.all([one.answers(1), two.answers(1)]);
  const third = client();
  await third.until(() => third.closed);
  expect(third.reasons).toEqual([DisconnectReason.tooManyConnections]);
  one.send({ tag: RequestTag.logoff, requestId: 1 });
  await one.until(() => one.closed);
  expect(one.responses.at(-1)).toMatchObject({ tag: ResponseTag.loggedOff });
  expect(one.reasons).toEqual([]);
  // The client may see the end before the server has noted it.
  let fourth = client().send(logon(3));
  while (await fourth.until(() => fourth.closed || fourth.ends > 0).then(() => fourth.closed)) {
    fourth = client().send(logon(3));
  }
  await two.send(limit(1, Side.buy, 10, 1)).answers(2);
});

test('a client that ends its requests gets all of its answers, then the end of the stream', async () => {
  await start();
  const requests = Array.from({ length: 500 }, (_, i) => limit(i + 1, Side.buy, 10, 1));
  const one = client().send(logon(1), ...requests);
  one.socket.end();
  await one.until(() => one.closed);
  expect(one.ends).toBe(501);
});

/** Until the server takes no more requests: ring and outbox are full. */
async function untilFull(): Promise<number> {
  let before = -1;
  while (before !== server.status().lastSequence || before === 0) {
    before = server.status().lastSequence;
    await sleep(200);
  }
  return before;
}

test('far more requests at once than the ring has room for are all answered, in order', async () => {
  await start();
  const one = client().send(logon(1));
  await one.answers(1);
  await server.pauseJournal();
  const count = 60_000;
  for (let i = 1; i <= count; i++) one.socket.write(encodeRequest(limit(i, Side.buy, 10, 1)));
  expect(await untilFull()).toBeLessThan(count);
  server.resumeJournal();
  const answers = await one.answers(count + 1);
  expect(answers.map(({ number }) => number)).toEqual(Array.from({ length: count + 1 }, (_, i) => i + 1));
  expect(server.status().dropsOverflow).toBe(0);
});

test('a request waits for room for all of its answers, and others wait for that', async () => {
  await start();
  const [maker, taker] = [client().send(logon(1)), client().send(logon(2))];
  const makers = 3000;
  for (let i = 1; i <= makers; i++) maker.socket.write(encodeRequest(limit(i, Side.sell, 10, 1)));
  await Promise.all([maker.answers(makers + 1), taker.answers(1)]);
  await server.pauseJournal();
  // They leave too little room in the ring for all the fills of the next one.
  const fillers = 14_000;
  for (let i = 1; i <= fillers; i++) taker.socket.write(encodeRequest(limit(i, Side.buy, 9, 1)));
  while (server.status().lastSequence < makers + fillers) await sleep(10);
  taker.send(limit(fillers + 1, Side.buy, 10, makers), limit(fillers + 2, Side.buy, 9, 1));
  while (server.status().lastSequence < makers + fillers + 1) await sleep(10);
  maker.send({ tag: RequestTag.query, requestId: makers + 1, target: 1 });
  server.resumeJournal();
  await Promise.all([taker.answers(fillers + 3), maker.answers(makers + 2)]);
  for (const one of [maker, taker]) {
    expect(one.responses.map(({ number }) => number)).toEqual(one.responses.map((_, i) => i + 1));
  }
  expect(taker.responses).toHaveLength(1 + fillers + (1 + makers) + 1);
  expect(maker.responses).toHaveLength(1 + makers + makers + 1);
  expect(maker.responses.at(-1)).toMatchObject({ tag: ResponseTag.orderState, code: OrderStatus.filled });
});

test('a list of orders waits for room for all of it, and others wait for that', async () => {
  await start();
  const [one, other] = [client().send(logon(1)), client().send(logon(2))];
  const open = 1100;
  for (let i = 1; i <= open; i++) one.socket.write(encodeRequest(limit(i, Side.sell, 10, 1)));
  await Promise.all([one.answers(open + 1), other.answers(1)]);
  await server.pauseJournal();
  const fillers = 15_500;
  for (let i = 1; i <= fillers; i++) other.socket.write(encodeRequest(limit(i, Side.buy, 9, 1)));
  while (server.status().lastSequence < open + fillers) await sleep(10);
  one.send(orders(open + 1), limit(open + 2, Side.sell, 10, 1));
  await untilFull();
  expect(server.status().lastSequence).toBe(open + fillers);
  server.resumeJournal();
  await one.answers(open + 3);
  const { responses } = one;
  expect(responses.map(({ number }) => number)).toEqual(responses.map((_, i) => i + 1));
  expect(responses.slice(open + 1, -1).map(({ match }) => match)).toEqual(
    Array.from({ length: 1024 }, (_, i) => i + 1),
  );
  expect(responses.at(-1)).toMatchObject({ tag: ResponseTag.accepted, requestId: open + 2 });
});

test('what a client had asked for before it came back is not done behind the answer to its logon', async () => {
  await start();
  const [old, filler] = [client().send(logon(1)), client().send(logon(2))];
  await Promise.all([old.answers(1), filler.answers(1)]);
  await server.pauseJournal();
  for (let i = 1; i <= 20_000; i++) filler.socket.write(encodeRequest(limit(i, Side.buy, 9, 1)));
  const full = await untilFull();
  for (let i = 1; i <= 100; i++) old.socket.write(encodeRequest(limit(i, Side.buy, 10, 1)));
  old.socket.end();
  // By now the server has seen the end, and the requests before it wait for room.
  while (server.status().supervisor!.active > 1) await sleep(10);
  expect(server.status().lastSequence).toBe(full);
  const fresh = client().send(logon(1));
  server.resumeJournal();
  const [loggedOn] = await fresh.answers(1);
  const applied = loggedOn.orderId;
  await filler.answers(20_001);
  const list = await fresh.send(orders(200)).answers(2);
  expect(list.slice(1).filter(({ match }) => match > 0)).toHaveLength(applied);
});

test('with the gate closed nothing is answered, no more is taken, and closing still ends', async () => {
  await start('persisted>=2');
  const one = client().send(logon(1));
  for (let i = 1; i <= 60_000; i++) one.socket.write(encodeRequest(limit(i, Side.buy, 10, 1)));
  expect(await untilFull()).toBeLessThan(60_000);
  // But for the logon: it was answered before there was anything to wait for.
  expect(one.responses.map(({ tag }) => tag)).toEqual([ResponseTag.loggedOn]);
  expect(one.closed).toBe(false);
});

test('a server that is told to end while it starts ends', async () => {
  const program = join(import.meta.dirname, '../dist/demo/server-process.js');
  // From before Node has come up to after it listens; which moment is which depends on the machine.
  for (const afterMs of [0, 50, 100, 150, 200, 250, 300, 400]) {
    const config = JSON.stringify({ directory: join(directory, `start-${afterMs}`), port: 0 });
    const child = spawn(process.execPath, [program, config], { stdio: 'ignore' });
    const exited = once(child, 'exit');
    await sleep(afterMs);
    child.kill('SIGTERM');
    const [code, signal] = await exited;
    expect(code === 0 || signal === 'SIGTERM', `ended with ${code ?? signal} after ${afterMs} ms`).toBe(true);
  }
});
