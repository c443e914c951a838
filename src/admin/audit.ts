import type { Logger } from '../shared/logger.js';
import type { Caller } from './guard.js';

/** What was done, or was to be done. Everything but the numbers is text of a bounded length without control characters. */
export interface AuditEntry {
  readonly who: Caller;
  readonly action: string;
  readonly from?: string;
  readonly to?: string;
  readonly revision?: number;
  /** Why nobody knows how it ended. */
  readonly why?: string;
}

/** Refusals that are logged at once, and how long it takes until one more may be. */
const burst = 10;
const refillMs = 1000;
const textMax = 1024;

/** One line for every change that was made over the server, and for every attempt that was refused. */
export class Audit {
  readonly #logger: Logger;
  readonly #instance: string | null;
  readonly #now: () => number;
  #allowance = burst;
  #refilledMs: number;
  #unreported = 0;

  constructor(logger: Logger, instance: string | null, now: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#instance = instance;
    this.#now = now;
    this.#refilledMs = now();
  }

  done(entry: AuditEntry, message: string): void {
    this.#log('info', this.#fields(entry), message);
  }

  /** It was handed over, but nobody knows whether it came into force. */
  unconfirmed(entry: AuditEntry, message: string): void {
    this.#log('warn', this.#fields(entry), message);
  }

  /** Attempts without the right token. A flood of them must not become a flood of lines, so most are only counted. */
  refused(who: Caller, action: string, status: number, reason: string): void {
    if (!this.#mayLog()) {
      this.#unreported++;
      return;
    }
    const fields = { ...this.#fields({ who, action }), status, reason };
    this.#log('warn', { ...fields, ...this.#countUnreported() }, 'admin call refused');
  }

  /** Tells of refusals that were only counted so far. */
  close(): void {
    if (this.#unreported === 0) return;
    const fields = { audit: true, instance: this.#instance, ...this.#countUnreported() };
    this.#log('warn', fields, 'admin calls refused');
  }

  #fields({ who, action, from, to, revision, why }: AuditEntry): object {
    return {
      audit: true,
      who: { address: harmless(who.address), token: who.token },
      action: harmless(action),
      ...(from !== undefined && { from: harmless(from) }),
      ...(to !== undefined && { to: harmless(to) }),
      ...(revision !== undefined && { revision }),
      ...(why !== undefined && { why: harmless(why) }),
      instance: this.#instance,
    };
  }

  #countUnreported(): { unreported?: number } {
    const unreported = this.#unreported;
    this.#unreported = 0;
    return unreported === 0 ? {} : { unreported };
  }

  #mayLog(): boolean {
    const nowMs = this.#now();
    const refills = Math.floor((nowMs - this.#refilledMs) / refillMs);
    this.#allowance = Math.min(burst, this.#allowance + refills);
    this.#refilledMs += refills * refillMs;
    if (this.#allowance === 0) return false;
    this.#allowance--;
    return true;
  }

  #log(level: 'info' | 'warn', fields: object, message: string): void {
    this.#logger[level](fields, message);
  }
}

/** Without line breaks and other control characters, for loggers that print texts as they are. */
export function harmless(text: string): string {
  const shown = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?');
  return shown.length > textMax ? `${shown.slice(0, textMax)}…` : shown;
}
