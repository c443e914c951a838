import type { Random } from '../sim/random.js';

/** So many bytes drawn from the generator: a seed gives the same ones on every machine. */
export function noise(random: Random, bytes: number): Uint8Array {
  const drawn = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at++) drawn[at] = random.below(256);
  return drawn;
}
