/** What kinds of things a trace tells apart. */
export const Mark = {
  round: 1,
  submitted: 2,
  answered: 3,
  closing: 4,
  accepted: 5,
  log: 6,
  event: 7,
  published: 8,
  cursor: 9,
  control: 10,
} as const;

const names = Object.fromEntries(Object.entries(Mark).map(([name, mark]) => [mark, name]));

/** A hash over all that happened, in order; and, when asked for, all that happened, to read. */
export class Trace {
  /** Virtual nanoseconds, and what happened then; null: not kept. */
  readonly lines: string[] | null;
  readonly #nowNs: () => number;
  #high = 0x243f6a88;
  #low = 0x85a308d3 | 0;

  constructor(nowNs: () => number, keep = false) {
    this.#nowNs = nowNs;
    this.lines = keep ? [] : null;
  }

  note(mark: number, a = 0, b = 0, c = 0): void {
    this.#mix(mark);
    this.#mix(a);
    this.#mix(b);
    this.#mix(c);
    const { lines } = this;
    if (lines !== null) lines.push(`${(this.#nowNs() / 1e3).toFixed(3)} µs  ${names[mark]} ${a} ${b} ${c}`);
  }

  say(mark: number, text: string): void {
    this.#mix(mark);
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
    const { lines } = this;
    if (lines !== null) lines.push(`${(this.#nowNs() / 1e3).toFixed(3)} µs  ${names[mark]} ${text}`);
  }

  /** 64 bits in hexadecimal. */
  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.#high) + hex(this.#low);
  }

  /** Two multiplicative hashes side by side, each fed with what the other has come to. */
  #mix(value: number): void {
    const word = value | 0;
    // Counts past 2^32 must not look alike.
    const upper = (value / 2 ** 32) | 0;
    this.#low = Math.imul(this.#low ^ word, 0x01000193) + (this.#high ^ upper);
    this.#low = (this.#low << 13) | (this.#low >>> 19);
    this.#high = Math.imul(this.#high ^ this.#low, 0x85ebca6b) | 0;
  }
}
