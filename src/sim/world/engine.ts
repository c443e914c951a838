import type { Encoder } from '../../encode/encoder.js';
import type { RecordView } from '../../ring/consumer.js';
import { RecordFlag } from '../../ring/layout.js';
import { claimFull, claimOversize } from '../../ring/producer.js';
import { SimulationFailure } from '../failure.js';
import { bodyHeadBytes, Tag, writeBody } from '../model/ledger.js';
import { Mark } from '../trace.js';
import type { Client } from './clients.js';
import type { WorldParts } from './parts.js';

/** How an encoder fails, by the record's kind. */
const Kind = { encodes: 0, throws: 1, overruns: 2 } as const;
/** With an encoder, a record says only which answer it is and how long. */
const recipeBytes = 8;
const retryNs = 20_000;
/** Of a frame, and of an end-of-batch frame. */
const headerBytes = 4;
const endBytes = 5;

interface Answer {
  client: Client;
  seq: number;
  bypass: boolean;
  last: boolean;
  bytes: number;
  kind: number;
}

/** The matching engine: takes orders, journals them, and publishes an answer to everybody concerned. */
export class Engine {
  /** Sequence of the last order. */
  issued: number;
  readonly #parts: WorldParts;
  readonly #clients: () => readonly Client[];
  readonly #onOrder: (seq: number) => void;
  readonly #roomOf: (client: Client) => number | null;
  readonly #backlog: Answer[] = [];
  /** Bytes on the wire of all answers to a client. */
  readonly #askedBytes = new Map<Client, number>();
  #ordersLeft: number;
  #receivedNs = 0;
  #stopped = false;
  #retrying = false;

  /** `roomOf`: what is left of a client's send buffer, null where that is not known. */
  constructor(
    parts: WorldParts,
    clients: () => readonly Client[],
    roomOf: (client: Client) => number | null,
    onOrder: (seq: number) => void,
  ) {
    this.#parts = parts;
    this.#clients = clients;
    this.#roomOf = roomOf;
    this.#onOrder = onOrder;
    this.issued = parts.scenario.firstSeq;
    this.#ordersLeft = parts.scenario.orders;
  }

  /** Everything has been published. */
  get done(): boolean {
    return this.#stopped || (this.#ordersLeft === 0 && this.#backlog.length === 0);
  }

  start(): void {
    const { timeline, random, scenario } = this.#parts;
    const next = () => {
      if (this.#ordersLeft === 0 || this.#stopped) return;
      this.#ordersLeft--;
      this.#order();
      timeline.after(Math.ceil(random.exponential(scenario.orderGapNs)), next);
    };
    timeline.after(Math.ceil(random.exponential(scenario.orderGapNs)), next);
  }

  /** No more orders; what waits is still published. */
  finish(): void {
    this.#ordersLeft = 0;
  }

  #order(): void {
    const { random, scenario, faults } = this.#parts;
    const seq = ++this.issued;
    this.#onOrder(seq);
    const clients = this.#clients();
    if (clients.length === 0) return;
    for (let heard = random.between(1, scenario.fanOut); heard > 0; heard--) {
      const client = random.pick(clients);
      const answers = faults.strikes('burst') ? random.between(20, 150) : random.between(1, 3);
      const large = faults.strikes('large-batch');
      for (let i = 1; i <= answers; i++) {
        const last = i === answers && random.chance(0.9);
        this.#enqueue({
          client,
          seq: random.chance(0.03) ? 0 : seq,
          bypass: random.chance(0.03),
          last,
          bytes: large ? scenario.payload.max : this.#bytes(client, last),
          kind: scenario.encoder ? this.#kind() : Kind.encodes,
        });
      }
    }
    this.#publish();
  }

  /** Some clients log in: that order's answer is published at once, right behind the attach. */
  greet(client: Client): void {
    const { random, faults } = this.#parts;
    if (faults.calm || this.#stopped || !random.chance(0.5)) return;
    const seq = ++this.issued;
    this.#onOrder(seq);
    this.#enqueue({
      client,
      seq,
      bypass: false,
      last: true,
      bytes: this.#bytes(client, true),
      kind: this.#parts.scenario.encoder ? this.#kind() : Kind.encodes,
    });
    this.#publish();
  }

  #enqueue(answer: Answer): void {
    const { client, bytes, last, kind } = answer;
    const wireBytes = (kind === Kind.encodes ? headerBytes + bytes : 0) + (last ? endBytes : 0);
    this.#askedBytes.set(client, (this.#askedBytes.get(client) ?? 0) + wireBytes);
    this.#backlog.push(answer);
  }

  /** Any size; sometimes one that fills the client's send buffer to the brim, or passes it by a few bytes. */
  #bytes(client: Client, last: boolean): number {
    const { random, scenario } = this.#parts;
    const { min, max } = scenario.payload;
    const room = last && random.chance(0.3) ? this.#roomOf(client) : null;
    if (room !== null) {
      const waiting = (this.#askedBytes.get(client) ?? 0) - client.ledger.releasedBytes;
      const brim = room - waiting - headerBytes - endBytes + random.between(-1, endBytes + headerBytes);
      if (brim >= min && brim <= max) return brim;
    }
    return random.between(min, max);
  }

  #kind(): number {
    if (!this.#parts.faults.strikes('encoder-throws')) return Kind.encodes;
    return this.#parts.random.chance(0.5) ? Kind.throws : Kind.overruns;
  }

  /** Publishes what waits, as far as the ring takes it; the rest is tried again. */
  #publish(): void {
    if (this.#stopped) return;
    if (this.#parts.faults.strikes('oversize-frame', 0.1)) this.#publishOversize();
    let published = 0;
    while (published < this.#backlog.length && this.#publishOne(this.#backlog[published])) published++;
    this.#backlog.splice(0, published);
    if (this.#backlog.length === 0 || this.#retrying || this.#stopped) return;
    this.#retrying = true;
    this.#parts.timeline.after(retryNs, () => {
      this.#retrying = false;
      this.#publish();
    });
  }

  #publishOne({ client, seq, bypass, last, bytes, kind }: Answer): boolean {
    const { view, records, scenario, trace, timeline, faults } = this.#parts;
    const { producer } = view;
    const at = producer.claim(scenario.encoder ? recipeBytes : bytes);
    if (at === claimFull) {
      if (faults.has('ring-full')) faults.count('ring-full');
      return false;
    }
    if (at < 0) {
      this.#stopped = true;
      return false;
    }
    const number = records.count;
    if (scenario.encoder) writeRecipe(producer.bytes, at, number, bytes);
    else writeBody(producer.bytes, at, bytes, Tag.answer, number);
    // Each its own: it tells the record in the latency samples.
    this.#receivedNs = Math.max(this.#receivedNs + 1, timeline.nowNs - 1_000);
    records.seq.push(seq);
    records.bypass.push(bypass);
    records.last.push(last);
    records.bytes.push(bytes);
    records.client.push(client.ledger);
    records.fails.push(kind !== Kind.encodes);
    records.receivedNs.push(this.#receivedNs);
    client.ledger.expected.push(number);
    const flags = (last ? RecordFlag.lastInRequest : 0) | (bypass ? RecordFlag.durabilityBypass : 0);
    trace.note(Mark.published, number, seq, client.id);
    producer.publish(client.id, seq, flags, kind, this.#receivedNs);
    return true;
  }

  #publishOversize(): void {
    const { producer } = this.#parts.view;
    const at = producer.claim(this.#parts.scenario.maxPayload + 1);
    if (at === claimOversize || at < 0) return;
    throw new SimulationFailure('I04', 'a payload larger than a slot found a place');
  }
}

function writeRecipe(bytes: Uint8Array, at: number, number: number, length: number): void {
  for (let i = 0; i < 4; i++) {
    bytes[at + i] = number >>> (8 * i);
    bytes[at + 4 + i] = length >>> (8 * i);
  }
}

/** The application's encoder; `step`: what happens elsewhere meanwhile. */
export function recipeEncoder(bodyBytesMax: number, step: () => void): Encoder {
  return {
    bodyBytesMax,
    encode(record: RecordView, out: Uint8Array): number {
      step();
      const { bytes, kind } = record;
      const word = (at: number) =>
        (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
      if (kind === Kind.throws) throw new Error('this encoder was told to throw');
      const length = Math.max(bodyHeadBytes, word(4));
      writeBody(out, 0, Math.min(length, out.length), Tag.answer, word(0));
      return kind === Kind.overruns ? bodyBytesMax + 1 : length;
    },
  };
}
