import { Backoff } from './backoff.js';
import { describe } from './describe.js';
import type { TextSource } from './text-source.js';
import { within } from './within.js';

export interface WatchKeeperOptions {
  readonly source: TextSource;
  /** What is watched, in words, such as "the directives". */
  readonly what: string;
  readonly answerTimeoutMs: number;
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  readonly changed: () => void;
  /** The watch stands, or could not be set up: either way, what is known may be old. */
  readonly tried: () => void;
}

type Stop = () => void | Promise<void>;

/** One attempt at watching; what it says counts only while it is the latest. */
interface Attempt {
  stop: Stop | null;
  stoodAtMs: number;
}

/** Keeps a watch on a source: sets it up, and again after it failed, less and less often. */
export class WatchKeeper {
  /** Why there is no watch just now; null while it stands. */
  error: Error | null = null;
  readonly #options: WatchKeeperOptions;
  readonly #backoff: Backoff;
  #attempt: Attempt | null = null;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WatchKeeperOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.retryMsMin, options.retryMsMax);
  }

  start(): void {
    void this.#try();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    const stop = this.#attempt?.stop;
    this.#attempt = null;
    if (stop) await this.#end(stop);
  }

  async #try(): Promise<void> {
    const { source, what, answerTimeoutMs, changed, tried } = this.#options;
    const attempt: Attempt = { stop: null, stoodAtMs: Number.POSITIVE_INFINITY };
    this.#attempt = attempt;
    const isLatest = () => this.#attempt === attempt;
    try {
      const stop = await within(
        answerTimeoutMs,
        `watching ${what}`,
        () =>
          source.watch(
            () => isLatest() && changed(),
            (error) => isLatest() && this.#failed(error),
          ),
        (late) => void this.#end(late),
      );
      // It may have failed, or been closed, before it stood.
      if (!isLatest()) return void this.#end(stop);
      attempt.stop = stop;
      attempt.stoodAtMs = performance.now();
      this.error = null;
    } catch (error) {
      if (isLatest()) this.#failed(error);
    }
    if (!this.#closed) tried();
  }

  #failed(thrown: unknown): void {
    const attempt = this.#attempt as Attempt;
    this.#attempt = null;
    this.error =
      thrown instanceof Error
        ? thrown
        : new Error(`watching ${this.#options.what} failed: ${describe(thrown)}`);
    if (attempt.stop !== null) void this.#end(attempt.stop);
    // Standing is no progress by itself: one that is cut at once would be set up in a tight loop.
    if (performance.now() - attempt.stoodAtMs >= this.#options.retryMsMax) this.#backoff.reset();
    this.#retry = setTimeout(() => void this.#try(), this.#backoff.next());
    this.#retry.unref();
  }

  /** What goes wrong while ending is of no use to anybody. */
  async #end(stop: Stop): Promise<void> {
    await within(this.#options.answerTimeoutMs, 'ending the watch', async () => stop()).catch(() => {});
  }
}
