/**
 * How a connection came to its end, as the client saw it: `end` an orderly FIN from the server; `reset` the server's
 * RST (`ECONNRESET`, or `EPIPE` where a write was the first to notice); `error` anything else that failed; `left` the
 * client itself closed or reset it first.
 */
export type Ending = 'end' | 'reset' | 'error' | 'left';

/** There is no frame to be had. */
export class NoFrameError extends Error {
  override readonly name = 'NoFrameError';
  /** The same for every reason; see `why`. */
  readonly code = 'ERR_NO_FRAME';
  /** `timeout`: one may still come. `malformed`: the server's header makes no sense. Otherwise how it ended. */
  readonly why: Ending | 'timeout' | 'malformed';

  constructor(why: NoFrameError['why'], message: string) {
    super(message);
    this.why = why;
  }
}

interface Waiter {
  resolve(body: Uint8Array): void;
  reject(why: NoFrameError): void;
}

/** The frames received so far, and who waits for the next ones. */
export class Inbox {
  /** All of them, in order, also those that `next()` has given out. */
  readonly frames: Uint8Array[] = [];
  #given = 0;
  readonly #waiters: Waiter[] = [];
  #over: NoFrameError | undefined;

  deliver(body: Uint8Array): void {
    this.frames.push(body);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#given++;
    waiter.resolve(body);
  }

  next(timeoutMs: number): Promise<Uint8Array> {
    if (this.#given < this.frames.length) return Promise.resolve(this.frames[this.#given++]);
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(new NoFrameError('timeout', `no frame within ${timeoutMs} ms, after ${this.frames.length}`));
      }, timeoutMs);
      const waiter: Waiter = {
        resolve(body) {
          clearTimeout(timer);
          resolve(body);
        },
        reject(why) {
          clearTimeout(timer);
          reject(why);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  /** Nothing more will come; the first reason given counts. */
  close(why: Ending | 'malformed', detail: string): void {
    if (this.#over !== undefined) return;
    this.#over = new NoFrameError(why, `no more frames after ${this.frames.length}: ${detail}`);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#over);
  }
}
