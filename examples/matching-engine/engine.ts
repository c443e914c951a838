/**
 * The matching engine: the order book, whose order is whose, and which requests were applied. Like the book it
 * is a function of the commands it was given, in the order of the journal.
 */
import { Order, OrderBook, OrderStatus } from './order-book.js';
import {
  type Command,
  idMax,
  priceMax,
  quantityMax,
  RejectReason,
  RequestTag,
  type Response,
  ResponseTag,
  response,
} from './protocol.js';

/** Closed orders that can still be asked for. The oldest is forgotten first: a book must not grow for ever. */
const closedOrdersMax = 262_144;

/** A response and whom it is for. */
export interface Addressed {
  readonly clientId: number;
  readonly response: Response;
}

class Account {
  readonly clientId: number;
  lastRequestId = 0;
  readonly orders = new Map<number, Order>();

  constructor(clientId: number) {
    this.clientId = clientId;
  }
}

export class Engine {
  readonly #book = new OrderBook();
  readonly #accounts = new Map<number, Account>();
  readonly #closedOrdersMax: number;
  /** Closed orders, oldest first; those before `#closedStart` are forgotten. */
  #closed: Order[] = [];
  #closedStart = 0;
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
    if (order.status !== OrderStatus.open) this.#retain(order);
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
    this.#closed.push(order);
    if (this.#closed.length - this.#closedStart <= this.#closedOrdersMax) return;
    const forgotten = this.#closed[this.#closedStart++];
    this.#accounts.get(forgotten.clientId)?.orders.delete(forgotten.requestId);
    // Now and then instead of a shift each time, which would move the whole array.
    if (this.#closedStart >= this.#closedOrdersMax) {
      this.#closed = this.#closed.slice(this.#closedStart);
      this.#closedStart = 0;
    }
  }
}

/** The fields of a response that describe an order as it stands. */
function describe(order: Order) {
  const { requestId, side, price, quantity, filled, orderId, status } = order;
  return { requestId, side, price, quantity, filled, orderId, code: status as number };
}
