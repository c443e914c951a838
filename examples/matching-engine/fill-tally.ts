import type { Response } from './protocol.js';

/** Sums over all fills of one role. Over all clients the makers' and the takers' must be the same. */
export interface FillTally {
  count: number;
  quantity: number;
  /** Order-independent sum of hashes over which trade, price and quantity. */
  hash: number;
}

export const emptyTally = (): FillTally => ({ count: 0, quantity: 0, hash: 0 });

export function tallyFill(fills: FillTally, { sequence, match, price, quantity }: Response): void {
  fills.count++;
  fills.quantity += quantity;
  let hash = 0x811c9dc5;
  for (const word of [sequence >>> 0, match, price, quantity])
    hash = Math.imul(hash ^ word, 0x01000193) ^ (hash >>> 15);
  fills.hash = (fills.hash + hash) >>> 0;
}

export function addTally(sum: FillTally, part: FillTally): void {
  sum.count += part.count;
  sum.quantity += part.quantity;
  sum.hash = (sum.hash + part.hash) >>> 0;
}
