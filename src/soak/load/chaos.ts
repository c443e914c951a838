import { setMaxListeners } from 'node:events';
import { Random } from '../../sim/random.js';
import type { Clock } from '../clock.js';
import type { ChaosConfig, SoakConfig } from '../config.js';
import type { ServerHandle, SoakDriver } from '../driver.js';
import { messageOf } from '../error-text.js';
import type { ChaosEvent } from '../run-record.js';
import { type ChaosConnectionKind, ChaosConnections } from './chaos-connections.js';
import { Connector } from './connector.js';
import type { Load } from './load.js';
import { runFaults } from './server-faults.js';

export interface ChaosOptions {
  readonly load: Load;
  readonly driver: SoakDriver;
  readonly server: ServerHandle;
  readonly host: string;
  readonly port: number;
  readonly config: SoakConfig;
  readonly clock: Clock;
  readonly seed: number;
  /** Time on the axis of the samples; default: since the chaos began. */
  readonly atMs?: () => number;
}

const minuteMs = 60_000;
/** Between two calls of `events`: what comes after that many is in the counts only. */
const eventsMax = 4000;
const problemsMax = 20;

/** What can happen to a server besides its load, drawn from a seed: bad clients, and faults of the server's own. */
export class Chaos {
  readonly #options: ChaosOptions;
  readonly #connections: ChaosConnections;
  readonly #random: Random;
  readonly #visits = new Set<Promise<void>>();
  #counts: Record<string, number> = {};
  #events: ChaosEvent[] = [];
  readonly #problems: string[] = [];
  #startMs = 0;

  constructor(options: ChaosOptions) {
    const { driver, host, port, clock, seed, config } = options;
    this.#options = options;
    this.#random = new Random(seed);
    const connector = new Connector({ driver, host, port, clock, seed });
    this.#connections = new ChaosConnections({ driver, connector, firstNumber: config.clients });
  }

  /** Until the signal; what the driver can't do is left out. When it resolves all is over: faults, and connections. */
  async run(ending: AbortSignal): Promise<void> {
    // One that many may listen to at once, which Node takes for a leak by default.
    const signal = AbortSignal.any([ending]);
    setMaxListeners(0, signal);
    const { clock, config } = this.#options;
    const { chaos } = config;
    this.#startMs = clock.nowMs();
    // Forked in this order whether they are needed or not: what one draws doesn't depend on what others are asked for.
    const [cuts, slow, stuck, half, faults] = Array.from({ length: 5 }, () => this.#random.fork());
    const perMinute = chaos.disconnectsPerClientMinute * config.clients;
    const all = [
      this.#every(perMinute, cuts, signal, () => this.#disconnect(cuts)),
      this.#visitors('slow-reader', chaos.slowReadersPerMinute, slow, signal),
      this.#visitors('stuck-reader', chaos.stuckReadersPerMinute, stuck, signal),
      this.#visitors('half-frame', chaos.halfFramesPerMinute, half, signal),
      ...chaos.server.map((one) => this.#faults(one, faults.fork(), signal)),
    ];
    await Promise.all(all);
    while (this.#visits.size > 0) await Promise.all(this.#visits);
  }

  /** How often each kind has happened since it was called the last time. */
  take(): Record<string, number> {
    const counts = this.#counts;
    this.#counts = {};
    return counts;
  }

  /** What has happened since it was called the last time. */
  events(): ChaosEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** The first few things that the driver could not do after all. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Does it again and again, so often a minute in the mean. */
  async #every(perMinute: number, random: Random, signal: AbortSignal, act: () => void): Promise<void> {
    if (!(perMinute > 0)) return;
    const { clock } = this.#options;
    let nextMs = clock.nowMs();
    while (!signal.aborted) {
      nextMs += random.exponential(minuteMs / perMinute);
      await clock.sleep(nextMs - clock.nowMs(), signal);
      if (!signal.aborted) act();
    }
  }

  #disconnect(random: Random): void {
    const { clients } = this.#options.load;
    const client = clients[random.below(clients.length)];
    const reset = random.chance(0.5);
    if (client.cut(reset)) this.#happened(reset ? 'reset' : 'disconnect', this.#nowMs(), 0);
  }

  async #visitors(kind: ChaosConnectionKind, perMinute: number, random: Random, signal: AbortSignal) {
    if (this.#cannot(kind)) return;
    await this.#every(perMinute, random, signal, () => {
      const visit = this.#visit(kind, random.fork(), signal).finally(() => this.#visits.delete(visit));
      this.#visits.add(visit);
    });
  }

  async #visit(kind: ChaosConnectionKind, random: Random, signal: AbortSignal): Promise<void> {
    const beganMs = this.#nowMs();
    try {
      const came = await this.#connections.visit(kind, random, signal);
      if (came !== null) this.#happened(came, beganMs, this.#nowMs() - beganMs);
    } catch (error) {
      this.#problem(`${kind}: ${messageOf(error)}`);
    }
  }

  #cannot(kind: ChaosConnectionKind): boolean {
    return kind === 'half-frame' && this.#options.driver.sampleRequest === undefined;
  }

  async #faults(chaos: ChaosConfig['server'][number], random: Random, signal: AbortSignal): Promise<void> {
    const { driver, server, clock, load } = this.#options;
    const fault = driver.faults?.[chaos.fault];
    if (fault === undefined) return;
    let beganMs = 0;
    const options = {
      chaos,
      fault,
      server,
      clock,
      random,
      disturb: (on: boolean) => load.disturb(on),
      retract: () => load.retract(),
      onBegin: (name: string) => {
        beganMs = this.#nowMs();
        this.#count(name);
      },
      onEnd: (name: string) => this.#event(name, beganMs, this.#nowMs() - beganMs),
      onProblem: (text: string) => this.#problem(text),
    };
    await runFaults(options, signal);
  }

  #nowMs(): number {
    const { atMs, clock } = this.#options;
    return atMs === undefined ? clock.nowMs() - this.#startMs : atMs();
  }

  #happened(kind: string, atMs: number, forMs: number): void {
    this.#count(kind);
    this.#event(kind, atMs, forMs);
  }

  #count(kind: string): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  #problem(text: string): void {
    if (this.#problems.length < problemsMax) this.#problems.push(text);
  }

  #event(kind: string, atMs: number, forMs: number): void {
    if (this.#events.length < eventsMax) this.#events.push({ atMs, kind, forMs });
  }
}

/** What of the chaos that is asked for the driver can't do, in sentences. */
export function unsupportedChaos(driver: SoakDriver, chaos: ChaosConfig): string[] {
  const known = Object.keys(driver.faults ?? {});
  const unknown = chaos.server
    .filter(({ fault }) => !known.includes(fault))
    .map(({ fault }) => {
      const has = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
      return `The driver ${driver.name} has no fault ${fault}: ${has}.`;
    });
  if (chaos.halfFramesPerMinute > 0 && driver.sampleRequest === undefined) {
    unknown.push(`The driver ${driver.name} has no sampleRequest, so there are no half-frames.`);
  }
  return unknown;
}
