/**
 * A price–time-priority limit order book for one instrument. Prices and quantities are integers (ticks, lots).
 *
 * Pure: no clock, no randomness, no input or output. The state is a function of the sequence of calls, and that
 * is what makes a journal of commands enough to rebuild it.
 */

export const Side = { buy: 0, sell: 1 } as const;
export type Side = (typeof Side)[keyof typeof Side];

export const OrderStatus = {
  /** Never heard of, or closed so long ago that it was forgotten. */
  unknown: 0,
  open: 1,
  filled: 2,
  cancelled: 3,
  /** What a market order found no counterparty for. */
  expired: 4,
} as const;
export type OrderStatus = (typeof OrderStatus)[keyof typeof OrderStatus];

/** Price of an order that takes whatever price there is. */
export const marketPrice = 0;

export class Order {
  readonly orderId: number;
  readonly clientId: number;
  /** The client's own name for the order: the id of the request that placed it. */
  readonly requestId: number;
  readonly side: Side;
  readonly price: number;
  readonly quantity: number;
  filled = 0;
  status: OrderStatus = OrderStatus.open;
  /** Where it rests: the level and its neighbours in the level's queue. Null for an order that does not rest. */
  level: Level | null = null;
  older: Order | null = null;
  newer: Order | null = null;

  constructor(
    orderId: number,
    clientId: number,
    requestId: number,
    side: Side,
    price: number,
    quantity: number,
  ) {
    this.orderId = orderId;
    this.clientId = clientId;
    this.requestId = requestId;
    this.side = side;
    this.price = price;
    this.quantity = quantity;
  }

  get remaining(): number {
    return this.quantity - this.filled;
  }
}

/** One fill. It is at the maker's price. */
export interface Match {
  readonly maker: Order;
  readonly quantity: number;
}

/** All orders at one price, oldest first: a linked list, so that a cancel need not search. */
class Level {
  readonly price: number;
  oldest: Order | null = null;
  newest: Order | null = null;

  constructor(price: number) {
    this.price = price;
  }

  append(order: Order): void {
    order.level = this;
    order.older = this.newest;
    if (this.newest === null) this.oldest = order;
    else this.newest.newer = order;
    this.newest = order;
  }

  remove(order: Order): void {
    if (order.older === null) this.oldest = order.newer;
    else order.older.newer = order.newer;
    if (order.newer === null) this.newest = order.older;
    else order.newer.older = order.older;
    order.level = order.older = order.newer = null;
  }
}

/**
 * The levels of one side. The best is last in the array, so that taking it away moves nothing; prices near the
 * best come and go most, so that little is moved for them too.
 */
class BookSide {
  readonly #levels: Level[] = [];
  readonly #byPrice = new Map<number, Level>();
  /** Turns prices into ranks: the higher, the better. */
  readonly #sign: 1 | -1;

  constructor(side: Side) {
    this.#sign = side === Side.buy ? 1 : -1;
  }

  get best(): Level | null {
    return this.#levels.at(-1) ?? null;
  }

  rest(order: Order): void {
    let level = this.#byPrice.get(order.price);
    if (level === undefined) {
      level = new Level(order.price);
      this.#byPrice.set(order.price, level);
      this.#levels.splice(this.#indexOf(order.price), 0, level);
    }
    level.append(order);
  }

  remove(order: Order): void {
    const level = order.level!;
    level.remove(order);
    if (level.oldest !== null) return;
    this.#byPrice.delete(level.price);
    this.#levels.splice(this.#indexOf(level.price), 1);
  }

  /** Orders in priority order: the best price first, the oldest first within a price. */
  *[Symbol.iterator](): Generator<Order> {
    for (let i = this.#levels.length - 1; i >= 0; i--) {
      for (let order = this.#levels[i].oldest; order !== null; order = order.newer) yield order;
    }
  }

  /** Where a level of this price is, or belongs. */
  #indexOf(price: number): number {
    const rank = price * this.#sign;
    let low = 0;
    let high = this.#levels.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#levels[middle].price * this.#sign < rank) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class OrderBook {
  readonly #sides = [new BookSide(Side.buy), new BookSide(Side.sell)] as const;
  #openOrders = 0;

  get openOrders(): number {
    return this.#openOrders;
  }

  /** Orders that rest on a side, in priority order. */
  orders(side: Side): Iterable<Order> {
    return this.#sides[side];
  }

  /** Best price of a side, or null when nobody is there. */
  bestPrice(side: Side): number | null {
    return this.#sides[side].best?.price ?? null;
  }

  /**
   * Matches the order against the other side, best price and oldest first. What is left of a limit order rests
   * in the book; what is left of a market order expires.
   */
  place(taker: Order): Match[] {
    const matches: Match[] = [];
    const makers = this.#sides[taker.side === Side.buy ? Side.sell : Side.buy];
    for (let level = makers.best; level !== null && taker.remaining > 0; level = makers.best) {
      if (!accepts(taker, level.price)) break;
      const maker = level.oldest!;
      const quantity = Math.min(taker.remaining, maker.remaining);
      taker.filled += quantity;
      maker.filled += quantity;
      matches.push({ maker, quantity });
      if (maker.remaining === 0) this.#close(maker, OrderStatus.filled);
    }
    if (taker.remaining === 0) {
      taker.status = OrderStatus.filled;
    } else if (taker.price === marketPrice) {
      taker.status = OrderStatus.expired;
    } else {
      this.#sides[taker.side].rest(taker);
      this.#openOrders++;
    }
    return matches;
  }

  /** Takes what is left of an open order out of the book. False when the order is no longer open. */
  cancel(order: Order): boolean {
    if (order.status !== OrderStatus.open) return false;
    this.#close(order, OrderStatus.cancelled);
    return true;
  }

  #close(order: Order, status: OrderStatus): void {
    order.status = status;
    this.#sides[order.side].remove(order);
    this.#openOrders--;
  }
}

function accepts(taker: Order, price: number): boolean {
  if (taker.price === marketPrice) return true;
  return taker.side === Side.buy ? price <= taker.price : price >= taker.price;
}
