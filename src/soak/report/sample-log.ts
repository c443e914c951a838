import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { AckgateError } from '../../errors.js';
import type { Sample } from '../samples.js';

const fileName = 'samples.ndjson';
const newline = 0x0a;

/** The samples of a run as they are taken, a line of JSON each. */
export class SampleLog {
  #fd: number | null;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Begins `samples.ndjson` in a folder anew, or goes on with the one that is there: what a crash has left of a last line
   * is cut off then.
   */
  static open(directory: string, { resume }: { resume: boolean }): SampleLog {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, fileName);
    if (!resume) return new SampleLog(openSync(path, 'w'));
    const fd = openSync(path, 'a+');
    ftruncateSync(fd, readFileSync(path).lastIndexOf(newline) + 1);
    return new SampleLog(fd);
  }

  /**
   * The kernel has the line when this returns, so that a crash of the runner loses nothing. Waiting for the disk each time
   * would hold up the load.
   */
  append(sample: Sample): void {
    if (this.#fd === null) return;
    const line = Buffer.from(`${JSON.stringify(sample)}\n`);
    for (let done = 0; done < line.length; ) done += writeSync(this.#fd, line, done);
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

/**
 * The samples of a folder; none when it has no `samples.ndjson`. A last line that has no end was being written when the
 * runner was killed, and is left out. Throws `ERR_ACKGATE_INVALID_ARGUMENT`, naming the line, when another one is no sample.
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
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, i) => parse(line, path, i + 1));
}

function parse(line: string, path: string, number: number): Sample {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw damaged(path, number, 'is not JSON', cause);
  }
  if (!isSample(value)) throw damaged(path, number, 'is no sample');
  return value;
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
