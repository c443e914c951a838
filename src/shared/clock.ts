/** Monotonic nanoseconds, the same clock on every thread of the process, as an integer below 2^53. */
export type Clock = () => number;

// performance.now() counts from the start of its own thread and makes one number object at most; hrtime.bigint() counts
// on the clock that all threads share, and makes more. One reading of both gives the offset.
// A thread that is interrupted between the two would be late for good, so the best of several pairs counts.
let offsetNs = Number.NEGATIVE_INFINITY;
for (let pair = 0; pair < 8; pair++) {
  offsetNs = Math.max(offsetNs, Number(process.hrtime.bigint()) - performance.now() * 1e6);
}

/** The clock of `CLOCK_MONOTONIC`, as `process.hrtime()` reads it. */
export const monotonicNow: Clock = () => Math.floor(offsetNs + performance.now() * 1e6);
