import type { StatusAnswer } from './answer.js';

const everyMs = 500;
const backOffMaxMs = 5000;
const answerWithinMs = 3000;

export interface PollListener {
  onAnswer(answer: StatusAnswer): void;
  onMiss(reason: string): void;
}

/**
 * Asks for the status twice a second while the page can be seen, and less and less often while nobody answers. There
 * is never more than one question under way.
 */
export class Poll {
  readonly #listener: PollListener;
  #timer: number | undefined;
  #asking = false;
  #misses = 0;

  constructor(listener: PollListener) {
    this.#listener = listener;
    document.addEventListener('visibilitychange', () => this.now());
    window.addEventListener('online', () => this.now());
  }

  /** Asks at once, unless the page is hidden or a question is under way. */
  now(): void {
    window.clearTimeout(this.#timer);
    if (!document.hidden && !this.#asking) this.#ask();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const beganMs = performance.now();
    const answer = await this.#fetch();
    this.#asking = false;
    this.#misses = typeof answer === 'string' ? this.#misses + 1 : 0;
    if (typeof answer === 'string') this.#listener.onMiss(answer);
    else this.#listener.onAnswer(answer);
    if (document.hidden) return;
    const period = Math.min(backOffMaxMs, everyMs * 2 ** this.#misses);
    this.#timer = window.setTimeout(() => this.now(), Math.max(0, period - (performance.now() - beganMs)));
  }

  /** The answer, or why there is none. */
  async #fetch(): Promise<StatusAnswer | string> {
    try {
      const signal = AbortSignal.timeout(answerWithinMs);
      const response = await fetch('status', { cache: 'no-store', credentials: 'omit', signal });
      if (!response.ok) return `The server answers with ${response.status}.`;
      return (await response.json()) as StatusAnswer;
    } catch (error) {
      return (error as Error).name === 'TimeoutError'
        ? `The server takes longer than ${answerWithinMs / 1000} s to answer.`
        : 'The server can’t be reached.';
    }
  }
}
