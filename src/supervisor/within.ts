import type { Timers } from './timers.js';

/** Waits for a call to be done. @throws what it throws, or that it was not done in so many milliseconds */
export async function within(
  timers: Timers,
  ms: number,
  call: () => void | Promise<void> | undefined,
): Promise<void> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    cancel = timers.after(ms, () => reject(new Error(`not done within ${ms} ms`)));
  });
  try {
    await Promise.race([call(), late]);
  } finally {
    cancel();
  }
}
