import { performance } from 'node:perf_hooks';
import { type FrameMessage, frameCodec } from './messages.js';

/** What a replica has, read at one moment. */
export type FrameReading = Pick<FrameMessage, 'term' | 'primaryId' | 'epoch' | 'inMemory' | 'persisted'>;

export interface FrameSenderOptions extends Pick<FrameMessage, 'node' | 'instance' | 'zone'> {
  /** Null: there is nothing to tell. */
  read(): FrameReading | null;
  publish(frame: Uint8Array): void;
  /** Milliseconds. */
  clock?(): number;
}

/** Not the wall clock: set back, it would make the frames look old. */
const steadyClock = () => performance.timeOrigin + performance.now();

/** Tells the primary how far this replica is: one frame for everything that happens in a turn. */
export class FrameSender {
  readonly #options: FrameSenderOptions;
  #isDue = false;
  #lastAt = 0;

  constructor(options: FrameSenderOptions) {
    this.#options = options;
  }

  due(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#send();
    });
  }

  #send(): void {
    const { read, publish, node, instance, zone, clock = steadyClock } = this.#options;
    const reading = read();
    if (reading === null) return;
    this.#lastAt = Math.max(this.#lastAt + 0.001, clock());
    publish(frameCodec.encode({ node, instance, zone, ...reading, at: this.#lastAt }));
  }
}
