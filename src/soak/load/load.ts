import { Random } from '../../sim/random.js';
import type { Clock } from '../clock.js';
import type { ClosedLoad, SoakConfig } from '../config.js';
import type { SoakDriver } from '../driver.js';
import type { LoadReading, LossCounts } from '../samples.js';
import { ClosedLoop, type ClosedLoopResult } from './closed-loop.js';
import type { Sent } from './connection.js';
import { Connector } from './connector.js';
import type { TakenTimes } from './latency.js';
import { Ledger } from './ledger.js';
import { LoadClient } from './load-client.js';
import { Schedule } from './schedule.js';
import { Tally } from './tally.js';

export interface LoadOptions {
  readonly driver: SoakDriver;
  readonly host: string;
  readonly port: number;
  readonly config: SoakConfig;
  readonly clock: Clock;
  readonly seed: number;
  /** Told of the first few things that went wrong, in words. */
  readonly onExample?: (text: string) => void;
}

/** So many connections under way at once: more than the listen queue holds would be retried by the kernel a second later. */
const connectsAtOnce = 100;
/** Requests sent before the answers get their turn, when the process is behind its schedule. */
const requestsPerTurn = 500;
/** Longest sleep of the open loop: then it looks at what has timed out. */
const lookMs = 100;
const drainLookMs = 10;
const smallOnly = { small: 1, medium: 0, large: 0, huge: 0 };

/** All clients, and what they send: a load that does not depend on how fast the server is, or one that does. */
export class Load {
  readonly #options: LoadOptions;
  readonly #tally: Tally;
  readonly #ledger: Ledger;
  readonly #clients: LoadClient[] = [];
  readonly #stopping = new AbortController();
  readonly #seeds: Random;
  #nextClient = 0;

  constructor(options: LoadOptions) {
    const { driver, host, port, config, clock, seed, onExample } = options;
    this.#options = options;
    this.#tally = new Tally(onExample);
    this.#ledger = new Ledger({ tally: this.#tally, clock, requestTimeoutMs: config.requestTimeoutMs });
    this.#seeds = new Random(seed);
    const connector = new Connector({ driver, host, port, clock, seed });
    const { reconnectDelayMs } = config.chaos;
    for (let number = 0; number < config.clients; number++) {
      const ordered = driver.ordered !== false;
      const { connector: by, ledger } = { connector, ledger: this.#ledger };
      this.#clients.push(new LoadClient({ number, connector: by, ledger, ordered, reconnectDelayMs }));
    }
  }

  get clients(): readonly LoadClient[] {
    return this.#clients;
  }

  /** Of the clients, those that are connected. */
  get connections(): number {
    let count = 0;
    for (const client of this.#clients) if (client.connected) count++;
    return count;
  }

  /** @throws AckgateError ERR_ACKGATE_SOAK_CONNECT when one of the clients can't connect in ten seconds */
  async connect(signal: AbortSignal): Promise<void> {
    for (let at = 0; at < this.#clients.length; at += connectsAtOnce) {
      const some = this.#clients.slice(at, at + connectsAtOnce);
      await Promise.all(some.map((client) => client.connect(signal)));
    }
  }

  /**
   * The open loop, until the signal: requests are sent when they are due, whatever comes back, and their latency counts
   * from then, even if this process or the connection was late with them.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const schedule = this.#schedule(true);
    const ended = AbortSignal.any([signal, this.#stopping.signal]);
    const startMs = clock.nowMs();
    let sweptMs = startMs;
    while (!ended.aborted) {
      let nowMs = clock.nowMs();
      for (let sent = 0; sent < requestsPerTurn && startMs + schedule.dueMs <= nowMs; sent++) {
        this.#sendDue(schedule, startMs + schedule.dueMs, nowMs);
        schedule.next();
      }
      nowMs = clock.nowMs();
      if (nowMs - sweptMs >= lookMs) {
        this.#ledger.sweep();
        sweptMs = nowMs;
      }
      const restMs = startMs + schedule.dueMs - nowMs;
      // Short ones do without the signal: to listen to it, thousands of times a second, costs more than to be late by so much.
      if (restMs > 10) await clock.sleep(Math.min(lookMs, restMs), ended);
      else await clock.sleep(restMs > 0 ? 1 : 0);
    }
  }

  /**
   * So many small requests of the mix, but no slow ones unless there are no others; each is sent by the next client as
   * soon as fewer than so many are outstanding. Their latency goes into no histogram.
   */
  closedLoop({ requests, concurrency }: ClosedLoad, signal: AbortSignal): Promise<ClosedLoopResult> {
    const { clock, config } = this.#options;
    const loop = new ClosedLoop({
      requests,
      concurrency,
      ledger: this.#ledger,
      clock,
      schedule: this.#schedule(false),
      send: (schedule, nowMs) => this.#sendFrom(this.#nextClient++, schedule, nowMs, nowMs, true),
      giveUpMs: config.requestTimeoutMs,
    });
    return loop.run(AbortSignal.any([signal, this.#stopping.signal]));
  }

  /** What happened since it was called the last time. */
  reading(): LoadReading {
    this.#ledger.sweep();
    return {
      ...this.#tally.take(),
      outstanding: this.#ledger.outstanding,
      connections: this.connections,
      ...this.#ledger.latency.sample.take(),
    };
  }

  /** Latency since it was called the last time, apart from `reading`. */
  window(): TakenTimes {
    this.#ledger.sweep();
    return this.#ledger.latency.window.take();
  }

  /** From the beginning, or that of the run that this one goes on from. */
  losses(): LossCounts {
    return this.#tally.losses();
  }

  /** Goes on from the sums of an earlier run. */
  restore(losses: LossCounts): void {
    this.#tally.restore(losses);
  }

  /**
   * Something is being done to the server, or no longer; each `true` needs its `false`. Latency is not judged until all
   * requests that were outstanding or due meanwhile are gone.
   */
  disturb(on: boolean): void {
    this.#ledger.disturb(on);
  }

  /** In the place of `disturb(false)`: it could not be done after all, and excuses nothing. */
  retract(): void {
    this.#ledger.retract();
  }

  /** From `disturb(true)` until its backlog is gone, but no longer than a request's timeout after `disturb(false)`. */
  get disturbed(): boolean {
    return this.#ledger.disturbed;
  }

  /** Stops sending, waits for what is outstanding as long as its timeout allows or until the signal, and leaves. */
  async finish(signal: AbortSignal): Promise<void> {
    const { clock, config } = this.#options;
    this.#stopping.abort();
    const untilMs = clock.nowMs() + config.requestTimeoutMs;
    while (this.#ledger.outstanding > 0 && clock.nowMs() < untilMs && !signal.aborted) {
      await clock.sleep(drainLookMs, signal);
      this.#ledger.sweep();
    }
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  #schedule(openLoop: boolean): Schedule {
    const { driver, config } = this.#options;
    const { requestsPerSecond, clients } = config;
    const brisk = { ...config.mix, slow: 0 };
    const onlySlow = driver.operations.every((operation) => !(brisk[operation] > 0));
    const mix = openLoop || onlySlow ? config.mix : brisk;
    // Tens of thousands of large ones would measure the kernel's buffers, for hours.
    const sizes = openLoop ? config.sizes : smallOnly;
    return new Schedule({ requestsPerSecond, clients, mix, sizes, driver, seed: this.#seeds.word() });
  }

  #sendDue(schedule: Schedule, dueMs: number, nowMs: number): void {
    this.#tally.counts.due++;
    this.#ledger.latency.recordLag(nowMs - dueMs);
    if (this.#ledger.full) this.#tally.counts.unsent++;
    else if (this.#sendFrom(schedule.client, schedule, dueMs, nowMs, false) !== 'sent') {
      // Where the runner itself has cut all connections, nobody else is to blame.
      this.#tally.counts[this.#clients.every(({ awayByUs }) => awayByUs) ? 'abandoned' : 'unsent']++;
    }
  }

  /** By this client or the next one that is connected. */
  #sendFrom(
    first: number,
    { operation, bytes }: Schedule,
    dueMs: number,
    sentMs: number,
    closedLoop: boolean,
  ): Sent {
    const { length } = this.#clients;
    for (let tried = 0; tried < length; tried++) {
      const client = this.#clients[(first + tried) % length];
      const sent = client.send(operation, bytes, dueMs, sentMs, closedLoop);
      if (sent !== 'refused') return sent;
    }
    return 'refused';
  }
}
