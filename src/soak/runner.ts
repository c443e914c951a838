import { totalmem } from 'node:os';
import { AckgateError } from '../errors.js';
import { checkKeys } from '../shared/checks.js';
import type { Checkpoint, RunSource } from './checkpoint.js';
import { systemClock } from './clock.js';
import type { SoakConfig } from './config.js';
import type { ServerCommand, SoakDriver } from './driver.js';
import { Ending } from './ending.js';
import { messageOf } from './error-text.js';
import { describeExit, lastLines } from './exit.js';
import { verdictOf } from './findings.js';
import { judgeRun } from './judge-run.js';
import { checkPlatform, describeMachine, versions } from './machine.js';
import { runPhases } from './phases.js';
import type { RunPhase, SoakProgress } from './progress.js';
import { Recorder } from './recorder.js';
import { readSamples } from './report/sample-log.js';
import { writeArtifacts } from './report/write-artifacts.js';
import { RunBook } from './run-book.js';
import { makeServerFolder, prepareDirectory, removeServerFolder } from './run-directory.js';
import type { Ended, SoakResult } from './run-record.js';
import { freePort, portTaken } from './samplers/ports.js';
import type { Sample } from './samples.js';
import { ServerProcess } from './server-process.js';
import { isAlive, stopSurvivor } from './survivor.js';

/** What a run needs besides its configuration. */
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
  /** The address where the server listens (default 127.0.0.1). */
  readonly host?: string;
  /** Its port (default: any free one). */
  readonly port?: number;
  /** Ends the run in order when it is aborted: artifacts are written, and it is inconclusive at best. */
  readonly signal?: AbortSignal;
  /** Called when a phase begins, and with every sample. */
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

const resumeNames = [
  'driver',
  'directory',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof ResumeOptions)[];
const optionNames = [
  ...resumeNames,
  'command',
  'host',
  'port',
  'repeat',
  'driverModule',
  'notes',
] as const satisfies readonly (keyof SoakOptions)[];

/** A server that has not ended by then after a SIGTERM is killed. */
const stopGraceMs = 15_000;
const outputLines = 20;

/**
 * Runs a server under load and says whether it leaks, slows down or loses anything. Artifacts are in the directory when it
 * resolves, whatever the verdict.
 *
 * What a driver throws in listeners of its own is nobody's to catch but the process's.
 *
 * @throws AckgateError ERR_ACKGATE_INVALID_ARGUMENT when there is nothing to start, somebody listens on the port, or the
 *   directory can't be used; ERR_ACKGATE_SOAK_PLATFORM without /proc; ERR_ACKGATE_SOAK_RECORD when what was measured could
 *   not be written, such as on a full disk
 */
export async function runSoak(config: SoakConfig, options: SoakOptions): Promise<SoakResult> {
  checkKeys('options', options, optionNames);
  checkPlatform();
  const { driver, command, host = '127.0.0.1', port, directory, notes = [] } = options;
  if (command === undefined && driver.server === undefined) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `the driver "${driver.name}" has no server of its own: give the command that starts yours`,
    );
  }
  if (port !== undefined && (await portTaken(host, port))) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `somebody listens on port ${port} of ${host} already: the load would go there`,
    );
  }
  prepareDirectory(directory);
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
  checkKeys('options', options, resumeNames);
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
  const { host, port } = source;
  if (port !== null && (await portTaken(host, port))) {
    throw refuse(`somebody listens on port ${port} of ${host} by now: the load would go there`);
  }
  if (checkpoint.serverFolder !== null) removeServerFolder(options.directory, checkpoint.serverFolder);
  const samples = await readSamples(options.directory);
  const book = new RunBook(identity, progress, samples);
  book.catchUp();
  return new Run(book, source, options).toEnd(true);
}

class Run {
  readonly #book: RunBook;
  readonly #source: RunSource;
  readonly #options: ResumeOptions;
  readonly #ending = new Ending();
  readonly #recorder: Recorder;
  #phase: RunPhase = 'starting';
  #server: ServerProcess | null = null;
  /** Something of the runner's own, such as a full disk. */
  #broken: unknown = null;

  constructor(book: RunBook, source: RunSource, options: ResumeOptions) {
    this.#book = book;
    this.#source = source;
    this.#options = options;
    const { directory } = options;
    this.#recorder = new Recorder({ book, source, directory, onBroken: (error) => this.#break(error) });
  }

  async toEnd(resume: boolean): Promise<SoakResult> {
    const { signal, directory } = this.#options;
    const stop = () => this.#ending.end({ why: 'stopped', detail: stopDetail(signal?.reason) });
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    const kill = () => this.#server?.kill();
    process.on('exit', kill);
    let folder: string | null = null;
    try {
      this.#recorder.open(resume);
      folder = makeServerFolder(directory);
      await this.#measure(folder);
    } catch (error) {
      this.#break(error);
    } finally {
      kill();
      process.off('exit', kill);
      signal?.removeEventListener('abort', stop);
      await this.#recorder.close();
      if (folder !== null) removeServerFolder(directory, folder);
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
    await this.#recorder.about(server, folder);
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
        onSample: (sample) => {
          this.#recorder.add(sample);
          this.#tell(sample);
        },
      });
    } finally {
      // One that has ended by itself is still to be told about, although what it leaves behind is waited for.
      if (server.exit !== null) await exited;
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
    if (phase === 'warm-up') this.#recorder.save();
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

  /** Nobody can say that it was the server. */
  #break(error: unknown): void {
    this.#broken ??= error;
    this.#ending.end({ why: 'stopped', detail: `the runner failed: ${messageOf(error)}` });
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
    } catch (error) {
      this.#broken ??= error;
    }
    await this.#recorder.save({ finished: true });
    if (this.#broken !== null) throw recordError(result, this.#broken);
    return result;
  }
}

function recordError({ verdict, directory }: SoakResult, cause: unknown): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_SOAK_RECORD',
    `the run in ${directory} could not be finished or written down, ${messageOf(cause)}; by what was measured its verdict is ${verdict}`,
    { cause },
  );
}

function stopDetail(reason: unknown): string {
  if (typeof reason === 'string') return reason;
  return reason instanceof Error && reason.name !== 'AbortError' ? reason.message : 'stopped before its time';
}
