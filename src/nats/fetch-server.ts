import { listSegments } from '../journal/files.js';
import type { JournalRecord } from '../journal/journal.js';
import { replay } from '../journal/replay.js';
import {
  BatchWriter,
  batchHeaderBytes,
  encodeBatch,
  joinBatches,
  recordOverheadBytes,
} from './batch-codec.js';
import { type FetchRequest, type Refused, refusal } from './messages.js';
import type { Recent } from './recent.js';

/** A replica that reads on where it stopped. */
interface Reading {
  records: Iterator<JournalRecord>;
  /** Read already, and did not fit into the last answer. */
  held: JournalRecord | null;
  next: number;
  usedAt: number;
}

/** Nobody reads that slowly: what it holds of the files is let go. */
const idleMs = 5_000;

export interface FetchServerOptions {
  readonly directory: string;
  readonly term: number;
  readonly primaryId: string;
  readonly recent: Recent;
  /** How far the files may be read. */
  persisted(): number;
  messageBytesMax(): number;
  /** Monotonic milliseconds. */
  now(): number;
}

/**
 * Gives replicas what they have missed, an answer at a time: from what was published last, else from the files. Each
 * replica's reading goes on where it stopped, so that catching up takes time in proportion to what is missing.
 */
export class FetchServer {
  readonly #options: FetchServerOptions;
  readonly #readings = new Map<string, Reading>();

  constructor(options: FetchServerOptions) {
    this.#options = options;
  }

  /** As many records as a message takes, from `from` or before it on; without records when that is not on the disk yet. */
  answer({ instance, from }: FetchRequest): Buffer | Refused {
    const { recent, messageBytesMax } = this.#options;
    // Under a light load each is of a record or two: one at a time, whoever lacks many would hardly catch up.
    const published = recent.from(from, messageBytesMax());
    if (published.length > 0) {
      this.#readings.delete(instance);
      return joinBatches(published.map(({ bytes }) => bytes));
    }
    const persisted = this.#options.persisted();
    if (from > persisted) return this.#encode(from, from - 1);
    try {
      return this.#read(instance, from, persisted);
    } catch (error) {
      this.#readings.delete(instance);
      return refusal(null, `the primary can't read its journal: ${(error as Error).message}`);
    }
  }

  /** Forgets those who have stopped to ask. */
  sweep(): void {
    const now = this.#options.now();
    for (const [instance, { usedAt }] of this.#readings) {
      if (now - usedAt > idleMs) this.#readings.delete(instance);
    }
  }

  #read(instance: string, from: number, persisted: number): Buffer | Refused {
    const { directory, term, primaryId, now, messageBytesMax } = this.#options;
    let reading = this.#readings.get(instance);
    if (reading?.next !== from) {
      const oldest = listSegments(directory)[0]?.first ?? 1;
      if (from < oldest) return tooFarBehind(from, oldest);
      reading = { records: replay(directory, from, persisted), held: null, next: from, usedAt: now() };
      this.#readings.set(instance, reading);
    }
    reading.usedAt = now();
    reading.held ??= reading.records.next().value ?? null;
    const needed = batchHeaderBytes + recordOverheadBytes + (reading.held?.payload.length ?? 0);
    const writer = new BatchWriter(Math.max(needed, messageBytesMax()));
    while (reading.held !== null && writer.hasRoom(reading.held.payload.length)) {
      const { sequence, payload, goesOn } = reading.held;
      writer.add(payload.length, goesOn === true).set(payload);
      reading.next = sequence + 1;
      reading.held = reading.records.next().value ?? null;
    }
    if (reading.held === null) this.#readings.delete(instance);
    return writer.seal({ term, primaryId, first: from, last: from + writer.count - 1 });
  }

  #encode(first: number, last: number): Buffer {
    const { term, primaryId } = this.#options;
    return encodeBatch({ term, primaryId, first, last, records: [] });
  }
}

export function tooFarBehind(from: number, oldest: number): Refused {
  const message =
    `sequence ${from} is missing, and the primary keeps its journal from ${oldest} on only: give the replica an empty ` +
    'directory, it then begins there';
  return refusal('ERR_ACKGATE_SEQUENCE', message);
}
