import { closeSync, openSync, readSync } from 'node:fs';
import { pageSizeBytes } from './page-size.js';

/**
 * Reads the resident memory of a process, cheaply: for every few milliseconds. Older kernels count pages by processor, so
 * that a reading may be off by a few hundred of them.
 */
export class RssSampler {
  readonly #pageBytes = pageSizeBytes();
  readonly #text = Buffer.alloc(256);
  #fd: number | null = null;

  constructor(pid: number) {
    try {
      // Kept open, it stands for this process: one that gets the number later is another.
      this.#fd = openSync(`/proc/${pid}/statm`, 'r');
    } catch {
      // It has ended.
    }
  }

  /** Null when the process has ended. */
  rssBytes(): number | null {
    if (this.#fd === null) return null;
    try {
      // From its beginning, the file is made anew.
      const length = readSync(this.#fd, this.#text, 0, this.#text.length, 0);
      return parseStatm(this.#text.toString('latin1', 0, length), this.#pageBytes);
    } catch {
      return null;
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

/** Out of `/proc/PID/statm`. Of a process that has ended but was not waited for all is 0, which is no reading. */
export function parseStatm(text: string, pageBytes: number): number | null {
  const pages = /^\d+ (\d+) /.exec(text);
  return pages === null || Number(pages[1]) === 0 ? null : Number(pages[1]) * pageBytes;
}

export interface Peak<T> {
  /** Right before the work, by the same counters as the peak; null when it could not be read. */
  readonly idleRssBytes: number | null;
  /** The most of all readings; null when there was none. */
  readonly peakRssBytes: number | null;
  /** How many there were: with a runner that is busy they come later than asked for. */
  readonly readings: number;
  /** What the work has come to. */
  readonly value: T;
}

/** Reads the resident memory every so many milliseconds while the work is done, and before and after it. */
export async function peakWhile<T>(pid: number, everyMs: number, work: () => Promise<T>): Promise<Peak<T>> {
  const sampler = new RssSampler(pid);
  let peakRssBytes: number | null = null;
  let readings = 0;
  const read = () => {
    const rssBytes = sampler.rssBytes();
    if (rssBytes === null) return null;
    readings++;
    peakRssBytes = Math.max(peakRssBytes ?? 0, rssBytes);
    return rssBytes;
  };
  const idleRssBytes = read();
  const timer = setInterval(read, everyMs);
  try {
    const value = await work();
    read();
    return { idleRssBytes, peakRssBytes, readings, value };
  } finally {
    clearInterval(timer);
    sampler.close();
  }
}
