import { describe, expect, test } from 'vitest';
import { Engine } from '#ackgate/demo/engine.js';
import { Ledger } from '#ackgate/demo/ledger.js';
import { OrderStatus } from '#ackgate/demo/order-book.js';
import { OrderMix } from '#ackgate/demo/order-mix.js';
import {
  type Command,
  encodeResponse,
  RejectReason,
  type Request,
  RequestTag,
  type Response,
  ResponseTag,
  response,
  responseBytes,
} from '#ackgate/demo/protocol.js';

type Frame = Buffer | 'end';

/** Clients and an engine joined by function calls: every frame that a server would send, in order. */
class Market {
  readonly engine = new Engine();
  readonly ledgers: Ledger[] = [];
  readonly frames: Frame[][] = [];
  readonly commands: { clientId: number; command: Command }[] = [];
  readonly #mixes: OrderMix[] = [];
  readonly #numbers: number[] = [];

  constructor(clients: number, ordersMax = 1024) {
    for (let i = 0; i < clients; i++) {
      const ledger = new Ledger({ ordersMax });
      this.ledgers.push(ledger);
      this.#mixes.push(new OrderMix(i, ledger));
      this.#numbers.push(0);
      this.frames.push([]);
      this.logon(i);
    }
    this.deliver();
  }

  logon(client: number): void {
    this.ledgers[client].sent({ tag: RequestTag.logon, clientId: client + 1 }, 0);
    this.#numbers[client] = 0;
    const orderId = this.engine.lastRequestId(client + 1);
    this.answer(client, response(ResponseTag.loggedOn, { orderId, sequence: this.engine.lastSequence }));
    this.frames[client].push('end');
  }

  answer(client: number, answer: Response): void {
    const body = Buffer.alloc(responseBytes);
    encodeResponse(answer, ++this.#numbers[client], body);
    this.frames[client].push(body);
  }

  request(client: number, request: Request = this.#mixes[client].next()): void {
    this.ledgers[client].sent(request, 0);
    if (request.tag === RequestTag.orders) {
      const answers = this.engine.openOrders(client + 1, request.requestId);
      for (const answer of answers) this.answer(client, answer);
    } else if (request.tag === RequestTag.query) {
      this.answer(client, this.engine.query(client + 1, request.requestId, request.target));
    } else if (request.tag !== RequestTag.logon && request.tag !== RequestTag.logoff) {
      const sequence = this.engine.lastSequence + 1;
      this.commands.push({ clientId: client + 1, command: request });
      for (const answer of this.engine.apply(sequence, client + 1, request)) {
        this.answer(answer.clientId - 1, answer.response);
      }
    }
    this.frames[client].push('end');
  }

  /** Asks for all open orders. */
  orders(client: number): void {
    this.request(client, { tag: RequestTag.orders, requestId: this.ledgers[client].nextRequestId });
  }

  /** The client's connection breaks, with what is on its way to it, and it comes back. */
  reconnect(client: number): void {
    this.frames[client].length = 0;
    this.ledgers[client].disconnected();
    this.logon(client);
    deliver(this.ledgers[client], this.frames[client].splice(0));
    this.#mixes[client].resume();
  }

  deliver(): void {
    for (const [client, ledger] of this.ledgers.entries()) deliver(ledger, this.frames[client].splice(0));
  }
}

function deliver(ledger: Ledger, frames: Frame[]): void {
  for (const frame of frames) {
    if (frame === 'end') ledger.endOfBatch();
    else ledger.received(frame);
  }
}

const nothingWrong = { missing: 0, duplicated: 0, outOfOrder: 0, corrupted: 0 };

/** A market that has run for a while, with the frames of the first client held back. */
function marketWithPendingFrames(): { market: Market; frames: Frame[]; ledger: Ledger } {
  const market = new Market(2);
  for (let i = 0; i < 200; i++) {
    market.request(i % 2);
    market.deliver();
  }
  for (let i = 0; i < 60; i++) market.request(i % 2);
  const frames = market.frames[0].splice(0);
  market.deliver();
  return { market, frames, ledger: market.ledgers[0] };
}

test('finds nothing wrong with what the engine says, however late it comes', () => {
  const market = new Market(5);
  for (let i = 0; i < 20_000; i++) {
    market.request(i % 5);
    if (i % 11 === 0) market.orders(i % 5);
    if (i % 37 === 0) market.deliver();
  }
  market.deliver();
  const seen = new Set<number>();
  for (const ledger of market.ledgers) {
    expect(ledger.violations).toEqual([]);
    expect(ledger.verified).toEqual(nothingWrong);
    expect(ledger.waiting).toBe(0);
    for (const order of ledger.open.values()) seen.add(order.orderId);
  }
  expect(seen.size).toBe(market.engine.book.openOrders);
  const sum = (role: 'makerFills' | 'takerFills') =>
    market.ledgers.map((ledger) => ledger[role]).reduce((a, b) => ({ ...b, count: a.count + b.count }));
  expect(sum('makerFills').count).toBe(sum('takerFills').count);
  expect(sum('makerFills').count).toBeGreaterThan(1000);
});

test('the engine says the same again when its journal is replayed', () => {
  const market = new Market(3);
  for (let i = 0; i < 3000; i++) {
    market.request(i % 3);
    if (i % 10 === 0) market.deliver();
  }
  const replayed = new Engine();
  for (const [i, { clientId, command }] of market.commands.entries()) {
    expect(replayed.refusal(clientId, command)).toBeNull();
    replayed.apply(i + 1, clientId, command);
  }
  for (const side of [0, 1] as const) {
    const orders = (engine: Engine) =>
      [...engine.book.orders(side)].map(({ orderId, price, filled }) => [orderId, price, filled]);
    expect(orders(replayed)).toEqual(orders(market.engine));
  }
  for (const clientId of [1, 2, 3]) {
    expect(replayed.lastRequestId(clientId)).toBe(market.engine.lastRequestId(clientId));
  }
});

describe('notices', () => {
  const bodies = (frames: Frame[]) => frames.flatMap((frame, i) => (frame === 'end' ? [] : [i]));

  test('any single response that is lost', () => {
    const count = bodies(marketWithPendingFrames().frames).length;
    for (let n = 0; n < count; n++) {
      const { frames, ledger } = marketWithPendingFrames();
      frames.splice(bodies(frames)[n], 1);
      deliver(ledger, frames);
      // The last one leaves no gap behind it; the count of responses at the logoff shows it.
      if (n < count - 1) expect(ledger.verified.missing).toBeGreaterThan(0);
    }
  });

  test('any single response that comes twice', () => {
    const count = bodies(marketWithPendingFrames().frames).length;
    for (let n = 0; n < count; n++) {
      const { frames, ledger } = marketWithPendingFrames();
      const at = bodies(frames)[n];
      frames.splice(at, 0, frames[at]);
      deliver(ledger, frames);
      expect(ledger.verified).toEqual({ ...nothingWrong, duplicated: 1 });
    }
  });

  test('any two neighbouring responses that are swapped', () => {
    const count = bodies(marketWithPendingFrames().frames).length;
    for (let n = 0; n < count - 1; n++) {
      const { frames, ledger } = marketWithPendingFrames();
      const [a, b] = bodies(frames).slice(n, n + 2);
      [frames[a], frames[b]] = [frames[b], frames[a]];
      deliver(ledger, frames);
      expect(ledger.verified.outOfOrder).toBeGreaterThan(0);
    }
  });

  test('any single response that was changed, with a right checksum or not', () => {
    const count = bodies(marketWithPendingFrames().frames).length;
    for (let n = 0; n < count; n++) {
      const { frames, ledger } = marketWithPendingFrames();
      const at = bodies(frames)[n];
      frames[at] = Buffer.from(frames[at] as Buffer);
      frames[at][20 + (n % 4)] ^= 1;
      deliver(ledger, frames);
      expect(ledger.verified.corrupted).toBeGreaterThan(0);
    }
  });

  test('a wrong price, quantity or order under a right checksum', () => {
    for (const change of [{ price: 1 }, { quantity: 99_999 }, { filled: 99_999 }, { requestId: 77_777 }]) {
      const { market, ledger } = marketWithPendingFrames();
      market.frames[0].length = 0;
      const fresh = new Ledger();
      fresh.sent({ tag: RequestTag.limit, requestId: 1, side: 0, price: 10, quantity: 5 }, 0);
      const right = response(ResponseTag.accepted, {
        requestId: 1,
        price: 10,
        quantity: 5,
        orderId: 3,
        sequence: 3,
        code: 1,
      });
      const body = Buffer.alloc(responseBytes);
      encodeResponse({ ...right, ...change }, 1, body);
      fresh.received(body);
      expect(fresh.verified.corrupted, JSON.stringify(change)).toBe(1);
      expect(ledger.verified.corrupted).toBe(0);
    }
  });

  test('an end of batch too few and one too many', () => {
    const few = marketWithPendingFrames();
    few.frames.splice(few.frames.indexOf('end'), 1);
    deliver(few.ledger, few.frames);
    few.ledger.giveUp();
    expect(few.ledger.verified.missing).toBeGreaterThan(0);
    const many = marketWithPendingFrames();
    deliver(many.ledger, [...many.frames, 'end']);
    expect(many.ledger.verified).toEqual({ ...nothingWrong, duplicated: 1 });
  });

  test('an acknowledged order that the server forgot over a restart, but not one it never acknowledged', () => {
    const ledger = new Ledger();
    const market = new Market(1);
    market.logon(0);
    const [logon] = market.frames[0];
    const order = { tag: RequestTag.limit, side: 0, price: 10, quantity: 5 } as const;
    ledger.sent({ ...order, requestId: 1 }, 0);
    const body = Buffer.alloc(responseBytes);
    const fields = { requestId: 1, price: 10, quantity: 5, orderId: 1, sequence: 0, code: 1 };
    encodeResponse(response(ResponseTag.accepted, { ...fields, sequence: 1 }), 1, body);
    deliver(ledger, [body, 'end']);
    ledger.sent({ ...order, requestId: 2 }, 0);
    ledger.disconnected();
    ledger.sent({ tag: RequestTag.logon, clientId: 1 }, 0);
    deliver(ledger, [logon, 'end']);
    // Also the sequence fell back behind one that was seen.
    expect(ledger.verified).toEqual({ ...nothingWrong, missing: 1, outOfOrder: 1 });
    expect(ledger.orders.size).toBe(0);
  });
});

test('finds nothing wrong with a client that is cut off again and again, and forgets what is over', () => {
  const market = new Market(3);
  for (let i = 0; i < 60_000; i++) {
    market.request(i % 3);
    if (i % 13 === 0) market.orders(i % 3);
    if (i % 17 === 0) market.deliver();
    if (i % 101 === 0) market.reconnect(i % 2);
  }
  market.deliver();
  for (const client of [0, 1, 2]) market.orders(client);
  market.deliver();
  for (const [client, ledger] of market.ledgers.entries()) {
    expect(ledger.violations).toEqual([]);
    expect(ledger.orders.size).toBeLessThan(1100);
    const open = market.engine.openOrders(client + 1, 1).map(({ match }) => match);
    expect([...ledger.open.keys()]).toEqual(open);
    expect(open.length).toBeLessThan(40);
  }
});

describe('after a connection broke', () => {
  const sell = { tag: RequestTag.limit, side: 1, price: 10, quantity: 5 } as const;
  const cancel = { tag: RequestTag.cancel, requestId: 2, target: 1 } as const;

  test('an order can be cancelled whose acknowledgement was lost', () => {
    const market = new Market(1);
    const [ledger] = market.ledgers;
    market.request(0, { ...sell, requestId: 1 });
    market.reconnect(0);
    market.request(0, cancel);
    market.deliver();
    expect(ledger.violations).toEqual([]);
    expect(ledger.open.size).toBe(0);
  });

  test('an order that was filled unseen is closed by what the cancel says, and a query tells how', () => {
    const market = new Market(2);
    const [ledger] = market.ledgers;
    market.request(0, { ...sell, requestId: 1 });
    market.deliver();
    market.request(1, { ...sell, side: 0, requestId: 1 });
    market.reconnect(0);
    market.request(0, cancel);
    market.deliver();
    expect(ledger.violations).toEqual([]);
    expect(ledger.open.size).toBe(0);
    market.request(0, { tag: RequestTag.query, requestId: 3, target: 1 });
    market.deliver();
    expect(ledger.violations).toEqual([]);
    expect(ledger.orders.get(1)).toMatchObject({ status: OrderStatus.filled, filled: 5, exact: true });
  });
});

test('an order is not forgotten while an answer about it is under way', () => {
  const market = new Market(2, 8);
  const [ledger] = market.ledgers;
  const sell = { tag: RequestTag.limit, side: 1, price: 10, quantity: 5 } as const;
  market.request(0, { ...sell, requestId: 1 });
  market.deliver();
  market.request(1, { ...sell, side: 0, requestId: 1 });
  market.request(0, { tag: RequestTag.query, requestId: 2, target: 1 });
  const [fill, ...later] = market.frames[0].splice(0);
  deliver(ledger, [fill!]);
  for (let requestId = 3; requestId < 30; requestId++) market.request(0, { ...sell, requestId });
  deliver(ledger, later);
  market.deliver();
  expect(ledger.violations).toEqual([]);
});

describe('a list of open orders', () => {
  /** Orders 1, 2 and 3 of a client, of which 2 was cancelled by request 4, and the frames of the list. */
  function listed(): { ledger: Ledger; list: Response[]; first: number } {
    const market = new Market(1);
    const [ledger] = market.ledgers;
    const order = { tag: RequestTag.limit, side: 0, price: 10, quantity: 5 } as const;
    for (const requestId of [1, 2, 3]) market.request(0, { ...order, requestId });
    market.request(0, { tag: RequestTag.cancel, requestId: 4, target: 2 });
    market.deliver();
    ledger.sent({ tag: RequestTag.orders, requestId: 5 }, 0);
    // Placed behind the question: it is none of the answer's.
    ledger.sent({ ...order, requestId: 6 }, 0);
    return { ledger, list: market.engine.openOrders(1, 5), first: 6 };
  }

  function judge(change: (list: Response[]) => Response[]) {
    const { ledger, list, first } = listed();
    for (const [i, answer] of change(list).entries()) {
      const body = Buffer.alloc(responseBytes);
      encodeResponse(answer, first + i, body);
      ledger.received(body);
    }
    ledger.endOfBatch();
    return ledger.verified;
  }

  const none = response(ResponseTag.orderState, { requestId: 5, sequence: 4 });

  test('is right', () => {
    expect(judge((list) => list)).toEqual(nothingWrong);
    expect(listed().list.map(({ match }) => match)).toEqual([1, 3]);
  });

  test.each<[string, (list: Response[]) => Response[], object]>([
    ['lacks the first order', ([, b]) => [b!], { missing: 1 }],
    ['lacks the last order', ([a]) => [a!], { missing: 1 }],
    ['is said to be empty', () => [none], { missing: 2 }],
    ['is said to be empty at its end', (list) => [...list, none], { corrupted: 1 }],
    ['goes on after it was said to be empty', (list) => [none, ...list], { corrupted: 2, missing: 2 }],
    ['has nothing in it', () => [], { missing: 1 }],
    ['has an order twice', ([a, b]) => [a!, a!, b!], { corrupted: 1 }],
    ['is in another order', ([a, b]) => [b!, a!], { corrupted: 1, missing: 1 }],
    ['has an order that is closed', ([a, b]) => [a!, { ...a!, match: 2 }, b!], { corrupted: 1 }],
    ['has an order of the future', ([a, b]) => [a!, b!, { ...b!, match: 6 }], { corrupted: 1 }],
    ['has an order that never was', ([a, b]) => [a!, b!, { ...b!, match: 9 }], { corrupted: 1 }],
    ['has another quantity', ([a, b]) => [a!, { ...b!, quantity: 6 }], { corrupted: 1 }],
    ['has another status', ([a, b]) => [a!, { ...b!, code: 2 }], { corrupted: 1, missing: 1 }],
    ['has fills that were not told', ([a, b]) => [a!, { ...b!, filled: 1 }], { corrupted: 1 }],
    ['has another order id', ([a, b]) => [a!, { ...b!, orderId: 2 }], { corrupted: 1 }],
    ['answers another request', ([a, b]) => [a!, { ...b!, requestId: 7 }], { corrupted: 1, missing: 1 }],
    [
      'is of other responses',
      ([a, b]) => [a!, { ...b!, tag: ResponseTag.accepted }],
      { missing: 1, corrupted: 1 },
    ],
    ['is empty and yet of something', () => [{ ...none, quantity: 1 }], { corrupted: 1, missing: 2 }],
  ])('that %s is found', (_, change, found) => {
    expect(judge(change)).toEqual({ ...nothingWrong, ...found });
  });

  test('ends with the 1,024th order', () => {
    const market = new Market(1);
    const [ledger] = market.ledgers;
    const order = { tag: RequestTag.limit, side: 0, price: 10, quantity: 5 } as const;
    for (let requestId = 1; requestId <= 1030; requestId++) market.request(0, { ...order, requestId });
    market.deliver();
    market.orders(0);
    expect(market.frames[0]).toHaveLength(1024 + 1);
    market.deliver();
    expect(ledger.violations).toEqual([]);
  });
});

describe('a request that is wrong on purpose', () => {
  const wrong = { tag: RequestTag.limit, side: 0, price: 10, quantity: 0 } as const;

  function judge(answer: Response): { corrupted: number; rejectedFor: number | null | undefined } {
    const ledger = new Ledger();
    ledger.sent({ ...wrong, requestId: 1 }, 0, RejectReason.outOfRange);
    const body = Buffer.alloc(responseBytes);
    encodeResponse(answer, 1, body);
    ledger.received(body);
    const { rejectedFor } = ledger.endOfBatch()!;
    expect(ledger.orders.size).toBe(0);
    return { corrupted: ledger.verified.corrupted, rejectedFor };
  }

  test('has to be rejected, and for the right reason', () => {
    const rejected = (code: number) => response(ResponseTag.rejected, { requestId: 1, code });
    const { outOfRange, duplicateRequest } = RejectReason;
    expect(judge(rejected(outOfRange))).toEqual({ corrupted: 0, rejectedFor: outOfRange });
    expect(judge(rejected(duplicateRequest))).toEqual({ corrupted: 1, rejectedFor: duplicateRequest });
    const accepted = response(ResponseTag.accepted, { requestId: 1, price: 10, orderId: 1, sequence: 1 });
    expect(judge(accepted)).toEqual({ corrupted: 1, rejectedFor: null });
  });

  test('under a number that was used before does not take that number back', () => {
    const ledger = new Ledger();
    ledger.sent({ ...wrong, requestId: 7, quantity: 1 }, 0);
    ledger.sent({ ...wrong, requestId: 3 }, 0, RejectReason.duplicateRequest);
    expect(ledger.nextRequestId).toBe(8);
  });
});
