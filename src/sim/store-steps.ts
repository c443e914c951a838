type Operation = 'load' | 'store' | 'add' | 'compareExchange' | 'exchange';
const operations: readonly Operation[] = ['load', 'store', 'add', 'compareExchange', 'exchange'];
const originals = Object.fromEntries(operations.map((name) => [name, Atomics[name]]));
type Loose = Record<string, (...args: unknown[]) => unknown>;

/**
 * Runs `work` and lets `step` happen behind its `at`-th access to shared memory: what another thread can do between two
 * accesses. `times`: and behind each of the next ones. Returns whether there were so many. `counts` tells whether an
 * access is one of `work`'s own.
 *
 * Shared words are only ever reached through `Atomics`, which is exchanged for the time of the call.
 */
export function stepBetweenAccesses(
  at: number,
  work: () => void,
  step: () => void,
  counts: () => boolean = () => true,
  times = 1,
): boolean {
  let left = at;
  let steps = times;
  const restore = () => Object.assign(Atomics, originals);
  const install = () => {
    for (const name of operations) {
      const original = (originals as unknown as Loose)[name];
      (Atomics as unknown as Loose)[name] = (...args) => {
        const result = original(...args);
        if (counts() && left-- <= 0) {
          restore();
          step();
          if (--steps > 0) install();
        }
        return result;
      };
    }
  };
  install();
  try {
    work();
  } finally {
    restore();
  }
  return left < 0;
}
