import { BatchWriter, batchHeaderBytes, encodeBatch, recordOverheadBytes } from './batch-codec.js';
import type { Published, Recent } from './recent.js';
import type { RingReader } from './ring-reader.js';

const KiB = 1024;
/** Of one message, where the server takes that much. */
export const messageBytesMax = 256 * KiB;
/** What one turn takes, so that frames are not kept waiting. */
const turnBytesMax = 1024 * KiB;

export interface OutboundOptions {
  readonly term: number;
  readonly primaryId: string;
  readonly reader: RingReader;
  readonly recent: Recent;
  /** Highest sequence so far. */
  readonly last: number;
  /** Largest message that the server takes at the moment. */
  messageBytesMax(): number;
  /** Comes before a message can reach anybody. */
  issued(last: number): void;
  publish(bytes: Buffer): void;
}

/** Makes messages of what is appended. The publisher's, on its own thread. */
export class Outbound {
  readonly #options: OutboundOptions;
  #last: number;

  constructor(options: OutboundOptions) {
    this.#options = options;
    this.#last = options.last;
  }

  /** Highest sequence that went out, or would have if somebody had listened. */
  get last(): number {
    return this.#last;
  }

  get isIdle(): boolean {
    return this.#options.reader.pendingBytes === 0;
  }

  /** Takes what is there, or a good part of it. */
  turn(): void {
    const { reader } = this.#options;
    for (let taken = 0; taken < turnBytesMax && reader.pendingBytes > 0; ) {
      const message = this.#next();
      reader.release();
      taken += message.bytes.length;
      this.#last = message.last;
      this.#options.issued(message.last);
      this.#options.recent.add(message);
      this.#options.publish(message.bytes);
    }
  }

  /**
   * A sign of life, by which replicas also learn what they have missed at the end.
   *
   * @param persisted read before the last turn; higher than what went out when the buffer to this thread was full
   */
  beacon(persisted: number): void {
    const { term, primaryId } = this.#options;
    if (this.isIdle) this.#last = Math.max(this.#last, persisted);
    this.#options.publish(
      encodeBatch({ term, primaryId, first: this.#last + 1, last: this.#last, records: [] }),
    );
  }

  #next(): Published {
    const { reader, term, primaryId } = this.#options;
    const pending = reader.pendingBytes;
    const first = reader.sequence;
    const limit = Math.min(messageBytesMax, this.#options.messageBytesMax());
    const needed = batchHeaderBytes + recordOverheadBytes + reader.payloadBytes;
    const writer = new BatchWriter(Math.max(needed, Math.min(limit, batchHeaderBytes + pending)));
    let last = first - 1;
    // Where the buffer was full for a moment, sequences are missing: that is where another message begins.
    while (reader.pendingBytes > 0 && reader.sequence === last + 1 && writer.hasRoom(reader.payloadBytes)) {
      reader.take(writer.add(reader.payloadBytes, reader.goesOn));
      last++;
    }
    return { first, last, bytes: writer.seal({ term, primaryId, first, last }) };
  }
}
