type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeoutMs: number,
) => { async: boolean; value: Promise<unknown> | string };

// Every Node.js that we run on has it; the type checker's library knows it from ES2024 on.
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

/** `Atomics.wait` for a thread that has an event loop: resolves when woken, when the word is another, or in time. */
export async function waitWhile(words: Int32Array, index: number, value: number, timeoutMs: number) {
  const { async: isAsync, value: woken } = waitAsync(words, index, value, timeoutMs);
  if (isAsync) await woken;
}
