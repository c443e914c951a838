import type { OwnReading } from './samples.js';

/** Environment variable with the descriptor that the probe answers on. */
export const probeFdName = 'ACKGATE_SOAK_FD';

/** Requests and replies are lines of JSON. Longer ones come from somebody else. */
const probeLineMax = 4096;

export interface ProbeRequest {
  /** Counted up; the reply has the same, so that a late one is not taken for that of a later request. */
  readonly id: number;
  /** Whether to collect all garbage for the reading. */
  readonly gc: boolean;
}

export interface ProbeReply extends OwnReading {
  readonly id: number;
}

/** Cuts lines out of a stream of text. A line that is too long ends it: `feed` returns false, once and for all. */
export class LineSplitter {
  #rest = '';
  #broken = false;

  feed(text: string, onLine: (line: string) => void): boolean {
    if (this.#broken) return false;
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() as string;
    for (const line of lines) onLine(line);
    this.#broken = this.#rest.length > probeLineMax;
    return !this.#broken;
  }
}
