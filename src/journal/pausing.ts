import { Word } from './memory.js';

/** A pause that was asked for and has not ended. */
interface Pause {
  readonly number: number;
  /** Whether the writer stopped before the pause was over. */
  readonly stopped: Promise<boolean>;
  readonly settle: (stopped: boolean) => void;
  readonly fail: (error: Error) => void;
  /** Resolves when it is over. */
  readonly over: Promise<void>;
  readonly end: () => void;
}

/**
 * The engine's side of a pause. Each has a number, which the writer repeats when it has stopped: so what it says about
 * one pause is never taken for the next one's.
 */
export class Pausing {
  readonly #words: Int32Array;
  #current: Pause | null = null;
  #isPending = false;
  #lastNumber = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Whether somebody waits for the writer to stop. */
  get isPending(): boolean {
    return this.#isPending;
  }

  /** Resolves when there is no pause: at once when there is none now. */
  get over(): Promise<void> {
    return this.#current?.over ?? Promise.resolve();
  }

  /** Asks the writer to stop. Whoever asks during a pause shares it. The caller wakes the writer. */
  begin(): { stopped: Promise<boolean>; isOver: () => boolean } {
    const pause = this.#current ?? this.#start();
    return { stopped: pause.stopped, isOver: () => this.#current !== pause };
  }

  end(): void {
    const pause = this.#current;
    if (pause === null) return;
    this.#current = null;
    this.#isPending = false;
    Atomics.store(this.#words, Word.pausing, 0);
    Atomics.notify(this.#words, Word.pausing);
    pause.settle(false);
    pause.end();
  }

  /** Looks whether the writer has stopped, or never will. */
  look(failure: Error | null): void {
    const pause = this.#current;
    if (pause === null) return;
    if (failure !== null) {
      pause.fail(failure);
      this.end();
    } else if (Atomics.load(this.#words, Word.paused) === pause.number) {
      this.#isPending = false;
      pause.settle(true);
    }
  }

  #start(): Pause {
    // 0 stands for "go on".
    this.#lastNumber = (this.#lastNumber % 0x7fffffff) + 1;
    let settle!: Pause['settle'];
    let fail!: Pause['fail'];
    let end!: Pause['end'];
    const stopped = new Promise<boolean>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#current = { number: this.#lastNumber, stopped, settle, fail, over, end };
    this.#isPending = true;
    Atomics.store(this.#words, Word.pausing, this.#lastNumber);
    return this.#current;
  }
}
