/** One process full of clients: it connects them, sends orders at a fixed rate, and says how it went. */
import hdr, { type Histogram } from 'hdr-histogram-js';
import { addTally, type FillTally } from './fill-tally.js';
import type { Verified } from './ledger.js';
import { TradingClient } from './trading-client.js';

export interface LoadConfig {
  port: number;
  /** Id of the first client; the others follow. */
  firstClientId: number;
  clients: number;
  /** Orders per second of this process. */
  rate: number;
  seconds: number;
  seed: number;
}

/** How far a process has come; the histogram is of the time since the last one. */
export interface LoadProgress {
  sent: number;
  answered: number;
  responses: number;
  /** Encoded, in microseconds. */
  rtt: string;
}

export interface LoadResult {
  orders: number;
  answered: number;
  responses: number;
  /** From the first order to the last answer. */
  elapsedMs: number;
  verified: Verified;
  makerFills: FillTally;
  takerFills: FillTally;
  /** Connections that ended before their time. */
  lostConnections: number;
  violations: string[];
}

/** So many connects under way at once: more than the listen queue holds would be retried by the kernel a second later. */
const connectsAtOnce = 100;
/** Orders sent before the answers get their turn, when the process is behind its schedule. */
const ordersPerTick = 500;
/** How long to wait for the last answers, in milliseconds. */
const drainMs = 15_000;
/** Round trips up to a minute, in microseconds with three digits. */
const rttOptions = { highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 } as const;

export function newRttHistogram(): Histogram {
  return hdr.build(rttOptions);
}

export class Load {
  readonly #config: LoadConfig;
  readonly #clients: TradingClient[] = [];
  #interval = newRttHistogram();
  #sent = 0;
  #answered = 0;
  #lostConnections = 0;
  #startMs = 0;
  #lastAnswerMs = 0;
  #stopped = false;

  constructor(config: LoadConfig) {
    this.#config = config;
    for (let i = 0; i < config.clients; i++) {
      const clientId = config.firstClientId + i;
      const seed = Math.imul(config.seed, 0x9e3779b1) + clientId;
      this.#clients.push(
        new TradingClient({ clientId, seed, onAnswered: (intendedAtMs) => this.#onAnswered(intendedAtMs) }),
      );
    }
  }

  async connect(): Promise<void> {
    for (let at = 0; at < this.#clients.length; at += connectsAtOnce) {
      const some = this.#clients.slice(at, at + connectsAtOnce);
      await Promise.all(some.map((client) => client.connect(this.#config.port)));
    }
  }

  /**
   * Sends at the rate that was asked for, whatever comes back (open loop): order n is due n / rate seconds after
   * the start, and its round trip counts from then, even if this process or the connection was late with it.
   */
  async run(): Promise<void> {
    const { rate, seconds } = this.#config;
    const total = Math.round(rate * seconds);
    const periodMs = 1000 / rate;
    this.#startMs = this.#lastAnswerMs = performance.now();
    for (let next = 0; next < total && !this.#stopped; ) {
      const due = Math.floor((performance.now() - this.#startMs) / periodMs) + 1;
      const end = Math.min(due, total, next + ordersPerTick);
      for (; next < end; next++) {
        const client = this.#clients[next % this.#clients.length];
        if (client.trade(this.#startMs + next * periodMs)) this.#sent++;
      }
      if (next < due) await nextTurn();
      else await sleep(1);
    }
    await Promise.race([Promise.all(this.#clients.map((client) => client.idle())), sleep(drainMs)]);
  }

  /** Ends the sending early. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Logs everybody off. Call it when all processes have had their answers: then all fills have been sent, and
   * each client can tell from the number of its last response whether it has seen all of them.
   */
  async finish(): Promise<LoadResult> {
    this.#lostConnections = this.#clients.filter((client) => !client.connected).length;
    await Promise.race([Promise.all(this.#clients.map((client) => client.logoff())), sleep(drainMs)]);
    const result: LoadResult = {
      orders: this.#sent,
      answered: this.#answered,
      responses: this.#responses(),
      elapsedMs: this.#lastAnswerMs - this.#startMs,
      verified: { missing: 0, duplicated: 0, outOfOrder: 0, corrupted: 0 },
      makerFills: { count: 0, quantity: 0, hash: 0 },
      takerFills: { count: 0, quantity: 0, hash: 0 },
      lostConnections: this.#lostConnections,
      violations: [],
    };
    for (const { clientId, ledger } of this.#clients) {
      ledger.giveUp();
      addCounts(result.verified, ledger.verified);
      addTally(result.makerFills, ledger.makerFills);
      addTally(result.takerFills, ledger.takerFills);
      result.violations.push(...ledger.violations.map((violation) => `client ${clientId}: ${violation}`));
    }
    result.violations.splice(20);
    for (const client of this.#clients) client.destroy();
    return result;
  }

  progress(): LoadProgress {
    const rtt = hdr.encodeIntoCompressedBase64(this.#interval);
    this.#interval.reset();
    return { sent: this.#sent, answered: this.#answered, responses: this.#responses(), rtt };
  }

  #responses(): number {
    return this.#clients.reduce((sum, client) => sum + client.ledger.responses, 0);
  }

  #onAnswered(intendedAtMs: number): void {
    this.#answered++;
    this.#lastAnswerMs = performance.now();
    this.#interval.recordValue(Math.max(0, Math.round((this.#lastAnswerMs - intendedAtMs) * 1000)));
  }
}

export function addCounts(sum: Verified, part: Verified): void {
  for (const name of Object.keys(sum) as (keyof Verified)[]) sum[name] += part[name];
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
