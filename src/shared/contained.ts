import { types } from 'node:util';
import { describe } from './describe.js';

/**
 * Calls code of the application that must not be able to end the process, or whatever called it: what it throws, and a
 * promise of its that rejects, is caught and counted, and the first one is told by a process warning.
 */
export class Contained {
  /** Calls that have failed so far. */
  failures = 0;
  readonly #what: string;
  readonly #code: string;

  /** `what` begins the warning, such as "the logger". */
  constructor(what: string, code: string) {
    this.#what = what;
    this.#code = code;
  }

  run(call: () => unknown): void {
    try {
      const result = call();
      // Nobody would look at it, and Node ends the process for a rejection that nobody has looked at.
      if (types.isPromise(result)) result.then(undefined, (why) => this.#failed(why));
    } catch (why) {
      this.#failed(why);
    }
  }

  // Told once only, and not by a logger: one that fails would be asked again and again.
  #failed(why: unknown): void {
    if (this.failures++ > 0) return;
    process.emitWarning(`${this.#what} has failed: ${describe(why)}. What else it throws is ignored`, {
      type: 'AckgateWarning',
      code: this.#code,
      detail: stackOf(why),
    });
  }
}

function stackOf(thrown: unknown): string | undefined {
  try {
    const { stack } = thrown as { stack?: unknown };
    return typeof stack === 'string' ? stack : undefined;
  } catch {
    return undefined;
  }
}
