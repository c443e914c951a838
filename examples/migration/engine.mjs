/** Stands for a matching engine: takes orders, and knows the last ones. It is the same before and after. */
export class Engine {
  #sequence = 0;
  /** @type {string[]} */
  #last = [];

  /** @param {string} order */
  accept(order) {
    this.#sequence += 1;
    this.#last = [...this.#last.slice(-2), `${this.#sequence} ${order}`];
    return `accepted ${this.#sequence}`;
  }

  /** The last three orders. */
  last() {
    return this.#last;
  }
}
