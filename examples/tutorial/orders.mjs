/**
 * Stands for a matching engine: what it makes of an order. The sequence is the order's place in the journal.
 *
 * @param {number} sequence
 * @param {Uint8Array} order
 */
export function accept(sequence, order) {
  return Buffer.from(`accepted ${sequence} ${Buffer.from(order)}`);
}
