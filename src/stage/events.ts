import { dropReasons } from '../egress/counters.js';
import { endedOrderly } from '../egress/egress.js';
import { Consumer } from '../ring/consumer.js';
import { claimFull, Producer } from '../ring/producer.js';
import type { Logger } from '../shared/logger.js';
import { noticeSlots, type StageMemory, Word } from '../shared/memory.js';
import type { ClosedEvent, DroppedEvent } from './api.js';

/**
 * Records of the event ring, stage → control thread; the fields of the ring's slots are used as follows:
 *
 *     kind      connectionId   wireSeq        receivedNs        payload
 *     ended     connection     bytes unsent   errno             drop reason, -1: in order (i8); slot (i32 at 4)
 *     fenced
 *     fatal                                                      JSON { code, message }
 *     log                      level                             JSON [fields, message]
 *
 * A connection has one place for its `ended`, so that it is never lost. Log lines share the rest, and are dropped and
 * counted when there is none.
 */
const EventKind = { ended: 1, fenced: 2, fatal: 3, log: 4 } as const;
const levels = ['debug', 'info', 'warn', 'error'] as const;

const endedBytes = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The stage's end of the event ring; also its logger. */
export class EventWriter {
  /** Log lines that found no place. */
  dropped = 0;
  readonly logger: Logger;
  readonly #ring: Producer;
  readonly #consumed: () => number;
  readonly #words: Int32Array;
  readonly #ringBell: () => void;
  #published = 0;

  /** `ringBell` tells the control thread, once, that events wait; its reader clears the doorbell word. */
  constructor(memory: StageMemory, consumed: () => number, ringBell: () => void) {
    this.#ring = new Producer(memory.events);
    this.#consumed = consumed;
    this.#words = new Int32Array(memory.buffer);
    this.#ringBell = ringBell;
    const line = (level: number) => (fields: object, message: string) => this.#log(level, fields, message);
    this.logger = { debug: line(0), info: line(1), warn: line(2), error: line(3) };
  }

  ended(slot: number, connectionId: number, reason: number, errno: number, bytesUnsent: number): void {
    const at = this.#claim(endedBytes);
    const { bytes } = this.#ring;
    bytes[at] = reason;
    for (let i = 0; i < 4; i++) bytes[at + 4 + i] = slot >>> (8 * i);
    this.#publish(EventKind.ended, connectionId, bytesUnsent, errno);
  }

  fenced(): void {
    this.#claim(0);
    this.#publish(EventKind.fenced, 0, 0, 0);
  }

  fatal(error: Error): void {
    const { code } = error as { code?: string };
    const body = encoder.encode(JSON.stringify({ code, message: error.message.slice(0, 200) }));
    const length = Math.min(body.length, this.#ring.maxPayload);
    const at = this.#claim(length);
    this.#ring.bytes.set(body.subarray(0, length), at);
    this.#publish(EventKind.fatal, 0, 0, 0);
  }

  #log(level: number, fields: object, message: string): void {
    const body = encoder.encode(JSON.stringify([fields, message]));
    // Half the shared places: what comes after a flood of log lines finds room too.
    const crowded = ((this.#published - this.#consumed()) | 0) >= noticeSlots / 2;
    if (crowded || body.length > this.#ring.maxPayload) {
      this.dropped++;
      return;
    }
    const at = this.#claim(body.length);
    this.#ring.bytes.set(body, at);
    this.#publish(EventKind.log, 0, level, 0);
  }

  #claim(length: number): number {
    const at = this.#ring.claim(length);
    if (at === claimFull)
      throw new Error('event ring overfilled: more places were used than connections have');
    return at;
  }

  #publish(kind: number, connectionId: number, wireSeq: number, receivedNs: number): void {
    this.#ring.publish(connectionId, wireSeq, 0, kind, receivedNs);
    this.#published = (this.#published + 1) | 0;
    if (Atomics.exchange(this.#words, Word.doorbell, 1) === 0) this.#ringBell();
  }
}

export interface EventHandlers {
  dropped(slot: number, event: DroppedEvent): void;
  closed(slot: number, event: ClosedEvent): void;
  fenced(): void;
  fatal(error: { code?: string; message: string }): void;
  logger: Logger;
}

/** The control thread's end of the event ring. */
export class EventReader {
  readonly #ring: Consumer;
  readonly #words: Int32Array;

  constructor(memory: StageMemory) {
    this.#ring = new Consumer(memory.events);
    this.#words = new Int32Array(memory.buffer);
  }

  /** Takes every event there is. */
  drain(handlers: EventHandlers): void {
    // Cleared before looking: an event that is published during the look rings again.
    Atomics.store(this.#words, Word.doorbell, 0);
    this.#ring.poll((record) => {
      const { connectionId, bytes } = record;
      if (record.kind === EventKind.ended) {
        const reason = (bytes[0] << 24) >> 24;
        const slot = bytes[4] | (bytes[5] << 8) | (bytes[6] << 16) | (bytes[7] << 24);
        if (reason === endedOrderly) handlers.closed(slot, { connectionId });
        else {
          handlers.dropped(slot, {
            connectionId,
            reason: dropReasons[reason],
            errno: record.receivedNs,
            bytesUnsent: record.wireSeq,
          });
        }
      } else if (record.kind === EventKind.log) {
        const [fields, message] = JSON.parse(text(record.bytes, record.payloadLength));
        handlers.logger[levels[record.wireSeq]](fields, message);
      } else if (record.kind === EventKind.fenced) {
        handlers.fenced();
      } else {
        handlers.fatal(JSON.parse(text(record.bytes, record.payloadLength)));
      }
      return true;
    });
  }
}

// A copy: decoding straight from shared memory is refused.
function text(bytes: Uint8Array, length: number): string {
  return decoder.decode(bytes.slice(0, length));
}
