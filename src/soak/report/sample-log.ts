import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { AckgateError } from '../../errors.js';
import type { Sample } from '../samples.js';

const fileName = 'samples.ndjson';
const newline = 0x0a;
const title = 'soak samples';
const formatVersion = 1;

/** What the samples are of: for who has this file and no other. */
export interface SampleLogHeader {
  /** The command that repeats the run. */
  readonly repeat: string;
  readonly seed: number;
  /** As an ISO 8601 date. */
  readonly startedAt: string;
}

/** The samples of a run as they are taken: a line of JSON each, after a first one that says which run it is. */
export class SampleLog {
  #fd: number | null;
  #failure: unknown = null;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Begins `samples.ndjson` in a folder anew, or goes on with the one that is there: what a crash has left of a last line
   * is cut off then, and its header is kept.
   */
  static open(
    directory: string,
    { resume, header }: { resume: boolean; header: SampleLogHeader },
  ): SampleLog {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, fileName);
    const fd = openSync(path, resume ? 'a+' : 'w');
    try {
      const keptBytes = resume ? readFileSync(path).lastIndexOf(newline) + 1 : 0;
      if (resume) ftruncateSync(fd, keptBytes);
      const { repeat, seed, startedAt } = header;
      if (keptBytes === 0) writeLine(fd, { ackgate: title, version: formatVersion, repeat, seed, startedAt });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return new SampleLog(fd);
  }

  /**
   * The kernel has the line when this returns, so that a crash of the runner loses nothing. Waiting for the disk each time
   * would hold up the load. When it throws once, such as on a full disk, it throws the same each time after that: behind
   * half a line a whole one would be lost as well.
   */
  append(sample: Sample): void {
    if (this.#fd === null) return;
    if (this.#failure !== null) throw this.#failure;
    try {
      writeLine(this.#fd, sample);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Everything is on the disk after this. Does nothing the second time. */
  close(): void {
    if (this.#fd === null) return;
    const fd = this.#fd;
    this.#fd = null;
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

function writeLine(fd: number, value: unknown): void {
  const line = Buffer.from(`${JSON.stringify(value)}\n`);
  for (let done = 0; done < line.length; ) done += writeSync(fd, line, done);
}

/**
 * The samples of a folder; none when it has no `samples.ndjson`, or an empty one. A last line that has no end was being
 * written when the runner was killed, and is left out. Throws `ERR_ACKGATE_INVALID_ARGUMENT`, naming the line, when the
 * first one is no header or another one is no sample.
 */
export function readSamples(directory: string): Sample[] {
  const path = join(directory, fileName);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const [first, ...rest] = text.split('\n').slice(0, -1);
  if (first === undefined) return [];
  checkHeader(parse(first, path, 1), path);
  return rest.map((line, i) => parseSample(line, path, i + 2));
}

function checkHeader(value: unknown, path: string): void {
  const { ackgate, version } = (value ?? {}) as Record<string, unknown>;
  if (ackgate !== title) throw damaged(path, 1, `does not say that these are ${title}`);
  if (version === formatVersion) return;
  throw damaged(path, 1, `says version ${JSON.stringify(version)}, not ${formatVersion}`);
}

function parseSample(line: string, path: string, number: number): Sample {
  const value = parse(line, path, number);
  if (!isSample(value)) throw damaged(path, number, 'is no sample');
  return value;
}

function parse(line: string, path: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw damaged(path, number, 'is not JSON', cause);
  }
}

function isSample(value: unknown): value is Sample {
  if (typeof value !== 'object' || value === null) return false;
  const { atMs, phase, segment, process, own, status, load, chaos } = value as Record<string, unknown>;
  return (
    typeof atMs === 'number' &&
    (phase === 'warm-up' || phase === 'load') &&
    Number.isSafeInteger(segment) &&
    [process, load, chaos].every((part) => typeof part === 'object' && part !== null) &&
    [own, status].every((part) => typeof part === 'object')
  );
}

const damaged = (path: string, line: number, what: string, cause?: unknown) =>
  new AckgateError(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `line ${line} of ${path} ${what}: the run can't be resumed from it; mend the line, or begin the run anew`,
    { cause },
  );
