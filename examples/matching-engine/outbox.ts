import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from 'ackgate';

/** What the stage is to know about a response. */
export interface Envelope {
  /** It leaves once this sequence is durable. */
  wireSeq: number;
  last: boolean;
  /** It needs no durability. */
  bypass: boolean;
  /** What kind of response it is, and to which request: for diagnosis. */
  kind: number;
  requestId: number;
  /** When that request was read. */
  receivedNs: number;
}

type Step = () => 'done' | 'full';

/** How long to wait before trying a full ring again, in milliseconds. */
const retryMs = 1;

/**
 * What is on its way into the stage's ring. Normally that is nothing: a response goes straight in. While the ring
 * is full, responses queue here in order, and no more requests are dealt with, which is what bounds the queue: it holds
 * the answers to one request at most.
 */
export class Outbox {
  readonly #stage: Stage;
  readonly #queue: Step[] = [];
  #retry: Promise<void> | null = null;
  // One object for all records: `tryPublish` copies what is in it.
  readonly #record = {
    connectionId: 0,
    wireSeq: 0,
    payload: Buffer.alloc(0) as Uint8Array,
    lastInRequest: false,
    durabilityBypass: false,
    kind: 0,
    requestId: 0,
    receivedNs: 0,
  };

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** True exactly when something waits for room. */
  get blocked(): boolean {
    return this.#queue.length > 0;
  }

  /** Publishes a response body, which may be changed after the call. */
  publish(connectionId: number, body: Buffer, envelope: Envelope): void {
    if (!this.blocked && this.#tryPublish(connectionId, body, envelope) === 'done') return;
    const copy = Buffer.from(body);
    this.#queue.push(() => this.#tryPublish(connectionId, copy, envelope));
  }

  /** Tries again what waits, in a moment. Those who wait meanwhile go on in the order in which they came. */
  retry(): Promise<void> {
    this.#retry ??= sleep(retryMs).then(() => {
      this.#retry = null;
      this.#flush();
    });
    return this.#retry;
  }

  #flush(): void {
    let done = 0;
    while (done < this.#queue.length && this.#queue[done]() === 'done') done++;
    this.#queue.splice(0, done);
  }

  #tryPublish(connectionId: number, payload: Buffer, envelope: Envelope) {
    const record = this.#record;
    record.connectionId = connectionId;
    record.wireSeq = envelope.wireSeq;
    record.payload = payload;
    record.lastInRequest = envelope.last;
    record.durabilityBypass = envelope.bypass;
    record.kind = envelope.kind;
    record.requestId = envelope.requestId;
    record.receivedNs = envelope.receivedNs;
    // Once the stage has stopped there is nobody left to answer: dropped connections say so to the clients.
    return this.#stage.producer.tryPublish(record) === 'full' ? 'full' : 'done';
  }
}
