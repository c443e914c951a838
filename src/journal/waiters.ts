interface Waiter {
  sequence: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Promises of sequences that are not persisted yet, in order of the sequences. */
export class Waiters {
  #waiters: Waiter[] = [];

  get isEmpty(): boolean {
    return this.#waiters.length === 0;
  }

  add(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      // From the end: nearly always the newest sequence is waited for.
      let at = this.#waiters.length;
      while (at > 0 && this.#waiters[at - 1]!.sequence > sequence) at--;
      this.#waiters.splice(at, 0, { sequence, resolve, reject });
    });
  }

  resolveUpTo(sequence: number): void {
    const first = this.#waiters.findIndex((waiter) => waiter.sequence > sequence);
    const reached = this.#waiters.splice(0, first === -1 ? this.#waiters.length : first);
    for (const waiter of reached) waiter.resolve();
  }

  rejectAll(error: Error): void {
    const left = this.#waiters;
    this.#waiters = [];
    for (const waiter of left) waiter.reject(error);
  }
}
