import { dropReasons } from '../egress/counters.js';
import { endedOrderly } from '../egress/egress.js';
import { Consumer, type RecordView } from '../ring/consumer.js';
import { claimFull, Producer } from '../ring/producer.js';
import { jsonWithin } from '../shared/json-within.js';
import type { Logger } from '../shared/logger.js';
import { noticeSlots, type StageMemory, Word } from '../shared/memory.js';
import type { ClosedEvent, DroppedEvent } from './api.js';
import type { DegradedEvent, ModeChangedEvent } from './channels.js';

/**
 * Records of the event ring, stage → control thread; the fields of the ring's slots are used as follows:
 *
 *     kind      connectionId   wireSeq        receivedNs        payload
 *     ended     connection     bytes unsent   errno             drop reason, -1: in order (i8); slot (i32 at 4)
 *     fenced
 *     fatal                                                      JSON { code, message }
 *     log                      level                             JSON [fields, message]
 *     mode                                                       JSON ModeChangedEvent
 *     degraded                                                   JSON DegradedEvent
 *
 * A connection has one place for its `ended`, so that it is never lost. The others share `noticeSlots` places. Log lines
 * get half of them, and are dropped and counted when there is none. Changes of mode and of degradation get a quarter, and
 * wait when there is none, each kind as one: what comes last is told in the end, however many there were. Of the rest
 * `fenced` and `fatal` take one each, and what still waits when the stage ends another two.
 */
const EventKind = { ended: 1, fenced: 2, fatal: 3, log: 4, mode: 5, degraded: 6 } as const;
const levels = ['debug', 'info', 'warn', 'error'] as const;
const logPlaces = noticeSlots / 2;
const changePlaces = logPlaces + noticeSlots / 4;

const endedBytes = 8;
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
  /** Changes that found no place so far. */
  #mode: ModeChangedEvent | null = null;
  #degraded: DegradedEvent | null = null;

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
    this.#json(EventKind.fatal, { code, message: error.message });
  }

  mode(change: ModeChangedEvent): void {
    const { from, fromPolicy } = this.#mode ?? change;
    this.#mode = { ...change, from, fromPolicy };
    this.changes();
  }

  degraded(change: DegradedEvent): void {
    this.#degraded = change;
    this.changes();
  }

  /** Tells the changes that wait for a place. `last`: there is no later, and places are kept for this. */
  changes(last = false): void {
    const mode = this.#mode;
    const degraded = this.#degraded;
    if (mode === null && degraded === null) return;
    if (!last && this.#waiting >= changePlaces) return;
    this.#mode = null;
    this.#degraded = null;
    if (mode !== null) this.#json(EventKind.mode, mode);
    if (degraded !== null) this.#json(EventKind.degraded, degraded);
  }

  #log(level: number, fields: object, message: string): void {
    if (this.#waiting >= logPlaces) this.dropped++;
    else this.#json(EventKind.log, [fields, message], level);
  }

  /** Events that the control thread has not taken. */
  get #waiting(): number {
    return (this.#published - this.#consumed()) | 0;
  }

  #json(kind: number, value: unknown, level = 0): void {
    const body = jsonWithin(value, this.#ring.maxPayload);
    this.#ring.bytes.set(body, this.#claim(body.length));
    this.#publish(kind, 0, level, 0);
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
  mode(change: ModeChangedEvent): void;
  degraded(change: DegradedEvent): void;
  fatal(error: { code?: string | undefined; message: string }): void;
  logger: Logger;
}

/** The control thread's end of the event ring. */
export class EventReader {
  readonly #ring: Consumer;
  readonly #words: Int32Array;

  constructor(memory: StageMemory) {
    this.#ring = new Consumer(memory.events, { lazyViews: true });
    this.#words = new Int32Array(memory.buffer);
  }

  /** Takes the events that there are; those that are published meanwhile ring again. */
  drain(handlers: EventHandlers): void {
    // Cleared before looking: an event that is published during the look rings again.
    Atomics.store(this.#words, Word.doorbell, 0);
    // No more than now: a slow logger in a flood of lines would never come to an end. A handler may drain too.
    for (let most = this.#ring.available(); most > 0 && this.#ring.available() > 0; most--) {
      const deliver = readEvent(this.#ring.at(0));
      // Before it is delivered: an event is taken once, also when a listener throws.
      this.#ring.release(1);
      throwLater(() => deliver(handlers));
    }
  }
}

/** Calls listeners: a failure of theirs must not hold up the events behind this one, nor the end of the stage. */
export function throwLater(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** Copies an event out of its slot. */
function readEvent(record: RecordView): (handlers: EventHandlers) => void {
  const { kind, connectionId, bytes, payloadBytes, wireSeq, receivedNs } = record;
  if (kind === EventKind.ended) {
    const reason = (bytes[0] << 24) >> 24;
    const slot = bytes[4] | (bytes[5] << 8) | (bytes[6] << 16) | (bytes[7] << 24);
    if (reason === endedOrderly) return (handlers) => handlers.closed(slot, { connectionId });
    const event = { connectionId, reason: dropReasons[reason], errno: receivedNs, bytesUnsent: wireSeq };
    return (handlers) => handlers.dropped(slot, event);
  }
  if (kind === EventKind.fenced) return (handlers) => handlers.fenced();
  const body = JSON.parse(text(bytes, payloadBytes));
  if (kind === EventKind.log) return ({ logger }) => logger[levels[wireSeq]](body[0], body[1]);
  if (kind === EventKind.mode) return (handlers) => handlers.mode(body);
  if (kind === EventKind.degraded) return (handlers) => handlers.degraded(body);
  return (handlers) => handlers.fatal(body);
}

// A copy: decoding straight from shared memory is refused.
function text(bytes: Uint8Array, length: number): string {
  return decoder.decode(bytes.slice(0, length));
}
