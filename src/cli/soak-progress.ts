import { bytes, duration, ms } from '../soak/format.js';
import type { SoakProgress } from '../soak/progress.js';

export interface SoakProgressView {
  update(progress: SoakProgress): void;
  stop(): void;
}

const lineEveryMs = 60_000;
/** What a shell makes of an interrupt. */
const interrupted = 130;

/**
 * A bar on a terminal; elsewhere a line a minute, and one for each phase. On standard error, as the result goes to standard
 * output.
 */
export async function openSoakProgress(): Promise<SoakProgressView> {
  return process.stderr.isTTY ? bar() : lines();
}

function lines(): SoakProgressView {
  let phase: string | null = null;
  let toldMs = 0;
  return {
    update(progress) {
      const nowMs = performance.now();
      if (progress.phase === phase && nowMs - toldMs < lineEveryMs) return;
      phase = progress.phase;
      toldMs = nowMs;
      process.stderr.write(`${progressText(progress)}\n`);
    },
    stop() {},
  };
}

async function bar(): Promise<SoakProgressView> {
  const { progress } = await import('@clack/prompts');
  const parts = 1000;
  const cancelMessage = 'ending the run in order; once more to leave at once';
  const view = progress({ max: parts, output: process.stderr, withGuide: false, cancelMessage });
  // Where the bar sees an interrupt first, it takes it for a wish to leave in peace.
  const onExit = () => {
    process.exitCode = interrupted;
  };
  process.once('exit', onExit);
  let shown = 0;
  view.start('');
  // The bar reads keys as they are, Ctrl-C too; as a signal it ends the run in order.
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  return {
    update(state) {
      if (view.isCancelled) return;
      const share = Math.min(1, state.elapsedMs / state.durationMs);
      const now = Math.floor(share * parts);
      view.advance(now - shown, progressText(state));
      shown = now;
    },
    stop() {
      process.removeListener('exit', onExit);
      if (!view.isCancelled) view.clear();
    },
  };
}

/** Such as `load, 2 min 5 s of 10 min: 98 answers/s, p99 1.23 ms, RSS 83.1 MiB, 0 failed`. */
export function progressText(progress: SoakProgress): string {
  const { phase, elapsedMs, durationMs, answersPerSecond, p99Ms, rssBytes, failed } = progress;
  const figures = [
    answersPerSecond === null ? null : `${answersPerSecond.toFixed(answersPerSecond < 10 ? 1 : 0)} answers/s`,
    p99Ms === null ? null : `p99 ${ms(p99Ms)}`,
    rssBytes === null ? null : `RSS ${bytes(rssBytes)}`,
  ].filter((figure) => figure !== null);
  const time = elapsedMs === 0 ? phase : `${phase}, ${duration(elapsedMs)} of ${duration(durationMs)}`;
  return figures.length === 0 ? time : `${time}: ${[...figures, `${failed} failed`].join(', ')}`;
}
