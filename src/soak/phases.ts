import { hasCode } from '../errors.js';
import { AnomalyWatch } from './anomaly-watch.js';
import type { Clock } from './clock.js';
import type { SoakConfig } from './config.js';
import type { SoakDriver } from './driver.js';
import type { Ending } from './ending.js';
import { messageOf } from './error-text.js';
import { Chaos, unsupportedChaos } from './load/chaos.js';
import { chaosConnectionsMax } from './load/chaos-connections.js';
import { Load } from './load/load.js';
import type { RunPhase } from './progress.js';
import { waitUntilReady } from './ready.js';
import type { RunBook } from './run-book.js';
import { listensItself, settledConnections } from './samplers/ports.js';
import { childrenOf, readProcess } from './samplers/process.js';
import { peakWhile } from './samplers/rss.js';
import type { Sample } from './samples.js';
import { readStatus, takeSamples } from './sampling.js';
import type { ServerProcess } from './server-process.js';

export interface PhaseParts {
  readonly config: SoakConfig;
  readonly driver: SoakDriver;
  readonly server: ServerProcess;
  readonly clock: Clock;
  readonly book: RunBook;
  readonly ending: Ending;
  /** Of the machine. */
  readonly memoryBytes: number;
  enter(phase: RunPhase): void;
  onSample(sample: Sample): void;
}

/** The server's end of a connection may close a moment after the client's. */
const leaveMs = 2000;
/** Resident memory is read so often in a burst. */
const burstReadingMs = 2;
/** Chaos has the numbers behind those of the clients. */
const readyClient = (clients: number) => clients + chaosConnectionsMax;

/**
 * Everything that is done to a server, from its start to the last reading. Whatever ends the run early ends each phase
 * early, too; what was measured until then is in the book.
 */
export async function runPhases(parts: PhaseParts): Promise<void> {
  const { config, driver, server, clock, book, ending } = parts;
  const { signal } = ending;
  const { progress } = book;
  if (!(await becomeReady(parts))) return;

  const isFirstLife = progress.segments === 0;
  progress.segments++;
  // Another life draws other requests; the same run, resumed at the same time, draws the same ones.
  const seed = (config.seed + Math.imul(progress.segments, 0x9e3779b1)) >>> 0;
  const { host, port } = server;
  const load = new Load({ driver, host, port, config, clock, seed });
  load.restore(progress.losses);
  try {
    parts.enter('idle');
    const idleRssBytes = await settledRss(parts);
    await load.connect(signal);
    if (isFirstLife) await measureClosedLoops(parts, load, idleRssBytes);
    if (!ending.early) await underLoad(parts, load, seed);
  } catch (error) {
    // What else is thrown is the runner's own doing.
    if (!hasCode(error, 'ERR_ACKGATE_SOAK_CONNECT')) throw error;
    ending.end({ why: 'anomaly', detail: messageOf(error) });
  } finally {
    parts.enter('settling');
    // After an end that was not in time nobody waits for answers.
    await load.finish(signal);
    progress.losses = load.losses();
  }
  if (!ending.early) await lastReadings(parts);
}

async function becomeReady({
  config,
  driver,
  server,
  clock,
  book,
  ending,
  enter,
}: PhaseParts): Promise<boolean> {
  enter('starting');
  const ready = await waitUntilReady({
    driver,
    server,
    clock,
    signal: ending.signal,
    readySeconds: config.readySeconds,
    client: readyClient(config.clients),
    seed: config.seed,
  });
  if (ready.ok && listensItself(server.pid, server.port) === false) {
    const detail = `another process than the server that was started listens on port ${server.port}, and has answered`;
    ending.end({ why: 'not-ready', detail });
    return false;
  }
  if (ready.ok) {
    book.progress.readyAfterMs ??= ready.afterMs;
    const children = childrenOf(server.pid);
    if (children !== null && children > 0) {
      book.note(
        `the command started ${children} more processes, which are not measured: give the server's own command`,
      );
    }
    return true;
  }
  ending.end({ why: 'not-ready', detail: ready.detail });
  return false;
}

/** The footprint, then the burst; each after the server has settled. */
async function measureClosedLoops(parts: PhaseParts, load: Load, idleRssBytes: number | null): Promise<void> {
  const { config, server, book, ending, enter } = parts;
  const { footprint, burst } = config;
  if (footprint.requests > 0) {
    enter('footprint');
    const { requests, concurrency } = footprint;
    const half = Math.ceil(requests / 2);
    const first = await load.closedLoop({ requests: half, concurrency }, ending.signal);
    const halfRssBytes = await settledRss(parts);
    const second = await load.closedLoop({ requests: requests - half, concurrency }, ending.signal);
    const finalRssBytes = await settledRss(parts);
    const answered = first.answered + second.answered;
    book.progress.footprint = { idleRssBytes, halfRssBytes, finalRssBytes, requests, answered };
  }
  if (burst.requests > 0 && !ending.early) {
    enter('burst');
    const peak = await peakWhile(server.pid, burstReadingMs, () => load.closedLoop(burst, ending.signal));
    const { idleRssBytes, peakRssBytes, readings } = peak;
    book.progress.peak = { idleRssBytes, peakRssBytes, readings };
  }
}

/**
 * Resident memory once the server has settled, without its garbage where it lets that be collected: what a program keeps
 * grows or doesn't, and what it has not thrown away yet is as chance will have it. V8 gives memory back only at the second
 * collection, some time after the first.
 */
async function settledRss({ config, server, clock, ending }: PhaseParts): Promise<number | null> {
  for (let part = 0; part < 2; part++) {
    await server.own(true);
    await clock.sleep(config.settleSeconds * 500, ending.signal);
  }
  return readProcess(server.pid).rssBytes;
}

async function underLoad(parts: PhaseParts, load: Load, seed: number): Promise<void> {
  const { config, driver, server, clock, book, ending, enter, onSample } = parts;
  const { host, port } = server;
  const { progress } = book;
  const { elapsedMs, segments } = progress;
  const beganMs = clock.nowMs();
  const atMs = () => elapsedMs + clock.nowMs() - beganMs;
  const chaos = new Chaos({ load, driver, server, host, port, config, clock, seed, atMs });
  for (const sentence of unsupportedChaos(driver, config.chaos)) book.note(sentence);
  const anomalies = new AnomalyWatch(parts.memoryBytes);
  const over = new AbortController();
  const signal = AbortSignal.any([ending.signal, over.signal]);
  // What the closed loops left in the counters of the first sample and window is not of this load.
  load.reading();
  load.window();
  progress.losses = load.losses();
  enter('warm-up');
  const work = [load.run(signal), chaos.run(signal)];
  // A load that can't go on ends the sampling as well.
  const sampling = takeSamples(
    {
      clock,
      load,
      chaos,
      server,
      driver,
      everyMs: config.sampleSeconds * 1000,
      warmupMs: config.warmupSeconds * 1000,
      durationMs: config.durationSeconds * 1000 - elapsedMs,
      elapsedMs,
      segment: segments - 1,
      onPhase: enter,
      onSample: (reading, losses) => {
        book.addChaos(chaos.events());
        progress.losses = losses;
        onSample(reading);
        const detail = anomalies.look(reading, load.disturbed);
        if (detail !== null) ending.end({ why: 'anomaly', detail });
      },
      onWindow: (window) => progress.windows.push(window),
    },
    signal,
  );
  try {
    await Promise.race([sampling, ...work.map((part) => part.then(() => sampling))]);
  } finally {
    over.abort();
    await Promise.allSettled([sampling, ...work]);
    book.addChaos(chaos.events());
    for (const problem of chaos.problems) book.note(problem);
  }
}

/** When all clients have left. */
async function lastReadings(parts: PhaseParts): Promise<void> {
  const { driver, server, clock, book, ending } = parts;
  const finalRssBytes = await settledRss(parts);
  if (ending.early) return;
  book.finalRssBytes = finalRssBytes;
  const connections = await settledConnections(server.port, leaveMs, clock, ending.signal);
  const status = await readStatus(driver, server, ending.signal);
  const named = (driver.orphans ?? []).map((name) => [name, status?.[name] ?? Number.NaN] as const);
  if (connections === null && named.length === 0) return;
  book.orphans = {
    ...(connections !== null && { 'open sockets': connections }),
    ...Object.fromEntries(named),
  };
}
