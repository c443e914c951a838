import { Random } from '#ackgate/sim/random.js';
import { operations } from '#ackgate/soak/driver.js';
import { findingIds } from '#ackgate/soak/findings.js';
import type { RunRecord } from '#ackgate/soak/run-record.js';
import {
  noLosses,
  type Percentiles,
  type Sample,
  samplesPerWindow,
  type WindowReading,
} from '#ackgate/soak/samples.js';
import { defaultThresholds, type Thresholds } from '#ackgate/soak/thresholds.js';

// What a run of hours would have measured on a server with one defect, or with none, made in milliseconds.

const MiB = 1024 * 1024;
const hourMs = 3_600_000;

/** Every rate is per hour of load, and 0 on a right server. */
export interface ServerModel {
  readonly hours: number;
  readonly warmupHours: number;
  readonly requestsPerSecond: number;
  /** Outside of the JavaScript heap. */
  readonly leakedMiB: number;
  /** In the JavaScript heap, and so in RSS, too. */
  readonly leakedHeapMiB: number;
  readonly leakedThreads: number;
  /** One descriptor for so many; 0: none. */
  readonly requestsPerLeakedDescriptor: number;
  /** Garbage that a collection takes away every `sawtoothMinutes`. */
  readonly sawtoothMiB: number;
  readonly sawtoothMinutes: number;
  readonly warmupMiB: number;
  readonly warmupTauMinutes: number;
  /** From each window to the next. */
  readonly slowdownPercent: number;
  readonly slowOperationSlowdownPercent: number;
  /** One answer in so many never comes; 0: all come. */
  readonly requestsPerDrop: number;
  readonly thresholds: Partial<Thresholds>;
}

export const rightServer: ServerModel = {
  hours: 4,
  warmupHours: 0.5,
  requestsPerSecond: 100,
  leakedMiB: 0,
  leakedHeapMiB: 0,
  leakedThreads: 0,
  requestsPerLeakedDescriptor: 0,
  sawtoothMiB: 40,
  sawtoothMinutes: 7,
  warmupMiB: 0,
  warmupTauMinutes: 20,
  slowdownPercent: 0,
  slowOperationSlowdownPercent: 0,
  requestsPerDrop: 0,
  thresholds: {},
};

const sampleMs = 60_000;
const clients = 50;

/** Box and Muller's normal deviate. */
const normal = (random: Random) =>
  Math.sqrt(-2 * Math.log(1 - random.fraction())) * Math.cos(2 * Math.PI * random.fraction());

/** The machine is not the same from one window to the next, and few samples tell of the highest percentile. */
function percentiles(random: Random, baseMs: number, count: number): Percentiles {
  const busy = 1 + 0.03 * Math.abs(normal(random));
  const about = (ms: number, noise: number) => ms * busy * (1 + noise * normal(random));
  return {
    count,
    p50Ms: about(baseMs, 0.005),
    p95Ms: about(baseMs * 2.2, 0.01),
    p99Ms: about(baseMs * 4, 0.02),
    maxMs: baseMs * 10 * (1 + Math.abs(normal(random))),
  };
}

const noRequests = { due: 0, expected: 0, unexpected: 0, timedOut: 0, lost: 0, unsent: 0, abandoned: 0 };

/** The load lasts `hours` after the warm-up. The same seed makes the same record. */
export function recordOf(model: ServerModel, seed: number): RunRecord {
  const random = new Random(seed);
  const phaseMs = random.fraction() * model.sawtoothMinutes * 60_000;
  const sinceStartMs = 10_000 * random.fraction();
  const requestsPerSample = (model.requestsPerSecond * sampleMs) / 1000;
  const count = Math.round(((model.hours + model.warmupHours) * hourMs) / sampleMs);
  const warmups = Math.round((model.warmupHours * hourMs) / sampleMs);
  const samples: Sample[] = [];
  const windows: WindowReading[] = [];
  let dropped = 0;

  for (let n = 1; n <= count; n += 1) {
    const atMs = n * sampleMs;
    // A timer is late, now and then by a lot.
    const readMs = sinceStartMs + atMs + 50 * random.fraction() + (random.chance(0.02) ? 3000 : 0);
    const hours = readMs / hourMs;
    const sawtoothMs = model.sawtoothMinutes * 60_000;
    const garbage = (model.sawtoothMiB * ((readMs + phaseMs) % sawtoothMs)) / sawtoothMs;
    const warm = model.warmupMiB * (1 - Math.exp(-readMs / (model.warmupTauMinutes * 60_000)));
    const leaked = (model.leakedMiB + model.leakedHeapMiB) * hours;
    const rss = (70 + warm + garbage + leaked + 0.7 * Math.abs(normal(random))) * MiB;
    const heap = (18 + model.leakedHeapMiB * hours + 0.3 * Math.abs(normal(random))) * MiB;
    const requests = n * requestsPerSample;
    const per = model.requestsPerLeakedDescriptor;
    const drops = model.requestsPerDrop === 0 ? 0 : Math.floor(requests / model.requestsPerDrop) - dropped;
    dropped += drops;
    const lasts = n % samplesPerWindow === 0;
    const load = n > warmups;
    samples.push({
      atMs,
      phase: load ? 'load' : 'warm-up',
      segment: 0,
      process: {
        rssBytes: Math.round(rss / 4096) * 4096,
        pssBytes: Math.round(rss * 0.93),
        anonymousBytes: Math.round(rss * 0.6),
        threads: 11 + (random.chance(0.2) ? 1 : 0) + Math.floor(model.leakedThreads * hours),
        fds: 25 + clients + random.below(3) + (per === 0 ? 0 : Math.floor(requests / per)),
      },
      own: {
        heapUsedBytes: Math.round(heap * 1.5),
        heapAfterGcBytes: lasts ? Math.round(heap) : null,
        externalBytes: Math.round(2 * MiB * (1 + 0.1 * random.fraction())),
        eventLoopDelayP99Ms: 11 + random.fraction(),
      },
      status: null,
      load: {
        ...noRequests,
        due: requestsPerSample,
        expected: requestsPerSample - drops,
        timedOut: drops,
        outstanding: 0,
        connections: clients,
        // Latency is judged by its windows.
        latency: null,
        slowLatency: null,
        lagP99Ms: 0.5 + 0.2 * random.fraction(),
      },
      chaos: {},
    });
    if (!load || !lasts) continue;
    const answers = requestsPerSample * samplesPerWindow;
    const slower = (percent: number) => (1 + percent / 100) ** windows.length;
    windows.push({
      atMs,
      segment: 0,
      latency: percentiles(random, 1.2 * slower(model.slowdownPercent), answers * 0.95),
      slowLatency: percentiles(random, 31 * slower(model.slowOperationSlowdownPercent), answers * 0.05),
      lagP99Ms: 0.5 + 0.2 * random.fraction(),
    });
  }

  const due = count * requestsPerSample;
  return {
    startedAt: '2020-01-01T00:00:00.000Z',
    config: configOf(model, seed),
    driver: 'model',
    command: ['model'],
    repeat: 'model',
    machine: {},
    versions: {},
    segments: 1,
    readyAfterMs: 200,
    footprint: {
      idleRssBytes: 55 * MiB,
      halfRssBytes: 68 * MiB,
      finalRssBytes: 70 * MiB,
      requests: 50_000,
      answered: 50_000,
    },
    peak: { idleRssBytes: 70 * MiB, peakRssBytes: 75 * MiB, readings: 200 },
    samples,
    windows,
    losses: {
      ...noLosses,
      due,
      expected: due - dropped,
      timedOut: dropped,
      connectionsMade: clients,
    },
    chaosEvents: [],
    finalRssBytes: samples.at(-1)?.process.rssBytes ?? null,
    orphans: { connections: 0 },
    ended: { why: 'time' },
    serverExit: 'SIGTERM',
    serverOutput: '',
    notes: [],
    runner: { firstRssBytes: 80 * MiB, lastRssBytes: 82 * MiB, maxRssBytes: 85 * MiB },
  };
}

function configOf(model: ServerModel, seed: number): RunRecord['config'] {
  return {
    scenario: 'model',
    durationSeconds: (model.hours + model.warmupHours) * 3600,
    warmupSeconds: model.warmupHours * 3600,
    sampleSeconds: sampleMs / 1000,
    settleSeconds: 2,
    readySeconds: 30,
    requestsPerSecond: model.requestsPerSecond,
    clients,
    requestTimeoutMs: 5000,
    mix: Object.fromEntries(operations.map((name) => [name, 0.2])) as RunRecord['config']['mix'],
    sizes: { small: 1, medium: 0, large: 0, huge: 0 },
    chaos: {
      disconnectsPerClientMinute: 0,
      reconnectDelayMs: 0,
      slowReadersPerMinute: 0,
      stuckReadersPerMinute: 0,
      halfFramesPerMinute: 0,
      server: [],
    },
    footprint: { requests: 50_000, concurrency: 16 },
    burst: { requests: 1000, concurrency: 100 },
    thresholds: { ...defaultThresholds, ...model.thresholds },
    required: findingIds.filter(
      (id) => id !== 'leak-second-half' || model.thresholds.secondHalfBytesPerHourMax != null,
    ),
    seed,
  };
}
