import type { Timers } from '../../supervisor/timers.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';

/**
 * The thread that supervisor, application and sockets live on: tasks one after the other, and behind each of them
 * whatever it has promised. The stage's thread goes on meanwhile, so what happens there only leaves a task here.
 */
export class ControlThread implements Timers {
  /** Tasks run so far. */
  tasks = 0;
  /** Timers that were set, and have neither fired nor been cancelled. */
  timersSet = 0;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #latenessNs: number;
  readonly #onPost: () => void;
  #queue: (() => void)[] = [];
  #next = 0;

  /** `latenessNs`: most that a timer is late. `onPost`: a task waits now. */
  constructor(timeline: Timeline, random: Random, latenessNs: number, onPost: () => void) {
    this.#timeline = timeline;
    this.#random = random;
    this.#latenessNs = latenessNs;
    this.#onPost = onPost;
  }

  get idle(): boolean {
    return this.#next === this.#queue.length;
  }

  post(task: () => void): void {
    this.#queue.push(task);
    this.#onPost();
  }

  later(ns: number, task: () => void): void {
    this.#timeline.after(ns, () => this.post(task));
  }

  now(): number {
    return this.#timeline.nowNs / 1e6;
  }

  after(ms: number, call: () => void): () => void {
    let set = true;
    this.timersSet++;
    const cancel = () => {
      if (set) this.timersSet--;
      set = false;
    };
    const late = this.#latenessNs === 0 ? 0 : this.#random.below(this.#latenessNs);
    this.later(Math.ceil(ms * 1e6) + late, () => {
      if (!set) return;
      cancel();
      call();
    });
    return cancel;
  }

  soon(call: () => void): void {
    this.post(call);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.later(Math.ceil(ms * 1e6), resolve));
  }

  /** Runs one task, and all that becomes of promises with it. */
  async runOne(): Promise<void> {
    const task = this.#queue[this.#next++];
    if (this.idle) {
      this.#queue = [];
      this.#next = 0;
    }
    this.tasks++;
    task();
    // Every promise that can settle without another task has done so by then.
    await new Promise(setImmediate);
  }
}
