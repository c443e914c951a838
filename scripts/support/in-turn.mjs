/** Calls `work` with each item, in their order, at most `atOnce` at a time. Rejects with the first error. */
export async function inTurn(atOnce, items, work) {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
