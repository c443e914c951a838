import { RecordFlag } from '../../ring/layout.js';
import type { Producer } from '../../ring/producer.js';
import { bodyHeadBytes, Tag, writeBody } from '../model/ledger.js';
import { Mark, type Trace } from '../trace.js';
import type { Broken } from './invariants.js';
import type { Peer } from './peer.js';

export interface AnswersParts {
  readonly producer: Producer;
  readonly trace: Trace;
  readonly broken: Broken;
  /** Everything up to this sequence is on disk. */
  readonly persisted: () => number;
  /** Notes an order of this sequence in the journal. */
  readonly journal: (seq: number) => void;
}

/** What the application answers, and what has become of it. */
export class Answers {
  readonly #parts: AnswersParts;
  readonly #seqs: number[] = [];
  readonly #bytes: number[] = [];

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** Answers an order, once it is durable. False: the output ring is full, or the stage takes nothing more. */
  publish(peer: Peer, bytes: number, handling: boolean): boolean {
    const { producer, trace, journal } = this.#parts;
    const at = producer.claim(bytes);
    if (at < 0) return false;
    const number = this.#seqs.length;
    const seq = number + 1;
    writeBody(producer.bytes, at, bytes, Tag.answer, number);
    this.#seqs.push(seq);
    this.#bytes.push(bytes);
    peer.published(number, handling);
    trace.note(Mark.published, number, peer.id);
    producer.publish(peer.id, seq, number % 3 === 0 ? RecordFlag.lastInRequest : 0);
    journal(seq);
    return true;
  }

  /** A client was sent this, which must be its next answer. */
  check(peer: Peer, body: Uint8Array): void {
    const { broken, persisted } = this.#parts;
    const number =
      body.length < bodyHeadBytes ? -1 : new DataView(body.buffer, body.byteOffset).getUint32(1, true);
    const expected = peer.answers[peer.answersGot];
    if (number !== expected || !this.#isWhole(number, body)) {
      broken('S10', `client ${peer.id} got answer ${number} where ${expected} had to come`);
      return;
    }
    peer.answersGot++;
    const seq = this.#seqs[number];
    if (seq > persisted()) broken('S11', `answer ${number} left when ${persisted()} was durable, not ${seq}`);
  }

  #isWhole(number: number, body: Uint8Array): boolean {
    if (body.length !== this.#bytes[number]) return false;
    const whole = new Uint8Array(body.length);
    writeBody(whole, 0, whole.length, Tag.answer, number);
    return body.every((byte, at) => byte === whole[at]);
  }
}
