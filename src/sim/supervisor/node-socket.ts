import { EventEmitter } from 'node:events';
import type { SimulatedSocket } from '../kernel/socket.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';
import type { ControlThread } from './control-thread.js';

type Arrival = Uint8Array | 'end' | Error;

/** Longest time that a client may take to end its side after an orderly end of ours. */
const lingerNs = 2e9;

/** Node's side of a client's socket, as far as supervisor and stage look at it: what comes in, and its end. */
export class NodeSocket extends EventEmitter {
  readonly remoteAddress = '192.0.2.1';
  destroyed = false;
  readableEnded = false;
  #paused = false;
  #due = false;
  #arrived: Arrival[] = [];
  /** When the last piece arrives that is on its way: pieces don't overtake each other. */
  #lastNs = 0;
  /** The kernel's side of its writing, which the stage does. */
  readonly kernel: SimulatedSocket;
  readonly #timeline: Timeline;
  readonly #thread: ControlThread;
  readonly #random: Random;

  constructor(kernel: SimulatedSocket, timeline: Timeline, thread: ControlThread, random: Random) {
    super();
    this.kernel = kernel;
    this.#timeline = timeline;
    this.#thread = thread;
    this.#random = random;
  }

  /** The client sends bytes, which arrive in pieces that are cut anywhere. */
  deliver(bytes: Uint8Array): void {
    const random = this.#random;
    const whole = random.chance(0.5);
    for (let at = 0; at < bytes.length; ) {
      const length = whole ? bytes.length : random.magnitude(1, bytes.length - at);
      const piece = bytes.slice(at, at + length);
      this.#travel(() => this.#arrived.push(piece));
      at += length;
    }
  }

  /** The client ends its stream. */
  deliverEnd(): void {
    this.#travel(() => this.#arrived.push('end'));
  }

  /** The client resets the connection: what was not read by then is lost. */
  deliverReset(): void {
    this.#travel(() => {
      this.#arrived = [Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })];
    });
  }

  pause(): this {
    this.#paused = true;
    return this;
  }

  resume(): this {
    this.#paused = false;
    this.#schedule();
    return this;
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.#arrived = [];
    this.#thread.post(() => this.emit('close'));
    return this;
  }

  /** What the stage does with a socket whose write side it has ended in order, in virtual time. */
  linger(): void {
    if (this.destroyed) return;
    if (this.readableEnded) {
      this.destroy();
      return;
    }
    this.removeAllListeners('data');
    this.once('end', () => this.destroy());
    this.resume();
    this.#thread.later(lingerNs, () => this.destroy());
  }

  #travel(arrive: () => void): void {
    const gapNs = this.#random.chance(0.7) ? this.#random.below(50_000) : this.#random.below(5_000_000);
    this.#lastNs = Math.max(this.#lastNs, this.#timeline.nowNs) + gapNs;
    this.#timeline.at(this.#lastNs, () => {
      if (this.destroyed || this.readableEnded) return;
      arrive();
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#due || this.#paused || this.#arrived.length === 0) return;
    this.#due = true;
    this.#thread.post(() => {
      this.#due = false;
      if (!this.#paused && !this.destroyed) this.#hand();
    });
  }

  #hand(): void {
    const arrival = this.#arrived.shift();
    if (arrival === undefined) return;
    if (arrival === 'end') {
      this.readableEnded = true;
      this.emit('end');
    } else if (arrival instanceof Uint8Array) this.emit('data', arrival);
    else {
      this.emit('error', arrival);
      this.destroy();
    }
    this.#schedule();
  }
}
