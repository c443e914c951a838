import type { Stage } from 'ackgate';

type Step = () => 'done' | 'full';

/**
 * What is on its way into the stage's ring. Normally that is nothing: a response goes straight in. While the ring
 * is full, responses queue here in order, and the server stops reading requests, which is what bounds the queue.
 */
export class Outbox {
  readonly #stage: Stage;
  readonly #queue: Step[] = [];
  // One object for all records: `tryPublish` copies what is in it.
  readonly #record = {
    connectionId: 0,
    wireSeq: 0,
    payload: Buffer.alloc(0) as Uint8Array,
    lastInRequest: false,
    durabilityBypass: false,
  };

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** True exactly when something waits for room. */
  get blocked(): boolean {
    return this.#queue.length > 0;
  }

  /** Publishes a response body, which may be changed after the call. */
  publish(
    connectionId: number,
    body: Buffer,
    wireSeq: number,
    { last, bypass }: { last: boolean; bypass: boolean },
  ): void {
    if (!this.blocked && this.#tryPublish(connectionId, body, wireSeq, last, bypass) === 'done') return;
    const copy = Buffer.from(body);
    this.#queue.push(() => this.#tryPublish(connectionId, copy, wireSeq, last, bypass));
  }

  /** Ends a connection in order, behind everything that was published for it. */
  disconnect(connectionId: number): void {
    const step = () =>
      this.#stage.disconnect(connectionId, { when: 'drained' }) === 'full' ? 'full' : 'done';
    if (this.blocked || step() === 'full') this.#queue.push(step);
  }

  /** Tries again what waits. */
  flush(): void {
    let done = 0;
    while (done < this.#queue.length && this.#queue[done]() === 'done') done++;
    this.#queue.splice(0, done);
  }

  #tryPublish(connectionId: number, payload: Buffer, wireSeq: number, last: boolean, bypass: boolean) {
    const record = this.#record;
    record.connectionId = connectionId;
    record.wireSeq = wireSeq;
    record.payload = payload;
    record.lastInRequest = last;
    record.durabilityBypass = bypass;
    // Once the stage has stopped there is nobody left to answer: dropped connections say so to the clients.
    return this.#stage.producer.tryPublish(record) === 'full' ? 'full' : 'done';
  }
}
