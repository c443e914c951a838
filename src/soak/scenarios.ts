import { AckgateError } from '../errors.js';
import { checkKeys } from '../shared/checks.js';
import type { ChaosConfig, SoakConfig } from './config.js';
import { type FindingId, findingIds } from './findings.js';
import { slowAnswersShare } from './judges/degradation.js';
import { leftOut } from './left-out.js';
import { samplesPerWindow } from './samples.js';
import { defaultThresholds, type Thresholds } from './thresholds.js';

/** The built-in ones: a minute for CI, a day of everything, two days of reconnects, half a day of large messages. */
export const scenarioNames = ['smoke', 'moderate', 'reconnect', 'memory'] as const;
/** Name of a built-in scenario. */
export type ScenarioName = (typeof scenarioNames)[number];

export const isScenarioName = (name: unknown): name is ScenarioName =>
  (scenarioNames as readonly unknown[]).includes(name);

/** The runner keeps all samples of a run in memory. */
export const samplesMax = 20_000;

const warmupShare = 1 / 6;
const warmupSecondsMax = 7200;
/**
 * Of the windows that show a trend at all. A reading that comes late leaves out the ones that it has overtaken, so a run
 * is asked for trends from a quarter more on, and gets half as many again when it is made shorter than the scenario's own.
 */
const windowsAsked = 1.25;
const windowsWanted = 1.5;
/** Sample intervals that people can reckon with. */
const steps = [0.5, 1, 2, 4, 5, 10, 15, 20, 30, 40, 60, 120, 300, 600, 1200, 3600];
/** Below this length, samples may be half a second apart. */
const briefSeconds = 120;
const daySeconds = 86_400;
const MiB = 1024 * 1024;

const noChaos: ChaosConfig = {
  disconnectsPerClientMinute: 0,
  reconnectDelayMs: 1000,
  slowReadersPerMinute: 0,
  stuckReadersPerMinute: 0,
  halfFramesPerMinute: 0,
  server: [],
};

type Base = Omit<SoakConfig, 'required' | 'seed' | 'thresholds' | 'warmupSeconds'>;

/** What the scenarios have in common, where they don't say otherwise. */
const common = {
  settleSeconds: 2,
  readySeconds: 30,
  requestTimeoutMs: 10_000,
  mix: { simple: 0.6, batch: 0.2, streaming: 0.1, error: 0.05, slow: 0.05 },
  sizes: { small: 0.8, medium: 0.2, large: 0, huge: 0 },
  footprint: { requests: 50_000, concurrency: 16 },
  // Short: of a long one the garbage that waits for its collection is a part.
  burst: { requests: 2000, concurrency: 256 },
} as const;

const scenarios: Readonly<Record<ScenarioName, Base & { thresholds?: Partial<Thresholds> }>> = {
  smoke: {
    ...common,
    scenario: 'smoke',
    durationSeconds: 60,
    sampleSeconds: 1,
    requestsPerSecond: 200,
    clients: 20,
    chaos: {
      disconnectsPerClientMinute: 0.2,
      reconnectDelayMs: 500,
      slowReadersPerMinute: 4,
      stuckReadersPerMinute: 2,
      halfFramesPerMinute: 6,
      server: [{ fault: 'journal-stall', everySeconds: 15, forMs: 300 }],
    },
    // More than its windows have: percentiles of ten seconds on a shared machine tell of the machine.
    thresholds: { windowAnswersMin: 5000 },
  },
  moderate: {
    ...common,
    scenario: 'moderate',
    durationSeconds: daySeconds,
    sampleSeconds: 60,
    requestsPerSecond: 100,
    clients: 50,
    chaos: {
      disconnectsPerClientMinute: 0.01,
      reconnectDelayMs: 1000,
      slowReadersPerMinute: 0.5,
      stuckReadersPerMinute: 0.2,
      halfFramesPerMinute: 0.5,
      server: [{ fault: 'journal-stall', everySeconds: 300, forMs: 300 }],
    },
  },
  reconnect: {
    ...common,
    scenario: 'reconnect',
    durationSeconds: 2 * daySeconds,
    sampleSeconds: 60,
    requestsPerSecond: 50,
    clients: 100,
    chaos: { ...noChaos, disconnectsPerClientMinute: 0.01, reconnectDelayMs: 5000 },
  },
  memory: {
    ...common,
    scenario: 'memory',
    durationSeconds: daySeconds / 2,
    sampleSeconds: 60,
    requestsPerSecond: 10,
    clients: 20,
    requestTimeoutMs: 30_000,
    sizes: { small: 0.1, medium: 0.3, large: 0.5, huge: 0.1 },
    chaos: noChaos,
    thresholds: { secondHalfBytesPerHourMax: 5 * MiB },
  },
};

/** What can be said of a built-in scenario. */
export interface ScenarioOptions {
  /** Time under load (default: the scenario's own). Warm-up, sample interval and required findings go with it. */
  readonly durationSeconds?: number;
  /** Decides what load and chaos draw, an integer from 0 to 2^32-1 (default 1). */
  readonly seed?: number;
}

/**
 * A built-in scenario.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT when there is none of that name; ERR_ACKGATE_UNKNOWN_OPTION
 */
export function soakScenario(name: string, options: ScenarioOptions = {}): SoakConfig {
  checkKeys('options', options, ['durationSeconds', 'seed']);
  const { durationSeconds, seed = 1 } = options;
  if (!isScenarioName(name)) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `there is no scenario "${name}": there are ${scenarioNames.join(', ')}`,
    );
  }
  const { thresholds, ...base } = scenarios[name];
  const length = durationSeconds ?? base.durationSeconds;
  const whole = {
    ...base,
    seed,
    thresholds: {
      ...defaultThresholds,
      // Over a day a smaller change stands out from the noise.
      slowdownRatioMax: length >= daySeconds ? 1.1 : defaultThresholds.slowdownRatioMax,
      ...thresholds,
    },
  };
  return fitDuration({ ...whole, warmupSeconds: 0, required: [] }, length);
}

/** The same for another length: warm-up, sample interval and the required findings go with it. */
export function fitDuration(config: SoakConfig, durationSeconds: number): SoakConfig {
  const warmupSeconds = fitWarmup(durationSeconds);
  const sampleSeconds = fitSample(config, durationSeconds, warmupSeconds);
  const fitted = { ...config, durationSeconds, warmupSeconds, sampleSeconds };
  return { ...fitted, required: requiredFindings(fitted) };
}

/** A sixth of the whole, at most two hours. */
function fitWarmup(durationSeconds: number): number {
  const share = Math.min(durationSeconds * warmupShare, warmupSecondsMax);
  return share >= 1 ? Math.floor(share) : Math.floor(share * 10) / 10;
}

/**
 * As it was; shorter where a shorter run would have fewer than twelve windows after its warm-up, but not below a second (half
 * a second in runs under two minutes); longer where there would be more than 20,000 samples.
 */
export function fitSample(config: SoakConfig, durationSeconds: number, warmupSeconds: number): number {
  const { sampleSeconds, thresholds } = config;
  if (durationSeconds / sampleSeconds > samplesMax) {
    return steps.find((step) => durationSeconds / step <= samplesMax) ?? durationSeconds / samplesMax;
  }
  if (durationSeconds >= config.durationSeconds) return sampleSeconds;
  const halves = thresholds.secondHalfBytesPerHourMax === null ? 1 : 2;
  const windows = halves * Math.ceil(thresholds.leakWindowsMin * windowsWanted);
  const most = (durationSeconds - warmupSeconds) / (windows * samplesPerWindow);
  const least = durationSeconds < briefSeconds ? 0.5 : 1;
  const step = steps.findLast((candidate) => candidate <= most) ?? least;
  return Math.min(sampleSeconds, Math.max(step, least));
}

/**
 * What a run like this one can be expected to find out. The rest is judged as well, and fails the run when it fails, but
 * is not missed: leaks and slowdowns in too few windows, and the heap, which only a Node program tells.
 */
export function requiredFindings(config: Omit<SoakConfig, 'required'>): FindingId[] {
  const { thresholds, mix } = config;
  const windowSeconds = config.sampleSeconds * samplesPerWindow;
  const windows = Math.floor((config.durationSeconds - config.warmupSeconds) / windowSeconds);
  // Arrivals are random: a window may have fewer than the mean, and chaos takes some.
  const answers = config.requestsPerSecond * windowSeconds * 0.8;
  const asked = Math.ceil(thresholds.leakWindowsMin * windowsAsked);
  const trends = windows >= asked;
  const told: Partial<Record<FindingId, boolean>> = {
    'leak-rss': trends,
    'leak-second-half': Math.floor(windows / 2) >= asked,
    'leak-heap': false,
    'leak-fds': trends,
    'leak-threads': trends,
    degradation: trends && answers * (1 - mix.slow) >= thresholds.windowAnswersMin,
    'degradation-slow': trends && answers * mix.slow >= thresholds.windowAnswersMin * slowAnswersShare,
  };
  return findingIds.filter((id) => leftOut(id, config) === null && (told[id] ?? true));
}
