/**
 * The matching engine: the order book, whose order is whose, and which requests were applied. Like the book it
 * is a function of the commands it was given, in the order of the journal.
 */
import { Order, OrderBook, OrderStatus } from './order-book.js';
import {
  type Command,
  idMax,
  listedOrdersMax,
  priceMax,
  quantityMax,
  RejectReason,
  RequestTag,
  type Response,
  ResponseTag,
  response,
} from './protocol.js';

/** Closed orders that can still be asked for. The oldest is forgotten first: each holds some 200 bytes of memory. */
const closedOrdersMax = 16_384;

/** A response and whom it is for. */
export interface Addressed {
  readonly clientId: number;
  readonly response: Response;
}

class Account {
  readonly clientId: number;
  lastRequestId = 0;
  readonly orders = new Map<number, Order>();
  /** Those of them that rest in the book, oldest first. */
  readonly open = new Map<number, Order>();

  constructor(clientId: number) {
    this.clientId = clientId;
  }
}

export class Engine {
  readonly #book = new OrderBook();
  readonly #accounts = new Map<number, Account>();
  readonly #closedOrdersMax: number;
  /** The last closed orders. Once there are as many as may be, each takes the place of the oldest. */
  readonly #closed: Order[] = [];
  #closedNext = 0;
  #lastSequence = 0;
  #clientIdMax = 0;

  constructor(options: { closedOrdersMax?: number } = {}) {
    this.#closedOrdersMax = options.closedOrdersMax ?? closedOrdersMax;
  }

  get book(): OrderBook {
    return this.#book;
  }

  /** Sequence of the last command applied. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Highest client id that ever gave a command. */
  get clientIdMax(): number {
    return this.#clientIdMax;
  }

  lastRequestId(clientId: number): number {
    return this.#accounts.get(clientId)?.lastRequestId ?? 0;
  }

  /** Why a command is not even worth a place in the journal, or null. Changes nothing. */
  refusal(clientId: number, command: Command): RejectReason | null {
    if (command.requestId <= this.lastRequestId(clientId)) return RejectReason.duplicateRequest;
    if (command.tag === RequestTag.cancel) return null;
    const { tag, price, quantity } = command;
    if (tag === RequestTag.limit && (price < 1 || price > priceMax)) return RejectReason.outOfRange;
    return quantity < 1 || quantity > quantityMax ? RejectReason.outOfRange : null;
  }

  /** Applies a command that has its place in the journal. Returns all answers, in the order to send them. */
  apply(sequence: number, clientId: number, command: Command): Addressed[] {
    this.#lastSequence = sequence;
    const account = this.#account(clientId);
    account.lastRequestId = command.requestId;
    return command.tag === RequestTag.cancel
      ? [{ clientId, response: this.#cancel(account, command.requestId, command.target) }]
      : this.#place(account, command);
  }

  /** How an order of this client stands. `requestId` is the question's own. */
  query(clientId: number, requestId: number, target: number): Response {
    const order = this.#accounts.get(clientId)?.orders.get(target);
    const sequence = this.#lastSequence;
    if (order === undefined) return response(ResponseTag.orderState, { requestId, sequence });
    return response(ResponseTag.orderState, { ...describe(order), requestId, sequence });
  }

  /** Open orders of this client, oldest first, or one response that there is none. `requestId` is the question's own. */
  openOrders(clientId: number, requestId: number): Response[] {
    const sequence = this.#lastSequence;
    const responses: Response[] = [];
    for (const order of this.#accounts.get(clientId)?.open.values() ?? []) {
      if (responses.length === listedOrdersMax) break;
      const match = order.requestId;
      responses.push(response(ResponseTag.orderState, { ...describe(order), requestId, sequence, match }));
    }
    if (responses.length === 0) responses.push(response(ResponseTag.orderState, { requestId, sequence }));
    return responses;
  }

  #place(account: Account, command: Exclude<Command, { tag: typeof RequestTag.cancel }>): Addressed[] {
    const { clientId } = account;
    const { requestId, side, price, quantity } = command;
    const sequence = this.#lastSequence;
    const order = new Order(sequence, clientId, requestId, side, price, quantity);
    account.orders.set(requestId, order);

    const fields = { ...describe(order), sequence };
    const answers: Addressed[] = [{ clientId, response: response(ResponseTag.accepted, fields) }];
    let takerFilled = 0;
    for (const [match, { maker, quantity }] of this.#book.place(order).entries()) {
      takerFilled += quantity;
      const { price } = maker;
      const trade = { price, quantity, sequence, match };
      answers.push({
        clientId: maker.clientId,
        response: response(ResponseTag.fill, { ...describe(maker), ...trade }),
      });
      const own = { ...fields, ...trade, filled: takerFilled, taker: true };
      own.code = takerFilled === order.quantity ? OrderStatus.filled : OrderStatus.open;
      answers.push({ clientId, response: response(ResponseTag.fill, own) });
      if (maker.status !== OrderStatus.open) this.#retain(maker);
    }
    if (order.status === OrderStatus.expired) {
      answers.push({
        clientId,
        response: response(ResponseTag.expired, { ...describe(order), sequence }),
      });
    }
    if (order.status === OrderStatus.open) account.open.set(requestId, order);
    else this.#retain(order);
    return answers;
  }

  #cancel(account: Account, requestId: number, target: number): Response {
    const sequence = this.#lastSequence;
    const order = account.orders.get(target);
    if (order === undefined || !this.#book.cancel(order)) {
      return response(ResponseTag.rejected, { requestId, sequence, code: RejectReason.notOpen });
    }
    this.#retain(order);
    return response(ResponseTag.cancelled, { ...describe(order), requestId, sequence });
  }

  #account(clientId: number): Account {
    let account = this.#accounts.get(clientId);
    if (account === undefined) {
      account = new Account(clientId);
      this.#accounts.set(clientId, account);
      this.#clientIdMax = Math.min(idMax, Math.max(this.#clientIdMax, clientId));
    }
    return account;
  }

  #retain(order: Order): void {
    this.#accounts.get(order.clientId)?.open.delete(order.requestId);
    const forgotten = this.#closed[this.#closedNext];
    if (forgotten !== undefined) this.#accounts.get(forgotten.clientId)?.orders.delete(forgotten.requestId);
    this.#closed[this.#closedNext] = order;
    this.#closedNext = (this.#closedNext + 1) % this.#closedOrdersMax;
  }
}

/** The fields of a response that describe an order as it stands. */
function describe(order: Order) {
  const { requestId, side, price, quantity, filled, orderId, status } = order;
  return { requestId, side, price, quantity, filled, orderId, code: status as number };
}
