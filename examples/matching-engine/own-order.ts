/** What a client knows of an order of its own, and what an answer about that order must therefore look like. */
import { marketPrice, OrderStatus, Side } from './order-book.js';
import { listedOrdersMax, type Response } from './protocol.js';

export interface OwnOrder {
  readonly requestId: number;
  readonly side: Side;
  readonly price: number;
  readonly quantity: number;
  /** From the acknowledgement; 0 before. */
  orderId: number;
  filled: number;
  /** Unknown: it is closed, but how that came about was never seen. */
  status: OrderStatus;
  /** False from a broken connection until the next word about the order: fills may have gone unseen. */
  exact: boolean;
}

export function echoes(response: Response, order: OwnOrder): boolean {
  return (
    response.side === order.side && response.price === order.price && response.quantity === order.quantity
  );
}

/** Whether a trade at this price is what the order allows. */
export function acceptable(order: OwnOrder, price: number): boolean {
  if (order.price === marketPrice) return price > 0;
  return order.side === Side.buy ? price <= order.price : price >= order.price;
}

/** The answer to a request for all open orders: each of them once, oldest first, or once that there is none. */
export class OrderList {
  readonly #expected: readonly OwnOrder[];
  #next = 0;
  #taken = 0;
  #empty = false;

  /** @param expected what is open as far as is known, oldest first */
  constructor(expected: readonly OwnOrder[]) {
    this.#expected = expected;
  }

  /**
   * Takes the next response, as far as it belongs to the list: the order in it is compared by whoever calls.
   *
   * @param missed told of each order that should have come before
   * @returns what is wrong, or null
   */
  take(response: Response, missed: (order: OwnOrder) => void): string | null {
    const { match: requestId, code } = response;
    this.#taken++;
    if (this.#taken > listedOrdersMax) return 'a list of more orders than there may be';
    if (this.#empty) return 'more in a list that was empty';
    if (requestId === 0) {
      this.#empty = true;
      if (this.#taken > 1) return 'a list that was not empty is said to be so';
      return isBlank(response) ? null : 'an order without its number';
    }
    if (code !== OrderStatus.open) return `order ${requestId} is listed with status ${code}`;
    const expected = this.#expected;
    let next = this.#next;
    while (next < expected.length && expected[next].requestId < requestId) missed(expected[next++]);
    const found = expected[next]?.requestId === requestId;
    this.#next = found ? next + 1 : next;
    return found ? null : `order ${requestId} is listed out of turn, or is not open`;
  }

  /** The list is over. */
  end(missed: (order: OwnOrder) => void): void {
    if (this.#taken >= listedOrdersMax) return;
    for (let next = this.#next; next < this.#expected.length; next++) missed(this.#expected[next]);
  }
}

function isBlank({ code, side, taker, price, quantity, filled, orderId }: Response): boolean {
  return code === OrderStatus.unknown && side + price + quantity + filled + orderId === 0 && !taker;
}
