/** Stages of this thread that still run. */
const running = new Set<() => void>();
let hooked = false;

/**
 * Runs `abandon` when this thread exits, by `process.exit` or an uncaught exception: a stage that sleeps in the kernel
 * has to be woken, for Node waits for its thread. Returns a function that takes it back.
 */
export function guardExit(abandon: () => void): () => void {
  if (!hooked) {
    hooked = true;
    // One listener for all stages: a listener each would trip Node's leak warning.
    process.on('exit', () => {
      for (const each of running) each();
    });
  }
  running.add(abandon);
  return () => running.delete(abandon);
}
