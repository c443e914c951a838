import { lengthPrefixFraming } from '../../encode/framing.js';
import type { Timeline } from '../timeline.js';

const { headerBytes, endOfBatch } = lengthPrefixFraming;

/** Knows where in each connection's stream the acknowledgements end, and notes when the kernel has them. */
export class AckWatch {
  /** Highest order acknowledged. Orders are acknowledged in their order: they are released in it. */
  highest = 0;
  readonly latenciesNs: Float64Array;
  readonly #timeline: Timeline;
  readonly #readNs: Float64Array;
  /** Bytes published for, and taken from, each connection. */
  readonly #published: Float64Array;
  readonly #taken: Float64Array;
  /** Stream position and order, in turn, of the acknowledgements under way; and how many of them are done. */
  readonly #waiting: number[][];
  readonly #done: Int32Array;

  constructor(orders: number, connections: number, timeline: Timeline) {
    this.#timeline = timeline;
    this.latenciesNs = new Float64Array(orders);
    this.#readNs = new Float64Array(orders);
    this.#published = new Float64Array(connections);
    this.#taken = new Float64Array(connections);
    this.#waiting = Array.from({ length: connections }, () => []);
    this.#done = new Int32Array(connections);
  }

  /** The next record of the connection is an acknowledgement, with an end-of-batch frame behind it. */
  expect(connection: number, payloadBytes: number, order: number, readNs: number): void {
    this.#readNs[order - 1] = readNs;
    this.#published[connection] += headerBytes + payloadBytes + endOfBatch.length;
    this.#waiting[connection].push(this.#published[connection], order);
  }

  /** The next record of the connection is something else. */
  other(connection: number, payloadBytes: number): void {
    this.#published[connection] += headerBytes + payloadBytes;
  }

  /** The kernel has so many bytes more. */
  taken(connection: number, bytes: number): void {
    const waiting = this.#waiting[connection];
    const taken = this.#taken[connection] + bytes;
    this.#taken[connection] = taken;
    let done = this.#done[connection];
    for (; done < waiting.length && waiting[done] <= taken; done += 2) this.#acknowledged(waiting[done + 1]);
    if (done === waiting.length) {
      waiting.length = 0;
      done = 0;
    }
    this.#done[connection] = done;
  }

  #acknowledged(order: number): void {
    this.latenciesNs[order - 1] = this.#timeline.nowNs - this.#readNs[order - 1];
    if (order > this.highest) this.highest = order;
  }
}
