/** What was thrown, in words, whatever it was: an object may refuse to become a string. */
export function describe(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return `a thrown ${typeof thrown} that can't be shown`;
  }
}
