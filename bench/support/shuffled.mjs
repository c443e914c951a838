import { Random } from '#ackgate/sim/random.js';

/** The same items in an order that is random, but the same in every run. */
export function shuffled(items) {
  const random = new Random(1);
  const result = [...items];
  for (let left = result.length; left > 1; left--) {
    const at = random.below(left);
    [result[left - 1], result[at]] = [result[at], result[left - 1]];
  }
  return result;
}
