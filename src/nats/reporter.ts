import type { Copy } from './copy.js';
import type { Fetchable } from './fetcher.js';
import { type FrameReading, FrameSender, type FrameSenderOptions } from './frame-sender.js';

/** What a replica follows, from joining until it follows another. */
export interface Followed extends Fetchable {
  readonly epoch: number;
}

export interface ReporterOptions extends Omit<FrameSenderOptions, 'read'> {
  readonly copy: Copy;
  /** Null: there is nobody to tell anything. */
  followed(): Followed | null;
}

/** Tells the primary of everything that a replica gets into memory or onto its disk. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #frames: FrameSender;
  #isWatching = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#frames = new FrameSender({ ...options, read: () => this.#reading() });
  }

  /** A frame is to go out, also when it says nothing new: it is a sign of life. */
  due(): void {
    if (this.#options.followed() !== null) this.#frames.due();
  }

  /** A frame now, and one for every group that becomes durable. */
  onAppended(): void {
    this.due();
    this.#watchPersisted();
  }

  /** What is true of its primary's journal at this moment. */
  #reading(): FrameReading | null {
    const followed = this.#options.followed();
    const { journal } = this.#options.copy;
    if (followed === null || journal === null || journal.failure !== null) return null;
    // The persisted position first: it may move at any time, what is in memory moves on this thread only.
    const persisted = journal.primaryCursor;
    const { term, primaryId, epoch, stream } = followed;
    return { term, primaryId, epoch, inMemory: stream.last, persisted };
  }

  #watchPersisted(): void {
    const { journal } = this.#options.copy;
    if (this.#isWatching || journal === null || journal.primaryCursor >= journal.lastSequence) return;
    this.#isWatching = true;
    journal.whenPersisted(journal.lastSequence).then(
      () => {
        this.#isWatching = false;
        this.onAppended();
      },
      () => {
        this.#isWatching = false;
      },
    );
  }
}
