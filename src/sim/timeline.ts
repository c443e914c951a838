/** What happens at its time; a later `cancel` of it is up to what it does. */
export type Happening = () => void;

/**
 * Virtual time in nanoseconds, and what is going to happen: nothing else in the simulator knows what time it is. Things
 * due at the same time happen in the order in which they were put here.
 */
export class Timeline {
  /** The virtual monotonic clock. */
  nowNs: number;
  /** Above 0: time may pass, but nothing happens: a thread is in the middle of something. */
  frozen = 0;
  /** Above 0: something is happening just now. */
  depth = 0;
  #times: number[] = [];
  #orders: number[] = [];
  #happenings: Happening[] = [];
  #count = 0;

  constructor(startNs = 0) {
    this.nowNs = startNs;
  }

  /** Time of the next thing to happen; Infinity: nothing is left. */
  get nextNs(): number {
    return this.#times.length === 0 ? Number.POSITIVE_INFINITY : this.#times[0];
  }

  after(ns: number, happening: Happening): void {
    this.at(this.nowNs + ns, happening);
  }

  at(timeNs: number, happening: Happening): void {
    const order = this.#count++;
    let place = this.#times.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#times[parent] <= timeNs) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#put(place, timeNs, order, happening);
  }

  /** Lets what is due by `untilNs` happen, and time come to it. */
  run(untilNs: number): void {
    while (this.frozen === 0 && this.nextNs <= untilNs) this.runNext();
    if (untilNs > this.nowNs) this.nowNs = untilNs;
  }

  /** Lets this much time pass. */
  spend(ns: number): void {
    const untilNs = this.nowNs + ns;
    if (this.#times.length > 0 && this.#times[0] <= untilNs) this.run(untilNs);
    else this.nowNs = untilNs;
  }

  /** Goes to the next thing and lets it happen. What is overdue happens now. */
  runNext(): void {
    const timeNs = this.#times[0];
    const happening = this.#happenings[0];
    this.#removeFirst();
    if (timeNs > this.nowNs) this.nowNs = timeNs;
    this.depth++;
    happening();
    this.depth--;
  }

  #removeFirst(): void {
    // Much faster than setting the length of each.
    const timeNs = this.#times.pop() as number;
    const order = this.#orders.pop() as number;
    const happening = this.#happenings.pop() as Happening;
    const last = this.#times.length;
    if (last === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#isBefore(child + 1, this.#times[child], this.#orders[child])) child++;
      if (!this.#isBefore(child, timeNs, order)) break;
      this.#move(child, place);
      place = child;
    }
    this.#put(place, timeNs, order, happening);
  }

  #isBefore(place: number, timeNs: number, order: number): boolean {
    return this.#times[place] < timeNs || (this.#times[place] === timeNs && this.#orders[place] < order);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from], this.#orders[from], this.#happenings[from]);
  }

  #put(place: number, timeNs: number, order: number, happening: Happening): void {
    this.#times[place] = timeNs;
    this.#orders[place] = order;
    this.#happenings[place] = happening;
  }
}
