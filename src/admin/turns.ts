/** Lets one change at a time go on: two of them at once could not tell what each of them changed. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Calls it when all that was handed over before is over, however that ended. */
  take<T>(change: () => T | Promise<T>): Promise<T> {
    const mine = this.#last.then(change);
    this.#last = mine.catch(() => {});
    return mine;
  }
}
