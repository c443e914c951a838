import { senderOfBatch } from './batch-codec.js';

/** Beyond that many, somebody sends anything at all: it has been logged often enough. */
const loggedMax = 100;

/** What is logged of a message that was not understood. */
export interface MisunderstoodFields {
  readonly kind: string;
  readonly sender: string;
  readonly why: string;
}

/** Messages that were not understood, such as those of another version: reported once for each sender and kind. */
export class Misunderstood {
  readonly #report: (fields: MisunderstoodFields) => void;
  readonly #reported = new Set<string>();

  constructor(report: (fields: MisunderstoodFields) => void) {
    this.#report = report;
  }

  /** @param sender by default, what the message says */
  add(kind: string, data: Uint8Array, why: string, sender: string = senderOf(data)): void {
    const key = `${kind} ${sender}`;
    if (this.#reported.has(key) || this.#reported.size >= loggedMax) return;
    this.#reported.add(key);
    this.#report({ kind, sender, why });
  }
}

/** The name of a node or the id of a primary. A later version may say neither. */
export function senderOf(data: Uint8Array): string {
  const primaryId = senderOfBatch(data);
  if (primaryId !== null) return primaryId;
  try {
    const { node, candidate } = JSON.parse(Buffer.from(data).toString());
    const name: unknown = node ?? candidate?.node;
    if (typeof name === 'string') return name.slice(0, 255);
  } catch {
    // Not JSON, or null: it does not say.
  }
  return 'unknown';
}
