import { atMost } from '../shared/at-most.js';
import type { Clock } from './clock.js';
import type { SoakDriver } from './driver.js';
import type { Chaos } from './load/chaos.js';
import type { Load } from './load/load.js';
import { readProcess } from './samplers/process.js';
import { type LossCounts, type Phase, type Sample, samplesPerWindow, type WindowReading } from './samples.js';
import type { ServerProcess } from './server-process.js';

const statusMs = 2000;

export interface SamplingParts {
  readonly clock: Clock;
  readonly load: Load;
  readonly chaos: Chaos;
  readonly server: ServerProcess;
  readonly driver: SoakDriver;
  readonly everyMs: number;
  /** When it goes from warm-up to load, and when it ends, in milliseconds of this life of the server. */
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Time under load before this life of the server. */
  readonly elapsedMs: number;
  readonly segment: number;
  onPhase(phase: Phase): void;
  /** With the sums up to this very sample. */
  onSample(sample: Sample, losses: LossCounts): void;
  onWindow(window: WindowReading): void;
}

/**
 * Reads everything at fixed times, and closes a window after ten samples of the load phase. Resolves when the time is
 * over, or the signal aborted.
 */
export async function takeSamples(parts: SamplingParts, signal: AbortSignal): Promise<void> {
  const { clock, load, everyMs, warmupMs, durationMs, elapsedMs, segment } = parts;
  const beganMs = clock.nowMs();
  let phase: Phase = 'warm-up';
  let inWindow = 0;
  for (let dueMs = 0; ; ) {
    const nowMs = clock.nowMs() - beganMs;
    // A reading that took long leaves out the ones that it has overtaken.
    do dueMs += everyMs;
    while (dueMs <= nowMs);
    await clock.sleep(Math.min(dueMs, durationMs) - nowMs, signal);
    if (signal.aborted) return;

    const atMs = clock.nowMs() - beganMs;
    if (phase === 'load') inWindow++;
    const closesWindow = inWindow === samplesPerWindow;
    const { sample, losses } = await readAll(parts, elapsedMs + atMs, phase, closesWindow, signal);
    parts.onSample(sample, losses);
    if (closesWindow) {
      parts.onWindow({ atMs: elapsedMs + atMs, segment, ...load.window() });
      inWindow = 0;
    }
    if (phase === 'warm-up' && atMs >= warmupMs) {
      phase = 'load';
      parts.onPhase(phase);
      // What the warm-up has put into it.
      load.window();
    }
    if (atMs >= durationMs) return;
  }
}

async function readAll(
  { load, chaos, server, driver, segment }: SamplingParts,
  atMs: number,
  phase: Phase,
  collect: boolean,
  signal: AbortSignal,
): Promise<{ sample: Sample; losses: LossCounts }> {
  const reading = load.reading();
  const losses = load.losses();
  const events = chaos.take();
  const process = readProcess(server.pid);
  const [own, status] = await Promise.all([server.own(collect), readStatus(driver, server, signal)]);
  return { sample: { atMs, phase, segment, process, own, status, load: reading, chaos: events }, losses };
}

/** Null when the server does not say, or not within two seconds. */
export async function readStatus(
  driver: SoakDriver,
  server: ServerProcess,
  signal: AbortSignal,
): Promise<Sample['status']> {
  if (driver.status === undefined) return null;
  try {
    return (await atMost(statusMs, driver.status(server), signal)) ?? null;
  } catch {
    // A server that hangs shows in everything else.
    return null;
  }
}
