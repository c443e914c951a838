import { timerMsMax } from './timer-ms-max.js';

/**
 * What `doing` comes to, or undefined when that takes longer than so many milliseconds or the signal comes first. It is
 * looked at all the same: if it rejects afterwards, that is nobody's unhandled rejection.
 */
export async function atMost<T>(ms: number, doing: Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
  let giveUp = () => {};
  const stopped = new Promise<undefined>((resolve) => {
    giveUp = () => resolve(undefined);
  });
  const timer = setTimeout(giveUp, Math.min(ms, timerMsMax));
  signal?.addEventListener('abort', giveUp, { once: true });
  if (signal?.aborted) giveUp();
  try {
    return await Promise.race([doing, stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}
