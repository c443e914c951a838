/** The smallest power of four that is not below `n`, as its exponent: 0 for up to 1, 1 for up to 4, 2 for up to 16. */
export function powerOfFour(n: number): number {
  return (33 - Math.clz32(Math.max(1, n) - 1)) >> 1;
}
