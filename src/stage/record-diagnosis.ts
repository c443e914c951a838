import { types } from 'node:util';
import { CaptureWriter, type Observation } from '../diagnosis/capture-ring.js';
import { Traffic, TrafficAt } from '../diagnosis/compiled-directives.js';
import { LevelIndex } from '../diagnosis/levels.js';
import type { Redactor } from '../diagnosis/redactor.js';
import { DirectivesReader } from '../diagnosis/shared-directives.js';
import { DeliverySamples } from '../egress/delivery-samples.js';
import type { Egress } from '../egress/egress.js';
import { CrossingTracker } from '../gate/crossing-tracker.js';
import type { Gate } from '../gate/gate.js';
import type { Consumer, RecordInRing } from '../ring/consumer.js';
import type { Clock } from '../shared/clock.js';
import { describe } from '../shared/describe.js';
import type { Logger } from '../shared/logger.js';
import { directivesOffset, type StageMemory, Word } from '../shared/memory.js';
import type { Responder } from './responder.js';
import { SessionLevels } from './session-levels.js';
import { ShapeCounters } from './shape-counters.js';
import type { Timings } from './timings.js';

const samplePool = 65_536;
/** Beside a record's level: the gate held it when it was first seen. */
const heldBit = 4;
const levelBits = 3;
export interface DiagnosisParts {
  memory: StageMemory;
  ring: Consumer;
  gate: Gate;
  timings: Timings;
  clock: Clock;
  /** Unix milliseconds: directives expire by them. */
  unixMs: () => number;
  redactor: Redactor | null;
  logger: Logger;
  egress: () => Egress;
  responder: () => Responder;
}

/**
 * Looks at records as closely as the directives, and their connection's grant, ask for. Each record gets its level when
 * it is first seen in the ring, and keeps it unless the directives change before it is released. While nothing can
 * apply, a round costs one look at a word.
 */
export class RecordDiagnosis {
  /** True while something may apply: then `look` must see every record before it is released. */
  active = false;
  /** True exactly while an answer that is timed waits for its flush. */
  timesFlush = false;
  readonly samples: DeliverySamples;
  readonly sessions: SessionLevels;
  readonly shape = new ShapeCounters();
  timed = 0;
  captureErrors = 0;

  readonly #parts: DiagnosisParts;
  readonly #words: Int32Array;
  readonly #directives: DirectivesReader;
  readonly #capture: CaptureWriter;
  #scratch: Uint8Array;
  /** Of each place in the ring: level and `heldBit`, and when it was first seen. */
  readonly #levels: Uint8Array;
  readonly #seenNs: Float64Array;
  readonly #traffic = new Traffic();
  readonly #observation: Observation = { level: 0, seenNs: 0, releasedNs: 0, encodeNs: 0, bodyBytes: 0 };
  #tracker: CrossingTracker | null = null;
  /** Ring position of the first record without a level. */
  #looked = 0;
  /** Ring position behind the last record that was ever seen. */
  #seenUpTo = 0;
  /** Ring position of the first record that got its level in this round. */
  #newFrom = 0;
  #mayApply = false;
  #nowMs = 0;

  constructor(parts: DiagnosisParts) {
    const { memory, ring, clock, timings } = parts;
    this.#parts = parts;
    this.#words = new Int32Array(memory.buffer);
    this.#directives = new DirectivesReader(memory.buffer, directivesOffset);
    this.#capture = new CaptureWriter(memory.buffer, memory.capture);
    this.#scratch = new Uint8Array(memory.capture.bodyBytes);
    this.#levels = new Uint8Array(ring.capacity);
    this.#seenNs = new Float64Array(ring.capacity);
    this.sessions = new SessionLevels(memory.connections);
    this.samples = new DeliverySamples(
      memory.connections,
      samplePool,
      () => parts.egress().sentTotal,
      (nowNs, receivedNs, entry) => {
        if (receivedNs > 0) timings.record('serverEndToEnd', nowNs - receivedNs);
        this.#capture.delivered(entry, nowNs);
      },
      clock,
    );
  }

  /** True until a round has seen the newest directives. */
  get changed(): boolean {
    return this.#directives.changed();
  }

  /** True while records are timed: then each has to be seen as soon as it is published, also behind one that is held. */
  get watchesEveryRecord(): boolean {
    return this.#tracker !== null;
  }

  /** Whether there is a record to be timed among those `available` that was not seen yet. */
  wantsToSee(available: number): boolean {
    return this.watchesEveryRecord && this.#looked !== ((this.#parts.ring.position + available) | 0);
  }

  get captured(): number {
    return this.#capture.written;
  }

  get revision(): number {
    return this.#directives.set.revision;
  }

  /** Index of the highest level that anything in force asks for. */
  get level(): number {
    for (let level: number = LevelIndex.capture; level > LevelIndex.off; level--) {
      if (this.#inForce(level)) return level;
    }
    return LevelIndex.off;
  }

  /** Once a round, before records are looked at: takes new directives, and drops what has expired. */
  refresh(): void {
    if (this.#directives.changed() && this.#directives.refresh()) {
      // Records that wait are looked at again: what holds them up is often what was asked about.
      this.#looked = this.#parts.ring.position;
      this.#mayApply = true;
    }
    if (!this.#mayApply) return;
    this.#nowMs = this.#parts.unixMs();
    this.#traffic.numbers[TrafficAt.nowMs] = this.#nowMs;
    const active = this.#inForce(LevelIndex.shape);
    if (active && !this.active) this.#begin();
    this.active = active;
    this.#mayApply = active;
    this.#time(active && this.#inForce(LevelIndex.timing));
  }

  raise(slot: number, level: number, expiresAt: number): void {
    this.sessions.raise(slot, level, expiresAt);
    this.#looked = this.#parts.ring.position;
    this.#mayApply = true;
  }

  /** The policy has changed, and with it what records wait for. */
  restart(): void {
    this.#tracker?.restart();
  }

  /** Gives every record up to `published` its level; after each evaluation of the gate. */
  look(published: number, nowNs: number): void {
    const { ring } = this.#parts;
    const start = ring.position;
    const end = (start + published) | 0;
    // Behind the start, if ring positions went on while nothing applied.
    if (((this.#looked - start) | 0) < 0) this.#looked = start;
    if (((this.#seenUpTo - start) | 0) < 0) this.#seenUpTo = start;
    const mask = ring.capacity - 1;
    this.#newFrom = this.#looked;
    for (let at = this.#looked; at !== end; at = (at + 1) | 0) {
      const record = ring.at((at - start) | 0);
      const place = at & mask;
      const isNew = at === this.#seenUpTo;
      if (isNew) {
        this.#seenNs[place] = nowNs;
        this.#levels[place] = 0;
        this.#seenUpTo = (at + 1) | 0;
      }
      const held = this.#parts.gate.releasable(record.wireSeq, record.flags) ? 0 : heldBit;
      this.#levels[place] = this.#levelOf(record) | held | (this.#levels[place] & heldBit);
    }
    this.#looked = end;
    this.#tracker?.observe(published, nowNs);
  }

  /** Index of the level of the record at a ring position. */
  levelAt(position: number): number {
    return this.#levels[position & (this.#levels.length - 1)] & levelBits;
  }

  /** Answers a record of a level above `off`, and notes what there is to see. As `Responder.respond`. */
  respond(record: RecordInRing, position: number, nowNs: number): number {
    const { clock, responder, egress, timings } = this.#parts;
    const level = this.#levelAtRelease(record, position);
    if (level === LevelIndex.off) return responder().respond(record, nowNs);
    const isTimed = level >= LevelIndex.timing;
    const startNs = isTimed ? clock() : 0;
    const slot = responder().respond(record, nowNs);
    this.#countShape(record, position, slot < 0, responder().bodyBytes);
    if (!isTimed) return slot;
    const endNs = clock();
    timings.record('encode', endNs - startNs);
    this.timed++;
    const entry = this.#takeDown(record, position, level, endNs, endNs - startNs);
    if (slot < 0) return slot;
    this.samples.add(slot, record.receivedNs, entry, egress().appendedTotal[slot]);
    this.timesFlush = true;
    return slot;
  }

  /** A record of a level above `off` that came too late for its connection. */
  discarded(record: RecordInRing, position: number): void {
    if (this.#levelAtRelease(record, position) === LevelIndex.off) return;
    this.#countShape(record, position, true, -1);
  }

  flushed(ns: number): void {
    this.timesFlush = false;
    this.#parts.timings.record('flush', ns);
  }

  /** What waits in the ring was seen first while nobody was looking: nobody knows when. */
  #begin(): void {
    const { ring } = this.#parts;
    this.#looked = this.#seenUpTo = ring.position;
    for (let left = ring.available(); left > 0; left--) {
      const place = this.#seenUpTo & (ring.capacity - 1);
      this.#seenNs[place] = 0;
      this.#levels[place] = 0;
      this.#seenUpTo = (this.#seenUpTo + 1) | 0;
    }
  }

  /** What asked for the level of a record that has waited may have expired since. */
  #levelAtRelease(record: RecordInRing, position: number): number {
    const level = this.levelAt(position);
    const isNew = ((position - this.#newFrom) | 0) >= 0;
    return isNew ? level : Math.min(level, this.#levelOf(record));
  }

  #inForce(level: number): boolean {
    const { set } = this.#directives;
    return (
      set.baseline >= level ||
      this.#nowMs < set.lastExpiry(level) ||
      this.#nowMs < this.sessions.lastExpiry(level)
    );
  }

  #time(on: boolean): void {
    if (on === (this.#tracker !== null)) return;
    const { ring, gate, timings } = this.#parts;
    this.#tracker = on
      ? new CrossingTracker(
          ring,
          gate,
          timings,
          (at) => this.levelAt(at) >= LevelIndex.timing,
          this.#seenUpTo,
        )
      : null;
    Atomics.store(this.#words, Word.stamps, on ? 1 : 0);
  }

  #levelOf(record: RecordInRing): number {
    const { egress } = this.#parts;
    const slot = egress().table.find(record.connectionId);
    const { numbers } = this.#traffic;
    numbers[TrafficAt.tenant] = slot < 0 ? 0 : this.sessions.tenant[slot];
    numbers[TrafficAt.connection] = record.connectionId;
    numbers[TrafficAt.kind] = record.kind;
    record.copyRequestId(numbers, TrafficAt.requestId);
    let level = this.#directives.set.levelOf(this.#traffic);
    if (slot >= 0) level = Math.max(level, this.sessions.levelOf(slot, numbers, TrafficAt.nowMs));
    return level;
  }

  #countShape({ flags }: RecordInRing, position: number, wasDiscarded: boolean, bodyBytes: number): void {
    const wasHeld = (this.#levels[position & (this.#levels.length - 1)] & heldBit) !== 0;
    this.shape.count(flags, wasHeld, wasDiscarded, bodyBytes);
  }

  #takeDown(
    record: RecordInRing,
    position: number,
    level: number,
    releasedNs: number,
    encodeNs: number,
  ): number {
    const responder = this.#parts.responder();
    const seen = this.#observation;
    seen.level = level;
    seen.seenNs = this.#seenNs[position & (this.#seenNs.length - 1)];
    seen.releasedNs = releasedNs;
    seen.encodeNs = encodeNs;
    seen.bodyBytes = Math.max(0, responder.bodyBytes);
    const body = level < LevelIndex.capture || responder.bodyBytes < 0 ? null : this.#redacted(record);
    return this.#capture.write(record, seen, this.#nowMs, body);
  }

  /** What may be kept of the last body: nothing when the redactor has failed. */
  #redacted(record: RecordInRing): Uint8Array | null {
    const { responder, redactor } = this.#parts;
    const body = responder().copyBody(record, this.#scratch);
    const { length } = body;
    try {
      const returned: unknown = redactor?.(body, record);
      if (returned === undefined && body.length === length) return body;
      if (types.isPromise(returned)) returned.catch(() => {});
      this.#redactorFailed(record, 'it has to change the body in place, and to return nothing');
    } catch (error) {
      this.#redactorFailed(record, describe(error));
    }
    return null;
  }

  #redactorFailed({ kind }: RecordInRing, why: string): void {
    // It may have kept it, or given it away to another thread.
    this.#scratch = new Uint8Array(this.#parts.memory.capture.bodyBytes);
    // Once: it would be the same for every record.
    if (this.captureErrors++ > 0) return;
    this.#parts.logger.error({ kind, why }, 'redactor failed, bodies are not captured');
  }
}
