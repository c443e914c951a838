import type { Socket } from 'node:net';
import type { Random } from '../../sim/random.js';
import type { Clock } from '../clock.js';
import type { ClientEvents, SoakClient, SoakDriver } from '../driver.js';
import type { Connector } from './connector.js';
import { cut } from './leave.js';

/** Further connections at a time; at most so many of the driver's client numbers are needed for them. */
export const chaosConnectionsMax = 16;

const chaosConnectionKinds = ['slow-reader', 'stuck-reader', 'half-frame'] as const;
export type ChaosConnectionKind = (typeof chaosConnectionKinds)[number];

/** A slow reader stays for 5 to 20 s; … */
const slowMsMin = 5000;
const slowMsMax = 20_000;
/** … it reads for so long of each second, … */
const slowReadMs = 100;
const slowPauseMs = 900;
/** … and asks so often in each of the two. */
const slowRequests = 10;
/** What a stuck reader sends in all, and how long it stays, at most. */
const stuckBytesMax = 2 * 1024 * 1024;
const stuckMsMax = 20_000;
const stuckEveryMs = 10;
const stuckRequestsPerTurn = 50;
/** With more than that in its own memory it waits: the server doesn't read either. */
const stuckQueuedBytesMax = 256 * 1024;
const requestBytes = 512;
/** A kernel's moment to send what a half-frame has written. */
const halfFramePauseMs = 20;

export interface ChaosConnectionsOptions {
  readonly driver: SoakDriver;
  readonly connector: Connector;
  /** The first number that no load client has. */
  readonly firstNumber: number;
}

interface Visitor {
  readonly client: SoakClient;
  readonly socket: Socket;
  /** True once the connection has ended by the server, or broke. */
  ended: boolean;
}

/** Clients that behave badly. They are not judged: only the server is, by what it makes of them. */
export class ChaosConnections {
  readonly #options: ChaosConnectionsOptions;
  readonly #clock: Clock;
  /** By place: whether it is taken, and the last id that its client has used. */
  readonly #taken: boolean[] = [];
  readonly #lastIds: number[] = [];

  constructor(options: ChaosConnectionsOptions) {
    this.#options = options;
    this.#clock = options.connector.clock;
    for (let place = 0; place < chaosConnectionsMax; place++) {
      this.#taken.push(false);
      this.#lastIds.push(0);
    }
  }

  /**
   * One visit, from its connection to its end. What it came to, for counting: the kind, and how it ended when that was not
   * by itself; null when there was no place for it, or it was stopped before it was connected. Rejects when the driver gives
   * no socket, without which none of this is possible.
   */
  async visit(kind: ChaosConnectionKind, random: Random, signal: AbortSignal): Promise<string | null> {
    const place = this.#taken.indexOf(false);
    if (place < 0) return null;
    this.#taken[place] = true;
    try {
      const visitor = await this.#connect(place, signal);
      if (visitor === null) return signal.aborted ? null : `${kind}-not-connected`;
      try {
        return await this.#behave(kind, visitor, place, random, signal);
      } finally {
        cut(visitor.client, kind !== 'slow-reader' && random.chance(0.5), this.#clock);
      }
    } finally {
      this.#taken[place] = false;
    }
  }

  async #connect(place: number, signal: AbortSignal): Promise<Visitor | null> {
    let ended = false;
    const events: ClientEvents = {
      answered: () => {},
      violated: () => {},
      closed: () => {
        ended = true;
        if (visitor !== null) visitor.ended = true;
      },
    };
    let visitor: Visitor | null = null;
    const made = await this.#options.connector.connect(this.#options.firstNumber + place, events, signal);
    if ('failed' in made) return null;
    const { client } = made;
    if (client.socket === undefined) {
      cut(client, false, this.#clock);
      throw new Error(`the driver ${this.#options.driver.name} gives no socket`);
    }
    visitor = { client, socket: client.socket, ended };
    return visitor;
  }

  async #behave(
    kind: ChaosConnectionKind,
    visitor: Visitor,
    place: number,
    random: Random,
    signal: AbortSignal,
  ): Promise<string> {
    if (kind === 'slow-reader') await this.#readSlowly(visitor, place, random, signal);
    else if (kind === 'stuck-reader') await this.#readNothing(visitor, place, signal);
    else await this.#sendHalf(visitor, signal);
    return visitor.ended ? `${kind}-ended` : kind;
  }

  async #readSlowly(visitor: Visitor, place: number, random: Random, signal: AbortSignal): Promise<void> {
    const untilMs = this.#clock.nowMs() + random.between(slowMsMin, slowMsMax);
    const { socket } = visitor;
    const goesOn = () => !visitor.ended && !signal.aborted && this.#clock.nowMs() < untilMs;
    while (goesOn()) {
      for (const [read, ms] of [
        [false, slowPauseMs],
        [true, slowReadMs],
      ] as const) {
        if (read) socket.resume();
        else socket.pause();
        for (let sent = 0; sent < slowRequests && goesOn(); sent++) {
          this.#send(visitor, place);
          await this.#clock.sleep(ms / slowRequests, signal);
        }
      }
    }
  }

  async #readNothing(visitor: Visitor, place: number, signal: AbortSignal): Promise<void> {
    const untilMs = this.#clock.nowMs() + stuckMsMax;
    const { socket } = visitor;
    socket.pause();
    const before = socket.bytesWritten;
    const sentBytes = () => socket.bytesWritten - before;
    while (
      !visitor.ended &&
      !signal.aborted &&
      this.#clock.nowMs() < untilMs &&
      sentBytes() < stuckBytesMax
    ) {
      for (let sent = 0; sent < stuckRequestsPerTurn && sentBytes() < stuckBytesMax; sent++) {
        if (socket.writableLength > stuckQueuedBytesMax || !this.#send(visitor, place)) break;
      }
      await this.#clock.sleep(stuckEveryMs, signal);
    }
  }

  async #sendHalf({ socket }: Visitor, signal: AbortSignal): Promise<void> {
    const whole = this.#options.driver.sampleRequest?.();
    if (whole !== undefined && socket.writable) socket.write(whole.subarray(0, whole.length >> 1));
    await this.#clock.sleep(halfFramePauseMs, signal);
  }

  #send(visitor: Visitor, place: number): boolean {
    if (visitor.ended) return false;
    const { requestBytesMax, operations } = this.#options.driver;
    const operation = operations.includes('simple') ? 'simple' : operations[0];
    const id = ++this.#lastIds[place];
    try {
      return visitor.client.send({ id, operation, bytes: Math.min(requestBytes, requestBytesMax) });
    } catch {
      return false;
    }
  }
}
