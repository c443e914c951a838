export interface AttendedTimeOptions {
  /** Resolves once the server has answered, and all that it had for us until then has arrived. */
  roundTrip(): Promise<unknown>;
  /** Monotonic milliseconds. */
  now(): number;
}

/** Most that counts between two answers of the server; `look` is to be called more often. */
const stepMsMax = 300;

/**
 * How long a node has listened: only while it ran itself, and the server answered it. Who says nothing during such a time is
 * silent; who said nothing while the server hung, was started anew, or this process stood still, may not have been heard.
 */
export class AttendedTime {
  readonly #options: AttendedTimeOptions;
  #ms = 0;
  #countedUntil: number;
  #isAsking = false;

  constructor(options: AttendedTimeOptions) {
    this.#options = options;
    this.#countedUntil = options.now();
  }

  get ms(): number {
    return this.#ms;
  }

  /** Asks the server, and counts what has passed when it answers. */
  look(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { roundTrip, now } = this.#options;
    const after = (isAnswered: boolean) => {
      const passedMs = now() - this.#countedUntil;
      if (isAnswered) this.#ms += Math.min(passedMs, stepMsMax);
      this.#countedUntil += passedMs;
      this.#isAsking = false;
    };
    roundTrip().then(
      () => after(true),
      () => after(false),
    );
  }
}
