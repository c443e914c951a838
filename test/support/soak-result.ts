import { Random } from '#ackgate/sim/random.js';
import type { SoakConfig } from '#ackgate/soak/config.js';
import { type FindingId, type Verdict, verdictOf } from '#ackgate/soak/findings.js';
import { judgeRun } from '#ackgate/soak/judge-run.js';
import type { ChaosEvent, Ended, RunRecord, SoakResult } from '#ackgate/soak/run-record.js';
import {
  type LossCounts,
  noLosses,
  type Percentiles,
  type Sample,
  samplesPerWindow,
  type WindowReading,
} from '#ackgate/soak/samples.js';
import { requiredFindings } from '#ackgate/soak/scenarios.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';

const MiB = 1024 * 1024;
const hour = 3_600_000;

export interface SoakShape {
  readonly seed?: number;
  readonly durationSeconds?: number;
  readonly warmupSeconds?: number;
  readonly sampleSeconds?: number;
  readonly requestsPerSecond?: number;
  /** How much RSS and the heap grow. */
  readonly leakBytesPerHour?: number;
  /** Of how many chaos events there are marks. */
  readonly chaosEvents?: number;
  /** Times, as shares of the run, at which the server was begun anew. */
  readonly restarts?: readonly number[];
  /** No readings from the server itself. */
  readonly opaque?: boolean;
  /** The run ended at this share of its time; 0: without any sample. */
  readonly reached?: number;
  readonly ended?: Ended;
  /** In the place of what the judges say. */
  readonly verdicts?: Partial<Record<FindingId, Verdict>>;
  readonly record?: Partial<RunRecord>;
}

const kinds = ['disconnect', 'slow-reader', 'stuck-reader', 'half-frame', 'journal-stall'];

/** What a run could have come to; the same for the same shape. */
export function soakResult(shape: SoakShape = {}): SoakResult {
  const record = soakRecord(shape);
  const findings = judgeRun(record).map((finding) => ({
    ...finding,
    verdict: shape.verdicts?.[finding.id] ?? finding.verdict,
  }));
  return { verdict: verdictOf(findings), findings, record, directory: '/soak' };
}

export function soakRecord(shape: SoakShape = {}): RunRecord {
  const { seed = 7, reached = 1, ended = { why: 'time' } } = shape;
  const random = new Random(seed);
  const config = soakConfig(shape);
  const endMs = config.durationSeconds * 1000 * reached;
  const chaosEvents = madeUpChaos(random, endMs > 0 ? (shape.chaosEvents ?? 60) : 0, endMs);
  const samples = madeUpSamples(random, shape, config, endMs, chaosEvents);
  const windows = madeUpWindows(random, samples, config);
  const last = samples.at(-1);
  return {
    startedAt: '2026-03-01T10:00:00.000Z',
    config,
    driver: 'matching engine of the demo',
    command: ['node', 'dist/demo/server.js', '--port', '40123'],
    repeat: `ackgate soak moderate --duration ${config.durationSeconds}s --seed ${seed}`,
    machine: { cpu: 'Some CPU @ 3 GHz', cores: 2, memoryBytes: 8 * 1024 * MiB, kernel: '6.1.0' },
    versions: { ackgate: '1.2.3', node: 'v20.20.0' },
    segments: 1 + (shape.restarts?.length ?? 0),
    readyAfterMs: 312,
    footprint: {
      idleRssBytes: 92 * MiB,
      halfRssBytes: 110 * MiB,
      finalRssBytes: 111 * MiB,
      requests: 50_000,
      answered: 50_000,
    },
    peak: { idleRssBytes: 111 * MiB, peakRssBytes: 118 * MiB, readings: 240 },
    samples,
    windows,
    losses: sums(samples),
    chaosEvents,
    finalRssBytes: last?.process.rssBytes ?? null,
    orphans: { connections: 0, slots: 0 },
    ended,
    serverExit: 'exit code 0',
    serverOutput: 'listening on 127.0.0.1:40123\n',
    notes: [],
    runner: { firstRssBytes: 80 * MiB, lastRssBytes: 86 * MiB, maxRssBytes: 90 * MiB },
    ...shape.record,
  };
}

export function soakConfig(shape: SoakShape = {}): SoakConfig {
  const { durationSeconds = 7200, sampleSeconds = 10, requestsPerSecond = 100, seed = 7 } = shape;
  const config = {
    scenario: 'moderate',
    durationSeconds,
    warmupSeconds: shape.warmupSeconds ?? durationSeconds / 10,
    sampleSeconds,
    settleSeconds: 2,
    readySeconds: 30,
    requestsPerSecond,
    clients: 50,
    requestTimeoutMs: 10_000,
    mix: { simple: 0.6, batch: 0.2, streaming: 0.1, error: 0.05, slow: 0.05 },
    sizes: { small: 0.8, medium: 0.2, large: 0, huge: 0 },
    chaos: {
      disconnectsPerClientMinute: 0.01,
      reconnectDelayMs: 1000,
      slowReadersPerMinute: 0.5,
      stuckReadersPerMinute: 0.2,
      halfFramesPerMinute: 0.5,
      server: [{ fault: 'journal-stall', everySeconds: 600, forMs: 1500 }],
    },
    footprint: { requests: 50_000, concurrency: 16 },
    burst: { requests: 10_000, concurrency: 64 },
    thresholds: defaultThresholds,
    seed,
  };
  return { ...config, required: requiredFindings(config) };
}

/** Most of them are of the first kinds. */
function madeUpChaos(random: Random, many: number, endMs: number): ChaosEvent[] {
  return Array.from({ length: many }, () => {
    const kind = kinds[Math.floor(random.fraction() ** 3 * kinds.length)]!;
    return { atMs: random.fraction() * endMs, kind, forMs: kind === 'journal-stall' ? 1500 : 0 };
  }).sort((a, b) => a.atMs - b.atMs);
}

function madeUpSamples(
  random: Random,
  shape: SoakShape,
  config: SoakConfig,
  endMs: number,
  events: readonly ChaosEvent[],
): Sample[] {
  const { leakBytesPerHour = 0, restarts = [], opaque = false } = shape;
  const everyMs = config.sampleSeconds * 1000;
  const count = Math.floor(endMs / everyMs);
  const begins = [0, ...restarts.map((share) => share * config.durationSeconds * 1000)];
  const samples: Sample[] = [];
  let next = 0;
  let slowReaders = 0;
  let resets = 0;
  let inWindow = 0;
  let segment = -1;
  for (let i = 1; i <= count; i++) {
    const atMs = i * everyMs;
    const now = begins.findLastIndex((begin) => atMs > begin);
    if (now !== segment) {
      segment = now;
      slowReaders = 0;
      resets = 0;
    }
    const ageMs = atMs - begins[segment]!;
    const phase = ageMs <= config.warmupSeconds * 1000 ? 'warm-up' : 'load';
    inWindow = phase === 'load' ? inWindow + 1 : 0;
    const chaos: Record<string, number> = {};
    for (; next < events.length && events[next]!.atMs <= atMs; next++) {
      const { kind } = events[next]!;
      chaos[kind] = (chaos[kind] ?? 0) + 1;
    }
    slowReaders += chaos['stuck-reader'] ?? 0;
    if (random.fraction() < 0.01) resets++;
    const warm = 30 * MiB * (1 - Math.exp(-ageMs / (config.warmupSeconds * 300)));
    const grown = (leakBytesPerHour * ageMs) / hour;
    const sawtooth = ((ageMs % (7 * everyMs)) / (7 * everyMs)) * 30 * MiB;
    const rssBytes = Math.round(96 * MiB + warm + grown + sawtooth + random.fraction() * 2 * MiB);
    const stall = (chaos['journal-stall'] ?? 0) > 0 ? 60 : 0;
    samples.push({
      atMs,
      phase,
      segment,
      process: {
        rssBytes,
        pssBytes: Math.round(rssBytes * 0.93),
        anonymousBytes: Math.round(rssBytes * 0.7),
        threads: 12,
        fds: 74 + Math.floor(random.fraction() * 4),
      },
      own: opaque
        ? null
        : {
            heapUsedBytes: Math.round(20 * MiB + sawtooth),
            heapAfterGcBytes:
              inWindow > 0 && inWindow % samplesPerWindow === 0 ? Math.round(18 * MiB + grown) : null,
            externalBytes: Math.round(7 * MiB + random.fraction() * MiB),
            eventLoopDelayP99Ms: 1 + random.fraction() * 2 + stall / 4,
          },
      status: { connections: 50, 'drops.slow-reader': slowReaders, 'drops.reset': resets },
      load: {
        due: Math.round(config.requestsPerSecond * config.sampleSeconds * (0.9 + 0.2 * random.fraction())),
        expected: 0,
        unexpected: 0,
        timedOut: 0,
        lost: 0,
        unsent: 0,
        abandoned: chaos.disconnect ?? 0,
        outstanding: 2,
        connections: 50,
        latency: percentiles(random, 1000, stall),
        slowLatency: percentiles(random, 50, stall + 20),
        lagP99Ms: 0.2 + random.fraction() * 0.3,
      },
      chaos,
    });
    const { load } = samples.at(-1)!;
    const expected = Math.max(0, load.due - load.lost - load.abandoned);
    samples[samples.length - 1] = { ...samples.at(-1)!, load: { ...load, expected } };
  }
  return samples;
}

function percentiles(random: Random, count: number, addedMs: number): Percentiles {
  const p50Ms = 0.8 + random.fraction() * 0.1;
  const p95Ms = p50Ms + 1.5 + random.fraction() * 0.3;
  const p99Ms = p95Ms + 2.5 + random.fraction() * 0.5 + addedMs;
  return { count, p50Ms, p95Ms, p99Ms, maxMs: p99Ms * 3 };
}

/** The third one is empty. */
function madeUpWindows(random: Random, samples: readonly Sample[], config: SoakConfig): WindowReading[] {
  const windows: WindowReading[] = [];
  let inWindow = 0;
  for (const { atMs, phase, segment } of samples) {
    inWindow = phase === 'load' ? inWindow + 1 : 0;
    if (inWindow !== samplesPerWindow) continue;
    inWindow = 0;
    const count = config.requestsPerSecond * config.sampleSeconds * samplesPerWindow;
    const isGap = windows.length === 2;
    windows.push({
      atMs,
      segment,
      latency: isGap ? null : percentiles(random, count, 0),
      slowLatency: isGap ? null : percentiles(random, count / 20, 20),
      lagP99Ms: 0.3,
    });
  }
  return windows;
}

function sums(samples: readonly Sample[]): LossCounts {
  const sum = (of: (load: Sample['load']) => number) => samples.reduce((all, { load }) => all + of(load), 0);
  return {
    ...noLosses,
    due: sum(({ due }) => due),
    expected: sum(({ expected }) => expected),
    lost: sum(({ lost }) => lost),
    abandoned: sum(({ abandoned }) => abandoned),
    connectionsMade: 50 + sum(({ abandoned }) => abandoned),
  };
}
