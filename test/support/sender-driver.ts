import assert from 'node:assert/strict';
import {
  RequestWord,
  ResultWord,
  requestWords,
  resultWords,
  SenderOp,
  type SenderState,
  sendBufferBytes,
} from '#ackgate/egress/sender.js';
import type { Peer, SenderSizes, SenderUnderTest, World } from './sender-world.js';

export interface Request {
  op: number;
  slot: number;
  generation: number;
  offset?: number;
  length?: number;
}

export interface Result {
  op: number;
  slot: number;
  generation: number;
  value: number;
}

const EAGAIN = -11;
/** Bound against hanging, never a measure. */
const patienceMs = 20_000;

/** What the stream of a connection holds at a position: another byte for another connection or a shifted stream. */
export function patternByte(seed: number, position: number): number {
  return (seed * 37 + position * 31 + (position >>> 8) * 7 + (position >>> 16) * 13) & 255;
}

/** Drives a sender by its tables, as the stage does. */
export class Driver {
  readonly under: SenderUnderTest;

  constructor(under: SenderUnderTest) {
    this.under = under;
  }

  get sender() {
    return this.under.sender;
  }

  flush(...requests: Request[]): Result[] {
    const table = this.sender.requests;
    requests.forEach((request, index) => {
      const base = index * requestWords;
      table[base + RequestWord.op] = request.op;
      table[base + RequestWord.slot] = request.slot;
      table[base + RequestWord.generation] = request.generation;
      table[base + RequestWord.offset] = request.offset ?? 0;
      table[base + RequestWord.length] = request.length ?? 0;
    });
    return this.#results(this.sender.flush(requests.length));
  }

  reap(): Result[] {
    return this.#results(this.sender.reap());
  }

  state(word: (typeof SenderState)[keyof typeof SenderState]): number {
    return this.sender.state[word];
  }

  /** Reaps and sleeps until there are `count` results. */
  async wait(world: World, count: number): Promise<Result[]> {
    const results: Result[] = [];
    await this.until(world, () => {
      results.push(...this.reap());
      return results.length >= count;
    });
    return results;
  }

  async until(world: World, holds: () => boolean): Promise<void> {
    const giveUp = performance.now() + patienceMs;
    while (!holds()) {
      assert(performance.now() < giveUp, 'nothing happened for too long');
      this.sender.park(5);
      await world.settle();
    }
  }

  #results(count: number): Result[] {
    const table = this.sender.results;
    return Array.from({ length: count }, (_, index) => {
      const base = index * resultWords;
      return {
        op: table[base + ResultWord.op],
        slot: table[base + ResultWord.slot],
        generation: table[base + ResultWord.generation] >>> 0,
        value: table[base + ResultWord.value],
      };
    });
  }
}

/** One connection of a driver: a stream of pattern bytes, sent as far as it is asked for. */
export class Stream {
  readonly driver: Driver;
  readonly peer: Peer;
  readonly slot: number;
  readonly generation: number;
  /** Bytes that the kernel took. */
  sent = 0;
  received = 0;
  /** How far the stream is to be sent. */
  goal = 0;
  chunkBytes = sendBufferBytes;
  underWay = 0;
  polling = false;
  shorts = 0;
  refusals = 0;
  error = 0;
  closed = false;

  constructor(driver: Driver, peer: Peer, slot: number, generation: number) {
    this.driver = driver;
    this.peer = peer;
    this.slot = slot;
    this.generation = generation;
  }

  /** The next send or poll, or null when the stream waits or is done. */
  next(): Request | null {
    const { slot, generation } = this;
    if (this.underWay > 0 || this.polling || this.error !== 0) return null;
    if (this.refusals > 0) {
      this.polling = true;
      return { op: SenderOp.poll, slot, generation };
    }
    const length = Math.min(this.goal - this.sent, this.chunkBytes);
    if (length === 0) return null;
    const base = slot * sendBufferBytes;
    for (let i = 0; i < length; i++) this.driver.under.arena[base + i] = patternByte(slot, this.sent + i);
    this.underWay = length;
    return { op: SenderOp.send, slot, generation, offset: 0, length };
  }

  apply(result: Result): void {
    assert.equal(result.slot, this.slot);
    assert.equal(result.generation, this.generation);
    assert(!this.closed, 'a result came after the end of its slot');
    if (result.op === SenderOp.closed) {
      this.closed = true;
    } else if (result.op === SenderOp.poll) {
      this.polling = false;
      this.refusals = 0;
    } else if (result.value === EAGAIN) {
      this.underWay = 0;
      this.refusals++;
    } else if (result.value < 0) {
      this.underWay = 0;
      this.error = result.value;
    } else {
      if (result.value < this.underWay) this.shorts++;
      this.sent += result.value;
      this.underWay = 0;
    }
  }

  /** Reads what is there, checks it, and tells how it ended. */
  read(bytesMax = 1 << 20): 'nothing' | 'end' | 'reset' | 'bytes' {
    const read = this.peer.read(Math.min(bytesMax, 1 << 18));
    if (typeof read === 'string') return read;
    for (let i = 0; i < read.length; i++) {
      if (read[i] !== patternByte(this.slot, this.received + i)) {
        assert.fail(`slot ${this.slot}: wrong byte at ${this.received + i}`);
      }
    }
    this.received += read.length;
    return 'bytes';
  }

  /** Reads until there is nothing more for now, or the stream has ended. */
  drain(): 'nothing' | 'end' | 'reset' {
    for (;;) {
      const read = this.read();
      if (read !== 'bytes') return read;
    }
  }

  get blocked(): boolean {
    return this.underWay > 0 || this.polling;
  }
}

/** A sender with connections; `pump` is the stage's loop in small. */
export class Bench {
  readonly driver: Driver;
  readonly streams: Stream[] = [];
  readonly #world: World;
  readonly #kernelSendBufferBytes: number | undefined;

  private constructor(world: World, driver: Driver, kernelSendBufferBytes?: number) {
    this.#world = world;
    this.driver = driver;
    this.#kernelSendBufferBytes = kernelSendBufferBytes;
  }

  static async create(world: World, connections: number, sizes?: Partial<SenderSizes>): Promise<Bench> {
    const under = world.makeSender({ slots: Math.max(connections, 4), ...sizes });
    const bench = new Bench(world, new Driver(under), sizes?.kernelSendBufferBytes);
    for (let slot = 0; slot < connections; slot++) await bench.open(slot, 1);
    return bench;
  }

  async open(slot: number, generation: number): Promise<Stream> {
    const peer = await this.#world.connect(this.#kernelSendBufferBytes);
    assert.equal(this.driver.sender.open(slot, generation, peer.fd), 0);
    const stream = new Stream(this.driver, peer, slot, generation);
    this.streams.push(stream);
    return stream;
  }

  /** Asks for what the streams want to send, and applies what came. */
  step(): number {
    const requests = this.streams.map((stream) => stream.next()).filter((request) => request !== null);
    const results = this.driver.flush(...requests);
    this.apply(results);
    return requests.length + results.length;
  }

  apply(results: Result[]): void {
    for (const result of results) {
      const stream = this.streams.find(
        ({ slot, generation }) => slot === result.slot && generation === result.generation,
      );
      assert(stream, `a result for slot ${result.slot}, generation ${result.generation}: nobody's`);
      stream.apply(result);
    }
  }

  async pump(holds: () => boolean, read: readonly Stream[] = []): Promise<void> {
    await this.driver.until(this.#world, () => {
      while (this.step() > 0);
      for (const stream of read) stream.drain();
      return holds();
    });
  }

  /** Sends to a peer that does not read until the kernel takes no more. */
  async block(stream: Stream): Promise<void> {
    stream.goal = Number.MAX_SAFE_INTEGER;
    let before = -1;
    // A sleep between: bytes on their way into the peer's own queue make room once more.
    while (before !== stream.sent || !stream.blocked) {
      before = stream.sent;
      while (this.step() > 0);
      this.driver.sender.park(20);
      await this.#world.settle();
    }
  }

  async close(stream: Stream, how: number): Promise<void> {
    stream.goal = stream.sent;
    this.driver.sender.close(stream.slot, how);
    await this.driver.until(this.#world, () => {
      this.apply(this.driver.reap());
      return stream.closed;
    });
  }

  /** Takes everything down; returns how many slots the kernel still held. */
  async dispose(): Promise<number> {
    const held = this.driver.sender.destroy(5000);
    this.driver.under.dispose();
    await Promise.all(this.streams.map(({ peer }) => peer.destroy()));
    await this.#world.settle();
    return held;
  }
}
