import type { Duplex } from 'node:stream';
import { LineSplitter, type ProbeReply, type ProbeRequest } from './probe-wire.js';
import type { OwnReading } from './samples.js';

const answerTimeoutMs = 2000;

/** The runner's end of the pipe to the probe in the server. */
export class ProbeClient {
  readonly #pipe: Duplex;
  readonly #waiting = new Map<number, (reading: OwnReading | null) => void>();
  #lastId = 0;

  constructor(pipe: Duplex) {
    this.#pipe = pipe;
    const splitter = new LineSplitter();
    pipe.setEncoding('utf8');
    pipe.on('data', (text: string) => {
      if (!splitter.feed(text, (line) => this.#take(line))) pipe.destroy();
    });
    pipe.on('error', () => {});
    pipe.on('end', () => this.close());
    pipe.on('close', () => this.close());
  }

  /** Null when there is no answer in time. */
  read(gc: boolean, withinMs = answerTimeoutMs): Promise<OwnReading | null> {
    // A server that has been blocked for so long that its pipe is full is not asked again.
    if (!this.#pipe.writable || this.#pipe.writableNeedDrain) return Promise.resolve(null);
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const answer = (reading: OwnReading | null) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(reading);
      };
      const timer = setTimeout(answer, withinMs, null);
      this.#waiting.set(id, answer);
      const request: ProbeRequest = { id, gc };
      this.#pipe.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** Nothing more comes. */
  close(): void {
    this.#pipe.destroy();
    for (const answer of [...this.#waiting.values()]) answer(null);
  }

  #take(line: string): void {
    let reply: Partial<Record<keyof ProbeReply, unknown>> | null;
    try {
      reply = JSON.parse(line);
    } catch {
      return;
    }
    this.#waiting.get(reply?.id as number)?.({
      heapUsedBytes: figure(reply?.heapUsedBytes),
      heapAfterGcBytes: figure(reply?.heapAfterGcBytes),
      externalBytes: figure(reply?.externalBytes),
      eventLoopDelayP99Ms: figure(reply?.eventLoopDelayP99Ms),
    });
  }
}

/** The pipe is in the hands of the server under test: what is no figure is not known. */
const figure = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
