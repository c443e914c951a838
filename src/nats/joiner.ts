import { performance } from 'node:perf_hooks';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
import type { History } from './history.js';
import { decodeHistory } from './history-file.js';
import { type Joined, type JoinRequest, joinReplyCodec, joinRequestCodec, type Refused } from './messages.js';

const answerTimeoutMs = 1_000;
/** Another process of this name may have died a moment ago; one that lives is heard of for longer than that. */
const twiceMs = 2_000;
/** A primary is heard of thousands of times a second: it is not asked as often when it says no. */
const refusedMs = 250;

export interface JoinerOptions extends Omit<JoinRequest, 'clock'> {
  /** Unix milliseconds. */
  wallClock(): number;
  /** Whom to ask; null: nobody. */
  primaryId(): string | null;
  /** Null: no answer. */
  ask(primaryId: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array | null>;
  joined(primaryId: string, reply: Joined, history: History): Promise<void>;
  /** The answer makes no sense, and why. */
  notUnderstood(primaryId: string, reply: Uint8Array, why: string): void;
  fail(error: unknown): void;
}

/** Asks the primary to be counted, and while it is counted, to stay so: one request at a time. */
export class Joiner {
  readonly #options: JoinerOptions;
  #asking: Promise<void> | null = null;
  #refusedSince: number | null = null;
  #notBefore = 0;

  constructor(options: JoinerOptions) {
    this.#options = options;
  }

  /** Resolves when nothing is under way. */
  get over(): Promise<void> {
    return this.#asking ?? Promise.resolve();
  }

  /** What an earlier primary said does not count for the next one. */
  forget(): void {
    this.#refusedSince = null;
    this.#notBefore = 0;
  }

  ask(): void {
    if (performance.now() < this.#notBefore) return;
    this.#asking ??= this.#ask()
      .catch((error) => this.#options.fail(error))
      .finally(() => {
        this.#asking = null;
      });
  }

  async #ask(): Promise<void> {
    const { node, instance, zone, wallClock, primaryId: whom, ask, joined, notUnderstood } = this.#options;
    const primaryId = whom();
    if (primaryId === null) return;
    const request = joinRequestCodec.encode({ node, instance, zone, clock: wallClock() });
    const data = await ask(primaryId, request, answerTimeoutMs);
    if (data === null || whom() !== primaryId) return;
    const answer = readAnswer(data);
    if ('joined' in answer) {
      this.#refusedSince = null;
      await joined(primaryId, answer.joined, answer.history);
      return;
    }
    this.#notBefore = performance.now() + refusedMs;
    if ('refused' in answer) this.#onRefused(answer.refused);
    else notUnderstood(primaryId, data, answer.fault);
  }

  #onRefused({ code, message }: Refused): void {
    this.#refusedSince ??= performance.now();
    if (code === 'ERR_ACKGATE_NODE_TWICE' && performance.now() - this.#refusedSince < twiceMs) return;
    this.#options.fail(
      new AckgateError((code ?? 'ERR_ACKGATE_INVALID_ARGUMENT') as AckgateErrorCode, message),
    );
  }
}

function readAnswer(
  data: Uint8Array,
): { joined: Joined; history: History } | { refused: Refused } | { fault: string } {
  const reply = joinReplyCodec.decode(data);
  if (typeof reply === 'string') return { fault: reply };
  if (reply.type === 'refused') return { refused: reply };
  const history = decodeHistory(reply.history);
  return typeof history === 'string' ? { fault: `its history: ${history}` } : { joined: reply, history };
}
