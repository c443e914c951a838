import type { SwarmProgress } from '../sim/swarm/index.js';

export interface ProgressView {
  update(progress: SwarmProgress): void;
  stop(): void;
}

const lineEveryMs = 10_000;
/** What a shell makes of an interrupt. */
const interrupted = 130;

/** A bar on a terminal, a line from time to time elsewhere; on standard error, as the result goes to the other one. */
export async function openProgress(minutes: number | null, silent: boolean): Promise<ProgressView> {
  if (silent) return { update() {}, stop() {} };
  if (!process.stderr.isTTY) return lines();
  return bar(minutes);
}

function lines(): ProgressView {
  let toldMs = performance.now();
  return {
    update(progress) {
      if (performance.now() - toldMs < lineEveryMs) return;
      toldMs = performance.now();
      process.stderr.write(`${wording(progress)}\n`);
    },
    stop() {},
  };
}

async function bar(minutes: number | null): Promise<ProgressView> {
  const { progress } = await import('@clack/prompts');
  const beganMs = performance.now();
  const parts = 1000;
  const view = progress({ max: parts, output: process.stderr, withGuide: false });
  // The bar takes an interrupt for a wish to leave in peace; a run that was cut short has not held.
  const onExit = () => {
    process.exitCode = interrupted;
  };
  process.once('exit', onExit);
  let shown = 0;
  view.start('');
  return {
    update(state) {
      const share =
        state.of === null ? (performance.now() - beganMs) / ((minutes ?? 1) * 60_000) : state.done / state.of;
      const now = Math.min(parts, Math.floor(share * parts));
      view.advance(now - shown, wording(state));
      shown = now;
    },
    stop() {
      process.removeListener('exit', onExit);
      view.clear();
    },
  };
}

function wording({ done, of, failed }: SwarmProgress): string {
  const seeds = of === null ? `${done} seeds` : `${done} of ${of} seeds`;
  return failed === 0 ? seeds : `${seeds}, ${failed} failed`;
}
