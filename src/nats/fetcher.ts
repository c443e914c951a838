import { setTimeout as delay } from 'node:timers/promises';
import { AckgateError, type AckgateErrorCode } from '../errors.js';
import type { Logger } from '../shared/logger.js';
import { type BatchMessage, decodeBatch, senderOfBatch } from './batch-codec.js';
import { fetchRequestCodec, refusedCodec } from './messages.js';
import type { ReplicaStream } from './replica-stream.js';

/** How long an answer may take. */
const answerTimeoutMs = 2_000;
/** Before asking once more for what the primary had not on its disk yet, or what there was no room for. */
const againMs = 10;
const unansweredMs = 100;
const refusedMs = 1_000;

/** What is followed, and how far it is. */
export interface Fetchable {
  readonly term: number;
  readonly primaryId: string;
  readonly stream: ReplicaStream;
}

export interface FetcherOptions {
  readonly node: string;
  readonly instance: string;
  readonly logger: Logger;
  /** What is followed at the moment. */
  followed(): Fetchable | null;
  /** Null: no answer. */
  ask(primaryId: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array | null>;
  take(followed: Fetchable, batch: BatchMessage): void;
  /** The answer makes no sense, and why. */
  notUnderstood(primaryId: string, answer: Uint8Array, why: string): void;
  fail(error: unknown): void;
}

/** Fetches what a replica has missed, one request after the other: it sets the pace itself. */
export class Fetcher {
  readonly #options: FetcherOptions;
  #isRunning = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /** Begins when something is missing, if it is not at it already. */
  look(): void {
    if (this.#isRunning || this.#missing() === null) return;
    this.#isRunning = true;
    this.#run()
      .catch((error) => this.#options.fail(error))
      .finally(() => {
        this.#isRunning = false;
      });
  }

  #missing(): Fetchable | null {
    const followed = this.#options.followed();
    return followed !== null && followed.stream.missingFrom > 0 ? followed : null;
  }

  async #run(): Promise<void> {
    for (let followed = this.#missing(); followed !== null; followed = this.#missing()) {
      const from = followed.stream.missingFrom;
      await this.#fetch(followed, from);
      if (followed.stream.missingFrom === from) await delay(againMs);
    }
  }

  async #fetch(followed: Fetchable, from: number): Promise<void> {
    const { node, instance, ask, take, logger, notUnderstood } = this.#options;
    const { term, primaryId } = followed;
    const data = await ask(primaryId, fetchRequestCodec.encode({ node, instance, from }), answerTimeoutMs);
    if (data === null) {
      await delay(unansweredMs);
      return;
    }
    if (this.#options.followed() !== followed) return;
    const batch = decodeBatch(data);
    if (typeof batch !== 'string') {
      if (batch.term === term && batch.primaryId === primaryId) take(followed, batch);
      return;
    }
    const refused = refusedCodec.decode(data);
    if (typeof refused === 'string') {
      notUnderstood(primaryId, data, senderOfBatch(data) === null ? refused : batch);
      await delay(refusedMs);
      return;
    }
    const { code, message } = refused;
    if (code !== null) throw new AckgateError(code as AckgateErrorCode, message);
    logger.warn({ node, from, why: message }, "what is missing can't be fetched");
    await delay(refusedMs);
  }
}
