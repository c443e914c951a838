import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SoakConfig } from '#ackgate/soak/config.js';
import type { SoakResult } from '#ackgate/soak/run-record.js';
import { runSoak } from '#ackgate/soak/runner.js';
import { defaultThresholds } from '#ackgate/soak/thresholds.js';
import { echoDriver } from './soak-echo.js';

// Servers that are wrong on purpose, soaked for real.

export const wrongServer = fileURLToPath(new URL('../fixtures/soak/wrong-server.mjs', import.meta.url));

/** Without a young generation that grows for minutes: what is resident soon says something. */
const execArgs = ['--max-semi-space-size=1'];

/** Two seconds of load. */
export const briefConfig: SoakConfig = {
  scenario: 'detectors',
  durationSeconds: 2,
  warmupSeconds: 0.3,
  sampleSeconds: 0.1,
  settleSeconds: 0.3,
  readySeconds: 20,
  requestsPerSecond: 300,
  clients: 8,
  requestTimeoutMs: 1500,
  mix: { simple: 0.6, batch: 0.2, streaming: 0.1, error: 0.05, slow: 0.05 },
  sizes: { small: 1, medium: 0, large: 0, huge: 0 },
  chaos: {
    disconnectsPerClientMinute: 0,
    reconnectDelayMs: 100,
    slowReadersPerMinute: 0,
    stuckReadersPerMinute: 0,
    halfFramesPerMinute: 0,
    server: [],
  },
  footprint: { requests: 2000, concurrency: 16 },
  burst: { requests: 1000, concurrency: 64 },
  thresholds: defaultThresholds,
  required: [],
  seed: 7,
};

/**
 * Long enough for a trend: eight windows of a second after a warm-up, of which a machine that is busy may leave out five.
 */
export const trendConfig: SoakConfig = {
  ...briefConfig,
  durationSeconds: 10.2,
  warmupSeconds: 2,
  thresholds: { ...defaultThresholds, leakWindowsMin: 3 },
};

/** What a run leaves in its folder. */
export const artifacts = ['report.html', 'report.json', 'report.md', 'samples.ndjson'];

export interface Soaked {
  readonly result: SoakResult;
  readonly failed: string[];
  /** Artifacts that are there. */
  readonly written: string[];
  readonly reported: { readonly verdict: string };
}

/** One run, in a folder of its own that is removed afterwards. */
export async function soak(defects: readonly string[], config: SoakConfig): Promise<Soaked> {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-soak-'));
  try {
    const driver = echoDriver({ script: wrongServer, args: defects, execArgs });
    const result = await runSoak(config, { driver, directory });
    return {
      result,
      failed: result.findings.filter(({ verdict }) => verdict === 'fail').map(({ id }) => id),
      written: artifacts.filter((name) => existsSync(join(result.directory, name))),
      reported: JSON.parse(readFileSync(join(result.directory, 'report.json'), 'utf8')),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Processes of wrong servers that this process, or one that is gone, has left behind. */
export function leftBehind(): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
      const isWrong = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(wrongServer);
      return isWrong && parent === process.pid;
    } catch {
      return false; // It ended meanwhile.
    }
  });
}
