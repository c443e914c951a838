import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { marketPrice, Order, OrderBook, OrderStatus, Side } from '#ackgate/demo/order-book.js';

let orderId = 0;

function order(side: Side, price: number, quantity: number): Order {
  orderId++;
  return new Order(orderId, 1, orderId, side, price, quantity);
}

describe('price–time priority', () => {
  test('the best price first, the oldest first within a price, at the price of the maker', () => {
    const book = new OrderBook();
    const late = order(Side.sell, 101, 5);
    const first = order(Side.sell, 100, 5);
    const second = order(Side.sell, 100, 5);
    for (const maker of [late, first, second]) expect(book.place(maker)).toEqual([]);
    const taker = order(Side.buy, 105, 12);
    const matches = book.place(taker);
    expect(matches.map((match) => [match.maker.orderId, match.quantity])).toEqual([
      [first.orderId, 5],
      [second.orderId, 5],
      [late.orderId, 2],
    ]);
    expect(taker.status).toBe(OrderStatus.filled);
    expect(late.status).toBe(OrderStatus.open);
    expect(book.openOrders).toBe(1);
  });

  test('what is left of a limit order rests at its own price', () => {
    const book = new OrderBook();
    book.place(order(Side.buy, 99, 3));
    const taker = order(Side.sell, 98, 10);
    expect(book.place(taker)).toHaveLength(1);
    expect(taker.remaining).toBe(7);
    expect(book.bestPrice(Side.sell)).toBe(98);
    expect(book.bestPrice(Side.buy)).toBeNull();
  });

  test('what is left of a market order expires', () => {
    const book = new OrderBook();
    book.place(order(Side.sell, 100, 3));
    const taker = order(Side.buy, marketPrice, 10);
    book.place(taker);
    expect([taker.filled, taker.status]).toEqual([3, OrderStatus.expired]);
    expect(book.openOrders).toBe(0);
  });

  test('a cancelled order trades no more, and is cancelled once', () => {
    const book = new OrderBook();
    const [first, gone, last] = [1, 2, 3].map(() => order(Side.buy, 100, 1));
    for (const maker of [first, gone, last]) book.place(maker);
    expect(book.cancel(gone)).toBe(true);
    expect(book.cancel(gone)).toBe(false);
    expect(book.place(order(Side.sell, 100, 5)).map((match) => match.maker)).toEqual([first, last]);
    expect(book.cancel(first)).toBe(false);
  });
});

type Step = { cancel: number } | { side: Side; price: number; quantity: number };

const steps = fc.array(
  fc.oneof(
    { weight: 1, arbitrary: fc.record({ cancel: fc.nat(300) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        side: fc.constantFrom(Side.buy, Side.sell),
        price: fc.oneof(fc.constant(marketPrice), fc.integer({ min: 95, max: 105 })),
        quantity: fc.integer({ min: 1, max: 20 }),
      }),
    },
  ),
  { maxLength: 300 },
);

interface NaiveOrder {
  id: number;
  side: Side;
  price: number;
  left: number;
}

/** Says the same as the book in the plainest way: one array per market, searched and sorted for every order. */
class NaiveBook {
  resting: NaiveOrder[] = [];

  place(taker: NaiveOrder): [number, number][] {
    const sign = taker.side === Side.buy ? 1 : -1;
    const makers = this.resting
      .filter((maker) => maker.side !== taker.side)
      .filter((maker) => taker.price === marketPrice || sign * maker.price <= sign * taker.price)
      .sort((a, b) => sign * (a.price - b.price) || a.id - b.id);
    const matches: [number, number][] = [];
    for (const maker of makers) {
      const quantity = Math.min(maker.left, taker.left);
      if (quantity === 0) break;
      maker.left -= quantity;
      taker.left -= quantity;
      matches.push([maker.id, quantity]);
    }
    if (taker.price !== marketPrice) this.resting.push(taker);
    this.resting = this.resting.filter((resting) => resting.left > 0);
    return matches;
  }
}

test('any sequence of calls: the same matches as a naive book, never crossed, nothing gained or lost', () => {
  fc.assert(
    fc.property(steps, (sequence: Step[]) => {
      const book = new OrderBook();
      const naive = new NaiveBook();
      const placed: Order[] = [];
      for (const step of sequence) {
        if ('cancel' in step) {
          if (placed.length === 0) continue;
          const target = placed[step.cancel % placed.length];
          const open = naive.resting.some((resting) => resting.id === target.orderId);
          expect(book.cancel(target)).toBe(open);
          naive.resting = naive.resting.filter((resting) => resting.id !== target.orderId);
          continue;
        }
        const taker = order(step.side, step.price, step.quantity);
        placed.push(taker);
        const matches = book.place(taker).map(({ maker, quantity }) => [maker.orderId, quantity]);
        expect(matches).toEqual(naive.place({ ...step, id: taker.orderId, left: step.quantity }));
        const bid = book.bestPrice(Side.buy);
        const ask = book.bestPrice(Side.sell);
        if (bid !== null && ask !== null) expect(bid).toBeLessThan(ask);
      }
      const resting = [...book.orders(Side.buy), ...book.orders(Side.sell)];
      expect(resting.map((one) => [one.orderId, one.remaining]).sort(byId)).toEqual(
        naive.resting.map((one) => [one.id, one.left]).sort(byId),
      );
      expect(book.openOrders).toBe(resting.length);
      const filled = (side: Side) =>
        placed.filter((one) => one.side === side).reduce((sum, one) => sum + one.filled, 0);
      expect(filled(Side.buy)).toBe(filled(Side.sell));
    }),
    { numRuns: 300 },
  );
});

function byId(a: number[], b: number[]): number {
  return a[0] - b[0];
}
