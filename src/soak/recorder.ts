import { basename } from 'node:path';
import { type RunSource, writeCheckpoint } from './checkpoint.js';
import { SampleLog } from './report/sample-log.js';
import type { RunBook } from './run-book.js';
import type { Sample } from './samples.js';
import { startTicksOf } from './survivor.js';

/** Between two checkpoints: what a crash of the runner loses of the counts of good answers, at most. */
const checkpointMs = 10_000;

export interface RecorderParts {
  readonly book: RunBook;
  readonly source: RunSource;
  readonly directory: string;
  /** Told once when something could not be written: a run whose record can't be kept is not worth going on with. */
  onBroken(error: unknown): void;
}

/** Puts a run on disk as it goes on: every sample, and checkpoints to go on from. */
export class Recorder {
  readonly #parts: RecorderParts;
  #log: SampleLog | null = null;
  #server: { readonly pid: number; readonly exit: object | null } | null = null;
  #serverFolder: string | null = null;
  #savedMs = Number.NEGATIVE_INFINITY;
  #savedProblems = 0;
  /** One at a time: they take each other's place. */
  #saving: Promise<void> = Promise.resolve();
  #isBroken = false;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  open(resume: boolean): void {
    const { directory, book } = this.#parts;
    const { repeat, startedAt, config } = book.identity;
    this.#log = SampleLog.open(directory, { resume, header: { repeat, seed: config.seed, startedAt } });
  }

  /** Whom a runner that goes on has to stop, and what it has to remove. */
  about(server: { readonly pid: number; readonly exit: object | null }, folder: string): Promise<void> {
    this.#server = server;
    this.#serverFolder = folder;
    return this.save();
  }

  add(sample: Sample): void {
    const { book } = this.#parts;
    book.addSample(sample);
    this.#guarded(() => this.#log?.append(sample));
    // What is wrong is kept at once: a crash may cost good answers of the count, but no bad ones.
    const { problems } = book;
    if (performance.now() - this.#savedMs < checkpointMs && problems === this.#savedProblems) return;
    this.#savedMs = performance.now();
    this.#savedProblems = problems;
    this.save();
  }

  /** A checkpoint; never rejects. */
  save({ finished = false } = {}): Promise<void> {
    const { directory, book, source } = this.#parts;
    const serverPid = this.#server !== null && this.#server.exit === null ? this.#server.pid : null;
    const checkpoint = {
      finished,
      source,
      identity: book.identity,
      progress: book.progress,
      serverFolder: this.#serverFolder === null ? null : basename(this.#serverFolder),
      serverPid,
      serverStartTicks: serverPid === null ? null : startTicksOf(serverPid),
      runnerPid: process.pid,
      runnerStartTicks: startTicksOf(process.pid),
    };
    this.#saving = this.#saving.then(() => this.#guarded(() => writeCheckpoint(directory, checkpoint)));
    return this.#saving;
  }

  /** No more samples. */
  async close(): Promise<void> {
    await this.#guarded(() => this.#log?.close());
    await this.#saving;
  }

  async #guarded(write: () => void | Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (this.#isBroken) return;
      this.#isBroken = true;
      this.#parts.onBroken(error);
    }
  }
}
