import { timerMsMax } from '../shared/timer-ms-max.js';

/** Time as the supervisor sees it; the simulator has its own. */
export interface Timers {
  /** Monotonic milliseconds. */
  now(): number;
  /**
   * Calls back once, after `ms` or a little later. Returns what cancels it. `background`: nothing that a process
   * should be kept alive for.
   */
  after(ms: number, call: () => void, options?: { background?: boolean }): () => void;
  /** Calls back in the next turn of the event loop, once others had theirs. */
  soon(call: () => void): void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after(ms, call, { background = false } = {}) {
    // A clock that is read between two ticks of the timers' own says that they fire early; a whole one more is never early.
    const timer = setTimeout(call, Math.min(Math.ceil(ms), timerMsMax));
    if (background) timer.unref();
    return () => clearTimeout(timer);
  },
  soon: (call) => {
    setImmediate(call);
  },
};
