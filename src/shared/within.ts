/**
 * What `call` resolves to, or an error when it throws, rejects or takes longer; `late` gets what came too late. The
 * timer doesn't keep the process alive.
 */
export function within<T>(
  ms: number,
  what: string,
  call: () => Promise<T>,
  late: (value: T) => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false;
    const timer = setTimeout(() => {
      over = true;
      reject(new Error(`${what} gave no answer within ${ms} ms`));
    }, ms);
    timer.unref();
    // In a function of its own, so that what it throws at once is a rejection too.
    const answer = (async () => call())();
    answer
      .then((value) => (over ? late(value) : resolve(value)), reject)
      .finally(() => clearTimeout(timer))
      .catch(() => {});
  });
}
