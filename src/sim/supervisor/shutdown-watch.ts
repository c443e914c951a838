import type { Logger } from '../../shared/logger.js';
import type { HealthServer } from '../../supervisor/options.js';
import { ShutdownError, type ShutdownStage } from '../../supervisor/shutdown.js';
import type { Supervisor } from '../../supervisor/supervisor.js';
import { Mark } from '../trace.js';
import type { SupervisedParts } from './parts.js';
import type { ShutdownTrouble } from './scenario.js';

/** As promised, and not as the supervisor has it. */
const order: readonly ShutdownStage[] = [
  'readiness',
  'accepting',
  'notify',
  'drain',
  'force-close',
  'flush',
  'stage',
  'health',
];

/** What a stopped stage takes to end, and what else may come on top of a time limit. */
const teardownMs = 1100;
const slackMs = 60;
const settleMs = 500;

/** Begins the shutdown, and looks how it goes. */
export class ShutdownWatch implements HealthServer {
  /** When it has settled. */
  settledNs = Number.POSITIVE_INFINITY;
  begunNs = Number.POSITIVE_INFINITY;
  /** No connection is accepted any more. */
  notAccepting = false;
  readonly #parts: SupervisedParts;
  readonly #stages: { stage: string; atMs: number }[] = [];
  #hurriedMs = Number.POSITIVE_INFINITY;
  #supervisor: Supervisor | null = null;

  constructor(parts: SupervisedParts) {
    this.#parts = parts;
  }

  use(supervisor: Supervisor): void {
    this.#supervisor = supervisor;
  }

  get begun(): boolean {
    return this.begunNs !== Number.POSITIVE_INFINITY;
  }

  get settled(): boolean {
    return this.settledNs !== Number.POSITIVE_INFINITY;
  }

  /** Drained, or out of time: what is left is closed. */
  get forcing(): boolean {
    return this.#stages.length > order.indexOf('drain');
  }

  begin(): void {
    if (this.begun) return;
    const { scenario, timeline, thread, trace } = this.#parts;
    const { drainMs, hurryNs, again } = scenario;
    this.begunNs = timeline.nowNs;
    trace.say(Mark.control, 'shutdown');
    const done = this.#ask(drainMs);
    if (again) {
      thread.later(1e6, () => {
        if (this.#ask(0) !== done) this.#wrong('S08', 'a second shutdown() is one of its own');
      });
    }
    if (hurryNs !== null) {
      thread.later(hurryNs, () => {
        this.#hurriedMs = Math.min(this.#hurriedMs, thread.now());
        this.#supervisor?.hurry();
      });
    }
    done.then(
      () => this.#end([]),
      (error) => this.#end(error),
    );
  }

  withdraw(): void {
    this.#expect('readiness');
    this.#trip('readiness');
  }

  async stopAccepting(): Promise<void> {
    this.notAccepting = true;
    this.#expect('accepting');
    this.#trip('accepting');
  }

  async close(): Promise<void> {
    this.#expect('health');
    const { thread, scenario, random } = this.#parts;
    await thread.sleep(1);
    // Or it does not end at all.
    if (scenario.troubles.includes('health') && random.chance(0.5)) await new Promise(() => {});
    this.#trip('health');
  }

  logger(): Logger {
    const line = (level: string) => (fields: object, message: string) => {
      const { stage, reason, connectionId } = fields as Record<string, unknown>;
      this.#parts.trace.say(
        Mark.log,
        `${level} ${message} ${stage ?? ''} ${reason ?? ''} ${connectionId ?? ''}`,
      );
      if (message === 'shutdown stage done' || message === 'shutdown stage failed')
        this.#passed(stage as string);
      if (message === 'connection force-closed') this.#checkLate();
    };
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
  }

  /** Behind every task; `active` of the connections have nothing under way. */
  check(idle: number): void {
    if (this.#current !== 'drain') return;
    const { attached, handling } = (this.#supervisor as Supervisor).status();
    if (attached === 0 && handling === 0) this.#wrong('S09', 'the drain waits with nothing under way');
    if (idle > 0) this.#wrong('S09', `the drain leaves ${idle} idle connections open`);
  }

  /** Whether it has taken longer than it may. */
  checkTime(): void {
    const { scenario, timeline } = this.#parts;
    const { drainMs, flushMs, services } = scenario;
    const longestMs = drainMs + settleMs + flushMs * (services + 1) + teardownMs + slackMs;
    if (!this.begun || this.settled || timeline.nowNs <= this.begunNs + longestMs * 1e6) return;
    this.#wrong('S09', `the shutdown has not ended within ${longestMs} ms, at ${this.#current}`);
  }

  get #current(): ShutdownStage | undefined {
    return this.begun ? order[this.#stages.length] : undefined;
  }

  #ask(drainMs: number): Promise<void> {
    return (this.#supervisor as Supervisor).shutdown({ drainMs });
  }

  #passed(stage: string): void {
    const { thread, scenario } = this.#parts;
    this.#expect(stage);
    const atMs = thread.now();
    const tookMs = atMs - (this.#stages.at(-1)?.atMs ?? this.begunNs / 1e6);
    this.#stages.push({ stage, atMs });
    const lateMs = slackMs + scenario.latenessNs / 1e6;
    if (stage === 'drain') {
      const hurried = Math.max(0, this.#hurriedMs - (atMs - tookMs));
      if (tookMs > Math.min(scenario.drainMs, hurried) + lateMs)
        this.#wrong('S09', `drained for ${tookMs} ms`);
    } else if (stage === 'force-close' && tookMs > settleMs + lateMs) {
      this.#wrong('S09', `waited ${tookMs} ms for what it had force-closed`);
    }
  }

  #expect(stage: string): void {
    const expected = order[this.#stages.length];
    if (expected !== stage) this.#wrong('S08', `stage ${stage} came instead of ${expected}`);
  }

  /** Something was force-closed, which must not be before its time. */
  #checkLate(): void {
    const { thread, scenario } = this.#parts;
    const now = thread.now();
    const began = this.#stages.find(({ stage }) => stage === 'notify')?.atMs ?? now;
    if (this.#hurriedMs > now && now < began + scenario.drainMs) {
      this.#wrong('S09', `force-closed after ${now - began} of ${scenario.drainMs} ms`);
    }
  }

  #end(error: unknown): void {
    const { scenario, timeline, trace } = this.#parts;
    this.settledNs = timeline.nowNs;
    trace.say(Mark.control, 'shutdown over');
    const failed = error instanceof ShutdownError ? error.failures.map(({ stage }) => stage) : [];
    if (error instanceof Error && failed.length === 0)
      this.#wrong('S15', `shutdown() has thrown ${error.stack}`);
    if (failed.join() !== scenario.troubles.join()) {
      this.#wrong(
        'S08',
        `failed: ${failed.join() || 'nothing'}; was to fail: ${scenario.troubles.join() || 'nothing'}`,
      );
    }
    const passed = this.#stages.map(({ stage }) => stage);
    if (passed.join() !== order.join()) this.#wrong('S08', `went through ${passed.join()}`);
  }

  #trip(part: ShutdownTrouble): void {
    if (this.#parts.scenario.troubles.includes(part)) throw new Error(`${part} was told to fail`);
  }

  #wrong(invariant: Parameters<SupervisedParts['broken']>[0], message: string): void {
    this.#parts.broken(invariant, message);
  }
}
