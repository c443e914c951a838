/**
 * What one client knows: the orders it placed, the requests it waits for, and what every answer must therefore
 * look like. It checks each response completely, and keeps its record over a broken connection, so that it can
 * tell whether a server that came back still knows everything that it acknowledged.
 */
import { emptyTally, type FillTally, tallyFill } from './fill-tally.js';
import { marketPrice, OrderStatus } from './order-book.js';
import { type Outstanding, OutstandingRequests } from './outstanding.js';
import { acceptable, echoes, OrderList, type OwnOrder } from './own-order.js';
import {
  decodeResponse,
  RejectReason,
  type Request,
  RequestTag,
  type Response,
  ResponseTag,
} from './protocol.js';

/** Counts of what must not happen. */
export interface Verified {
  /** Answers or end-of-batch frames that never came, and acknowledged orders that the server has forgotten. */
  missing: number;
  duplicated: number;
  outOfOrder: number;
  /** A wrong checksum, or content that contradicts the request or an earlier answer. */
  corrupted: number;
}

export interface LedgerOptions {
  /** Orders to remember; past it the oldest closed ones are forgotten. Default 1024. */
  ordersMax?: number;
  /** Told of each violation as it is found. */
  onViolation?: (kind: keyof Verified, detail: string) => void;
}

type Numbered = Response & { readonly number: number };

export class Ledger {
  readonly verified: Verified = { missing: 0, duplicated: 0, outOfOrder: 0, corrupted: 0 };
  readonly makerFills: FillTally = emptyTally();
  readonly takerFills: FillTally = emptyTally();
  /** By the id of the request that placed it, oldest first. */
  readonly orders = new Map<number, OwnOrder>();
  /** Those of them that are open as far as is known. */
  readonly open = new Map<number, OwnOrder>();
  /** What the first few violations were, for people. */
  readonly violations: string[] = [];
  readonly #ordersMax: number;
  readonly #onViolation: (kind: keyof Verified, detail: string) => void;
  readonly #outstanding = new OutstandingRequests();
  #lastRequestId = 0;
  #lastNumber = 0;
  #lastSequence = 0;
  #responses = 0;
  /** Numbers that were skipped, and may still come late. */
  readonly #skipped = new Set<number>();

  constructor(options: LedgerOptions = {}) {
    this.#ordersMax = options.ordersMax ?? 1024;
    this.#onViolation = options.onViolation ?? (() => {});
  }

  /** Responses received, whatever their content. */
  get responses(): number {
    return this.#responses;
  }

  /** Requests whose answer is not complete. */
  get waiting(): number {
    return this.#outstanding.count;
  }

  /** Highest sequence that a response has named: all up to it was durable when it was sent. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  get nextRequestId(): number {
    return this.#lastRequestId + 1;
  }

  /** Notes a request on its way out. */
  sent(request: Request, intendedAtMs: number, mustFailFor: RejectReason | null = null): void {
    this.#outstanding.add(request, intendedAtMs, mustFailFor);
    if (request.tag === RequestTag.logon) return;
    this.#lastRequestId = Math.max(this.#lastRequestId, request.requestId);
    if (mustFailFor !== null) return;
    if (request.tag !== RequestTag.limit && request.tag !== RequestTag.market) return;
    const { requestId, side, price, quantity } = request;
    const status = OrderStatus.open;
    const order = { requestId, side, price, quantity, orderId: 0, filled: 0, status, exact: true };
    this.orders.set(requestId, order);
    this.open.set(requestId, order);
    this.#forgetOld();
  }

  /** The connection broke: what was under way may or may not have been applied. */
  disconnected(): void {
    this.#outstanding.clear();
    this.#lastNumber = 0;
    this.#skipped.clear();
    for (const order of this.open.values()) order.exact = false;
  }

  /** Requests that will not be answered any more are missing. */
  giveUp(): void {
    if (this.waiting > 0)
      this.#violation('missing', `${this.waiting} requests without a whole answer`, this.waiting);
    this.#outstanding.clear();
  }

  /** Takes and checks the body of one response. */
  received(body: Buffer): void {
    this.#responses++;
    const response = decodeResponse(body);
    if (response === null) {
      this.#violation('corrupted', 'wrong size or checksum');
      return;
    }
    if (!this.#checkNumber(response)) return;
    if (response.sequence < this.#lastSequence) {
      this.#violation('outOfOrder', `sequence ${response.sequence} after ${this.#lastSequence}`);
    } else {
      this.#lastSequence = response.sequence;
    }
    const problem =
      response.tag === ResponseTag.fill
        ? this.#checkFill(response)
        : response.tag === ResponseTag.expired
          ? this.#checkExpiry(response)
          : this.#checkAnswer(response);
    if (problem !== null) this.#violation('corrupted', `response ${response.number}: ${problem}`);
  }

  /** Takes an end-of-batch frame. Returns the request that it ends, or null. */
  endOfBatch(): Readonly<Outstanding> | null {
    const ended = this.#outstanding.oldest;
    if (ended === undefined) {
      this.#violation('duplicated', 'an end of batch for no request');
      return null;
    }
    if (!ended.answered) this.#violation('missing', `no answer to ${JSON.stringify(ended.request)}`);
    this.#outstanding.removeOldest();
    ended.list?.end(this.#missedInList);
    const { request } = ended;
    if (request.tag === RequestTag.market && ended.answered) {
      const order = this.orders.get(request.requestId);
      if (order?.status === OrderStatus.open) this.#violation('corrupted', 'a market order was left open');
    }
    return ended;
  }

  /** False when the content must not be looked at: the response was seen before. */
  #checkNumber({ number }: Numbered): boolean {
    const expected = this.#lastNumber + 1;
    if (number >= expected) {
      if (number > expected)
        this.#violation('missing', `response ${number} after ${expected - 1}`, number - expected);
      for (let n = Math.max(expected, number - 1000); n < number; n++) this.#skipped.add(n);
      this.#lastNumber = number;
      return true;
    }
    if (this.#skipped.delete(number)) {
      this.verified.missing--;
      this.#violation('outOfOrder', `response ${number} after ${this.#lastNumber}`);
      return true;
    }
    this.#violation('duplicated', `response ${number} again`);
    return false;
  }

  /** Checks the answer to the oldest open request. Returns what is wrong, or null. */
  #checkAnswer(response: Numbered): string | null {
    const outstanding = this.#outstanding.answeredBy(response.requestId, this.#unanswered);
    if (outstanding === null) return `answers request ${response.requestId}, which is not open`;
    const { request, mustFailFor } = outstanding;
    if (outstanding.answered && outstanding.list === null) {
      return `second answer to request ${response.requestId}`;
    }
    outstanding.answered = true;
    if (response.tag === ResponseTag.rejected) outstanding.rejectedFor = response.code;
    if (mustFailFor !== null) {
      return outstanding.rejectedFor === mustFailFor ? null : `not rejected for reason ${mustFailFor}`;
    }
    if (request.tag === RequestTag.logon) return this.#checkLogon(response);
    switch (request.tag) {
      case RequestTag.limit:
      case RequestTag.market:
        return this.#checkAccepted(response);
      case RequestTag.cancel:
        return this.#checkCancelled(response, request.target);
      case RequestTag.query:
        return this.#checkState(response, request.target);
      case RequestTag.orders:
        outstanding.list ??= new OrderList(this.#openBefore(request.requestId));
        return this.#checkListed(response, outstanding.list);
      case RequestTag.logoff:
        return response.tag === ResponseTag.loggedOff ? null : 'no confirmation of the logoff';
    }
  }

  #checkLogon(response: Numbered): string | null {
    if (response.tag !== ResponseTag.loggedOn) return 'no confirmation of the logon';
    const applied = response.orderId;
    for (const order of this.orders.values()) {
      if (order.requestId <= applied) continue;
      // What was never acknowledged may be lost; the rest may not.
      if (order.orderId > 0) this.#violation('missing', `acknowledged order ${order.requestId} is lost`);
      this.#delete(order);
    }
    this.#lastRequestId = Math.max(this.#lastRequestId, applied);
    return null;
  }

  #checkAccepted(response: Numbered): string | null {
    const order = this.orders.get(response.requestId);
    if (response.tag !== ResponseTag.accepted || order === undefined) return 'a valid order was not accepted';
    if (!echoes(response, order) || response.filled !== 0) return 'not the order that was sent';
    if (response.orderId < 1 || response.orderId !== response.sequence) return 'wrong order id';
    order.orderId = response.orderId;
    return null;
  }

  #checkCancelled(response: Numbered, target: number): string | null {
    const order = this.orders.get(target);
    if (response.tag === ResponseTag.rejected) {
      if (response.code !== RejectReason.notOpen) return `cancel rejected for reason ${response.code}`;
      if (order?.status !== OrderStatus.open) return null;
      if (order.exact) return 'cancel of an open order rejected';
      this.#closedUnseen(order);
      return null;
    }
    if (response.tag !== ResponseTag.cancelled || order === undefined) return 'not the answer to a cancel';
    if (!echoes(response, order)) return 'another order was cancelled';
    // The acknowledgement may have been lost with a connection.
    if (order.orderId > 0 && response.orderId !== order.orderId) return 'another order id';
    if (order.status !== OrderStatus.open) return 'an order that was closed was cancelled';
    return this.#adopt(order, response, OrderStatus.cancelled);
  }

  #checkState(response: Numbered, target: number): string | null {
    const order = this.orders.get(target);
    if (response.tag !== ResponseTag.orderState || order === undefined) return 'not the answer to a query';
    if (response.code === OrderStatus.unknown) {
      // Sent and never acknowledged: it may be lost with the server.
      if (order.orderId === 0 && !order.exact) this.#delete(order);
      else this.#violation('missing', `acknowledged order ${target} is unknown`);
      return null;
    }
    if (!echoes(response, order)) return 'not the order that was sent';
    if (order.exact && response.code !== order.status) return `status ${response.code}, not ${order.status}`;
    if (order.status !== OrderStatus.open && response.code === OrderStatus.open)
      return 'a closed order is open';
    if (order.orderId > 0 && response.orderId !== order.orderId) return 'another order id';
    return this.#adopt(order, response, response.code as OrderStatus);
  }

  #checkListed(response: Numbered, list: OrderList): string | null {
    if (response.tag !== ResponseTag.orderState) return 'not the answer to a request for orders';
    const problem = list.take(response, this.#missedInList);
    if (problem !== null || response.match === 0) return problem;
    return this.#checkState(response, response.match);
  }

  /** Open orders as far as is known, without those that were placed after this request. */
  #openBefore(requestId: number): OwnOrder[] {
    return [...this.open.values()].filter((order) => order.requestId < requestId);
  }

  readonly #missedInList = (order: OwnOrder): void => {
    if (order.exact) this.#violation('missing', `open order ${order.requestId} is not in the list`);
    else this.#closedUnseen(order);
  };

  #checkFill(response: Numbered): string | null {
    const { side, price, quantity, taker } = response;
    const order = this.orders.get(response.requestId);
    if (order === undefined) return `fill of order ${response.requestId}, which is not known`;
    if (side !== order.side || quantity < 1) return 'wrong side or quantity';
    if (order.status !== OrderStatus.open) return 'fill of a closed order';
    if (order.exact && response.filled !== order.filled + quantity) return 'fills do not add up';
    if (order.orderId > 0 && response.orderId !== order.orderId) return 'another order id';
    if (taker) {
      const { oldest } = this.#outstanding;
      if (
        oldest?.request.tag === RequestTag.logon ||
        oldest?.request.requestId !== order.requestId ||
        !oldest.answered
      ) {
        return 'a taker fill outside its own answer';
      }
      if (!acceptable(order, price)) return `price ${price} is worse than ${order.price}`;
    } else if (price !== order.price) {
      return `a maker fill at ${price}, not at ${order.price}`;
    }
    tallyFill(taker ? this.takerFills : this.makerFills, response);
    return this.#adopt(
      order,
      response,
      response.filled === order.quantity ? OrderStatus.filled : OrderStatus.open,
    );
  }

  #checkExpiry(response: Numbered): string | null {
    const order = this.orders.get(response.requestId);
    if (order === undefined || order.price !== marketPrice) return 'expiry of what is no market order';
    if (!echoes(response, order) || response.filled >= order.quantity) return 'not the order that was sent';
    if (order.status !== OrderStatus.open) return 'expiry of a closed order';
    return this.#adopt(order, response, OrderStatus.expired);
  }

  readonly #unanswered = ({ request }: Outstanding): void => {
    this.#violation('missing', `no whole answer to ${JSON.stringify(request)}`);
  };

  #forgetOld(): void {
    // An answer under way may still be about an order that was closed meanwhile.
    if (this.waiting > this.#ordersMax / 4) return;
    for (let tries = 0; this.orders.size > this.#ordersMax && tries < 2; tries++) {
      const [requestId, order] = this.orders.entries().next().value!;
      this.orders.delete(requestId);
      if (order.status === OrderStatus.open) this.orders.set(requestId, order);
    }
  }

  /** Takes over how an order stands. What was once seen filled or closed can't be undone. */
  #adopt(order: OwnOrder, { filled, orderId, tag, quantity }: Numbered, status: OrderStatus): string | null {
    const before = tag === ResponseTag.fill ? order.filled + quantity : order.filled;
    if (order.exact ? filled !== before : filled < before) return `${filled} filled, not ${before}`;
    if (filled > order.quantity) return `${filled} of ${order.quantity} filled`;
    if ((status === OrderStatus.filled) !== (filled === order.quantity))
      return `status ${status} with ${filled} filled`;
    order.filled = filled;
    order.status = status;
    order.orderId = orderId;
    order.exact = true;
    if (status !== OrderStatus.open) this.open.delete(order.requestId);
    return null;
  }

  /** It was closed while there was no connection. A query can still find out how. */
  #closedUnseen(order: OwnOrder): void {
    order.status = OrderStatus.unknown;
    this.open.delete(order.requestId);
  }

  #delete(order: OwnOrder): void {
    this.orders.delete(order.requestId);
    this.open.delete(order.requestId);
  }

  #violation(kind: keyof Verified, what: string, count = 1): void {
    this.verified[kind] += count;
    if (this.violations.length < 10) this.violations.push(`${kind}: ${what}`);
    this.#onViolation(kind, what);
  }
}
