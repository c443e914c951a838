import { constants } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AckgateError } from '../errors.js';
import { checkSoakConfig } from './config-check.js';
import type { RunIdentity, RunProgress } from './run-book.js';
import { bootId } from './survivor.js';

const fileName = 'checkpoint.json';
const formatVersion = 1;

/** What the run was started with, so that it can be started again in the same way. */
export interface RunSource {
  /** As it was given, with `{port}` and `{dir}` in it; null: the driver's own server. */
  readonly command: readonly string[] | null;
  /** Absolute path of the driver module; null: the built-in one. */
  readonly driverModule: string | null;
  /** The address where the server listens. */
  readonly host: string;
  /** Its port; null: any free one. */
  readonly port: number | null;
}

/** All that a runner needs to go on after a crash; the samples are in their own file. */
export interface Checkpoint {
  /** True: the run has come to its end, and there is nothing to go on with. */
  readonly finished: boolean;
  /** What starts the run again in the same way. */
  readonly source: RunSource;
  /** What the run is. */
  readonly identity: RunIdentity;
  /** How far it has come. */
  readonly progress: RunProgress;
  /** Name of the folder of the server's files, in the directory of the run; removed when the run goes on or ends. */
  readonly serverFolder: string | null;
  /** The process of the server; null when there was none. */
  readonly serverPid: number | null;
  /** When it was started, in clock ticks since the machine was: no other process has both. */
  readonly serverStartTicks: number | null;
  /** The process of the runner itself. */
  readonly runnerPid: number;
  /** When that was started, in the same ticks; null: not known, or the machine has been started again since. */
  readonly runnerStartTicks: number | null;
}

const count = z.number().min(0);
const countOrNull = count.nullable();
const rss = z.number().nullable();
const list = z.array(z.looseObject({ atMs: count }));

// What is read must not make a later part of the run stumble; what is inside windows and events is as it was written.
const schema = z.object({
  version: z.literal(formatVersion),
  bootId: z.string(),
  finished: z.boolean(),
  source: z.looseObject({
    command: z.array(z.string()).nullable(),
    driverModule: z.string().nullable(),
    host: z.string(),
    port: z.int().min(0).max(65_535).nullable(),
  }),
  identity: z.looseObject({
    startedAt: z.string(),
    config: z.unknown(),
    driver: z.string(),
    command: z.array(z.string()),
    repeat: z.string(),
  }),
  progress: z.looseObject({
    segments: count,
    elapsedMs: count,
    readyAfterMs: countOrNull,
    footprint: z
      .looseObject({
        idleRssBytes: rss,
        halfRssBytes: rss,
        finalRssBytes: rss,
        requests: count,
        answered: count,
      })
      .nullable(),
    peak: z.looseObject({ idleRssBytes: rss, peakRssBytes: rss, readings: count }).nullable(),
    windows: list,
    losses: z.looseObject({
      due: count,
      expected: count,
      unexpected: count,
      timedOut: count,
      lost: count,
      unsent: count,
      abandoned: count,
      late: count,
      missing: count,
      duplicated: count,
      disordered: count,
      corrupted: count,
      connectionsLost: count,
      connectionsMade: count,
      examples: z.array(z.string()),
    }),
    chaosEvents: list,
    notes: z.array(z.string()),
    runner: z.looseObject({ firstRssBytes: count, lastRssBytes: count, maxRssBytes: count }),
  }),
  serverFolder: z
    .string()
    .regex(/^server-\w+$/)
    .nullable(),
  serverPid: countOrNull,
  serverStartTicks: countOrNull,
  runnerPid: count,
  runnerStartTicks: countOrNull,
});

/**
 * Puts a checkpoint in place of the one before. Whenever the machine stops, one of the two is there, whole. One call at a
 * time for a folder.
 */
export async function writeCheckpoint(directory: string, checkpoint: Checkpoint): Promise<void> {
  const path = join(directory, fileName);
  const draft = `${path}.tmp`;
  const file = await open(draft, 'w');
  try {
    await file.writeFile(`${JSON.stringify({ version: formatVersion, bootId: bootId(), ...checkpoint })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * The checkpoint of the run in this folder. A server or runner from before the machine was started again is left out.
 *
 * @throws ERR_ACKGATE_SOAK_CHECKPOINT when there is none, it is not whole, or another version wrote it
 */
export async function readCheckpoint(directory: string): Promise<Checkpoint> {
  const path = join(directory, fileName);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === 'ENOENT' || code === 'ENOTDIR'
      ? unusable(`there is no run to go on with in ${directory}: it has no ${fileName}`)
      : unusable(`${path} can't be read: ${message}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unusable(`${path} is not whole: it ends after ${text.length} characters in the middle of a value`);
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version !== formatVersion) {
    throw unusable(
      `${path} has format ${version}, this version of ackgate goes on from format ${formatVersion}: use the version ` +
        'that began the run, or begin another',
    );
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [{ path: at, message }] = parsed.error.issues;
    throw unusable(`${path} is damaged: ${at.join('.')}: ${message}`);
  }
  const { version: _, bootId: boot, ...checkpoint } = parsed.data;
  let { config } = checkpoint.identity as RunIdentity;
  try {
    config = checkSoakConfig(config);
  } catch (error) {
    throw unusable(`${path} is damaged: identity.config: ${(error as Error).message}`);
  }
  const sameBoot = boot === bootId();
  return {
    ...checkpoint,
    identity: { ...checkpoint.identity, config },
    serverPid: sameBoot ? checkpoint.serverPid : null,
    serverStartTicks: sameBoot ? checkpoint.serverStartTicks : null,
    runnerStartTicks: sameBoot ? checkpoint.runnerStartTicks : null,
    progress: checkpoint.progress as unknown as RunProgress,
  };
}

const unusable = (message: string) => new AckgateError('ERR_ACKGATE_SOAK_CHECKPOINT', message);
