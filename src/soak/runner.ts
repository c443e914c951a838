import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { AckgateError } from '../errors.js';
import { type Checkpoint, type RunSource, writeCheckpoint } from './checkpoint.js';
import { systemClock } from './clock.js';
import type { SoakConfig } from './config.js';
import type { ServerCommand, SoakDriver } from './driver.js';
import { Ending } from './ending.js';
import { describeExit, lastLines } from './exit.js';
import { verdictOf } from './findings.js';
import { judgeRun } from './judge-run.js';
import { checkPlatform, describeMachine, versions } from './machine.js';
import { runPhases } from './phases.js';
import type { RunPhase, SoakProgress } from './progress.js';
import { readSamples, SampleLog } from './report/sample-log.js';
import { writeArtifacts } from './report/write-artifacts.js';
import { RunBook } from './run-book.js';
import type { Ended, SoakResult } from './run-record.js';
import { freePort } from './samplers/ports.js';
import type { Sample } from './samples.js';
import { ServerProcess } from './server-process.js';
import { isAlive, startTicksOf, stopSurvivor } from './survivor.js';

export interface SoakOptions {
  /** Speaks the server's protocol. */
  readonly driver: SoakDriver;
  /** Where the artifacts go; made when it is not there. */
  readonly directory: string;
  /**
   * The server and its arguments, `{port}` and `{dir}` in them replaced by the port to listen on and an empty folder.
   * Default: the driver's own server.
   */
  readonly command?: readonly string[];
  /** Where the server listens; default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free one. */
  readonly port?: number;
  /** Ends the run in order when it is aborted: artifacts are written, and it is inconclusive at best. */
  readonly signal?: AbortSignal;
  onProgress?(progress: SoakProgress): void;
  /** The command that repeats the run, for the report; default: says that a program did it. */
  readonly repeat?: string;
  /** Absolute path of the module that the driver came from, for who resumes the run. */
  readonly driverModule?: string;
  /** What a reader of the report should know. */
  readonly notes?: readonly string[];
}

/** Of a run that goes on; the rest is in its checkpoint. */
export type ResumeOptions = Pick<SoakOptions, 'driver' | 'directory' | 'signal' | 'onProgress'>;

/** A server that has not ended by then after a SIGTERM is killed. */
const stopGraceMs = 15_000;
/** Between two checkpoints: what a crash of the runner loses of the counts, at most. */
const checkpointMs = 10_000;
const outputLines = 20;
/** For the server's files while it runs. */
const serverFolder = 'server';

/**
 * Runs a server under load and says whether it leaks, slows down or loses anything. Artifacts are in the directory when it
 * resolves, whatever the verdict.
 *
 * @throws AckgateError ERR_ACKGATE_INVALID_ARGUMENT when there is nothing to start, or the directory has a run already;
 *   ERR_ACKGATE_SOAK_PLATFORM without /proc
 */
export async function runSoak(config: SoakConfig, options: SoakOptions): Promise<SoakResult> {
  checkPlatform();
  const { driver, command, host = '127.0.0.1', port, directory, notes = [] } = options;
  if (command === undefined && driver.server === undefined) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `the driver "${driver.name}" has no server of its own: give the command that starts yours`,
    );
  }
  if (existsSync(join(directory, 'report.json')) || existsSync(join(directory, 'checkpoint.json'))) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${directory} has a run in it already: name another directory, or resume it`,
    );
  }
  mkdirSync(directory, { recursive: true });
  const identity = {
    startedAt: new Date().toISOString(),
    config,
    driver: driver.name,
    command: command ?? [],
    repeat: options.repeat ?? 'runSoak(config, options) by a program',
  };
  const source: RunSource = {
    command: command ?? null,
    driverModule: options.driverModule ?? null,
    host,
    port: port ?? null,
  };
  const book = new RunBook(identity);
  for (const note of notes) book.note(note);
  return new Run(book, source, options).toEnd(false);
}

/**
 * Goes on with a run whose runner has crashed, with a new server, for the time that is left. A server that the runner has
 * left behind is stopped first.
 *
 * @throws AckgateError ERR_ACKGATE_SOAK_CHECKPOINT when the run has come to its end, or its runner is still at it
 */
export async function resumeSoak(checkpoint: Checkpoint, options: ResumeOptions): Promise<SoakResult> {
  checkPlatform();
  const { finished, identity, progress, source } = checkpoint;
  const refuse = (why: string) => new AckgateError('ERR_ACKGATE_SOAK_CHECKPOINT', why);
  if (finished)
    throw refuse(`the run in ${options.directory} has come to its end: there is nothing to go on with`);
  const { runnerPid, runnerStartTicks, serverPid, serverStartTicks } = checkpoint;
  if (runnerStartTicks !== null && runnerPid !== process.pid && isAlive(runnerPid, runnerStartTicks)) {
    throw refuse(`the run in ${options.directory} is still going on, in process ${runnerPid}`);
  }
  if (serverPid !== null && serverStartTicks !== null) await stopSurvivor(serverPid, serverStartTicks);
  const samples = await readSamples(options.directory);
  // The checkpoint may be older than the last sample.
  progress.elapsedMs = Math.max(progress.elapsedMs, samples.at(-1)?.atMs ?? 0);
  const book = new RunBook(identity, progress, samples);
  return new Run(book, source, options).toEnd(true);
}

class Run {
  readonly #book: RunBook;
  readonly #source: RunSource;
  readonly #options: ResumeOptions;
  readonly #ending = new Ending();
  #phase: RunPhase = 'starting';
  #server: ServerProcess | null = null;
  #log: SampleLog | null = null;
  #savedMs = 0;
  /** One at a time: they take each other's place. */
  #saving: Promise<void> = Promise.resolve();
  /** Something of the runner's own, such as a full disk. */
  #broken: unknown = null;

  constructor(book: RunBook, source: RunSource, options: ResumeOptions) {
    this.#book = book;
    this.#source = source;
    this.#options = options;
  }

  async toEnd(resume: boolean): Promise<SoakResult> {
    const { signal, directory } = this.#options;
    const stop = () => this.#ending.end({ why: 'stopped', detail: stopDetail(signal?.reason) });
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    const folder = resolve(directory, serverFolder);
    // A runner that was killed has left its server's files.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    const kill = () => this.#server?.kill();
    process.on('exit', kill);
    try {
      this.#log = await SampleLog.open(directory, { resume });
      await this.#measure(folder);
    } finally {
      kill();
      process.off('exit', kill);
      signal?.removeEventListener('abort', stop);
      await this.#log?.close();
      rmSync(folder, { recursive: true, force: true });
    }
    return this.#conclude();
  }

  async #measure(folder: string): Promise<void> {
    const { driver } = this.#options;
    const { config } = this.#book.identity;
    const { host } = this.#source;
    const port = this.#source.port ?? (await freePort(host));
    const command = this.#command({ host, port, directory: folder });
    const server = ServerProcess.start({ command, host, port, directory: folder, probe: 'auto' });
    this.#server = server;
    // Whatever ends it: as long as nobody has asked it to, it is wrong.
    let asked = false;
    const exited = server.exited.then((exit) => {
      if (asked) return;
      const said = lastLines(server.output, outputLines);
      const detail = `${describeExit(exit)} in the phase "${this.#phase}"`;
      this.#ending.end({
        why: 'died',
        detail: said === '' ? detail : `${detail}; its last output:\n${said}`,
      });
    });
    await this.#save();
    try {
      await runPhases({
        config,
        driver,
        server,
        clock: systemClock,
        book: this.#book,
        ending: this.#ending,
        memoryBytes: totalmem(),
        enter: (phase) => this.#enter(phase),
        onSample: (sample) => this.#onSample(sample),
      });
    } finally {
      asked = true;
      const exit = await server.stop(stopGraceMs);
      await exited;
      this.#book.serverExit = describeExit(exit);
      this.#book.serverOutput = server.output;
    }
  }

  #command(context: { host: string; port: number; directory: string }): ServerCommand {
    const { command } = this.#source;
    if (command !== null) return { command: command[0], args: command.slice(1) };
    const { driver } = this.#options;
    if (driver.server === undefined)
      throw new TypeError('a run without a command has a driver with a server');
    return driver.server(context);
  }

  #enter(phase: RunPhase): void {
    this.#phase = phase;
    this.#tell(null);
    // Which life of the server the first samples are of, and the footprint, are not lost with the first ten seconds.
    if (phase === 'warm-up') this.#guarded(this.#save());
  }

  #onSample(sample: Sample): void {
    this.#book.addSample(sample);
    this.#guarded(this.#log?.append(sample));
    this.#tell(sample);
    if (performance.now() - this.#savedMs < checkpointMs) return;
    this.#savedMs = performance.now();
    this.#guarded(this.#save());
  }

  #tell(sample: Sample | null): void {
    const { config } = this.#book.identity;
    const { losses, elapsedMs } = this.#book.progress;
    const { unexpected, timedOut, lost, unsent } = losses;
    const answers = sample === null ? null : sample.load.expected + sample.load.unexpected;
    this.#options.onProgress?.({
      phase: this.#phase,
      elapsedMs,
      durationMs: config.durationSeconds * 1000,
      answersPerSecond: answers === null ? null : answers / config.sampleSeconds,
      p99Ms: sample?.load.latency?.p99Ms ?? null,
      rssBytes: sample?.process.rssBytes ?? null,
      failed: unexpected + timedOut + lost + unsent,
    });
  }

  /** A run whose record can't be kept is not worth going on with. */
  #guarded(write: void | Promise<void>): void {
    Promise.resolve(write).catch((error: Error) => {
      this.#broken ??= error;
      this.#ending.end({ why: 'stopped', detail: `the record could not be written: ${error.message}` });
    });
  }

  #save(finished = false): Promise<void> {
    const { directory } = this.#options;
    const server = this.#server;
    const serverPid = server !== null && server.exit === null ? server.pid : null;
    const checkpoint: Checkpoint = {
      finished,
      source: this.#source,
      identity: this.#book.identity,
      progress: this.#book.progress,
      serverPid,
      serverStartTicks: serverPid === null ? null : startTicksOf(serverPid),
      runnerPid: process.pid,
      runnerStartTicks: startTicksOf(process.pid),
    };
    this.#saving = this.#saving.then(() => writeCheckpoint(directory, checkpoint));
    return this.#saving;
  }

  /** Findings and artifacts, from what is in the book. */
  async #conclude(): Promise<SoakResult> {
    this.#enter('reporting');
    const { directory } = this.#options;
    const ended: Ended = this.#ending.reason;
    const record = this.#book.record(ended, { machine: describeMachine(), versions: versions() });
    const findings = judgeRun(record);
    const result = { verdict: verdictOf(findings), findings, record, directory };
    try {
      await writeArtifacts(directory, result);
    } finally {
      await this.#save(true);
    }
    if (this.#broken !== null) throw this.#broken;
    return result;
  }
}

function stopDetail(reason: unknown): string {
  if (typeof reason === 'string') return reason;
  return reason instanceof Error && reason.name !== 'AbortError' ? reason.message : 'stopped before its time';
}
