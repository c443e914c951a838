import type { Redactor } from '../diagnosis/redactor.js';
import { BlockedWatch } from '../egress/blocked-watch.js';
import { ConnectionTable } from '../egress/connection-table.js';
import { Drop } from '../egress/counters.js';
import { Egress } from '../egress/egress.js';
import { FlushCadence } from '../egress/flush-cadence.js';
import { parkMsMax, type Sender } from '../egress/sender.js';
import type { Encoder } from '../encode/encoder.js';
import { type Framing, lengthPrefixFraming } from '../encode/framing.js';
import { CursorLines } from '../gate/cursor-lines.js';
import { DegradationLogger } from '../gate/degradation-logger.js';
import { FrameLines } from '../gate/frame-lines.js';
import { Gate } from '../gate/gate.js';
import { NodeNames } from '../gate/node-names.js';
import { SilenceWatch } from '../gate/silence-watch.js';
import type { ResolvedPolicy } from '../policy/index.js';
import { Consumer, type RecordInRing, RingObserver } from '../ring/consumer.js';
import type { Clock } from '../shared/clock.js';
import type { Logger } from '../shared/logger.js';
import { nodeLines, Parked, type StageMemory, Word } from '../shared/memory.js';
import { connectionHandlers } from './connection-commands.js';
import { type ControlHandlers, ControlReader } from './control.js';
import { DrainList } from './drain-list.js';
import { Duties } from './duties.js';
import { EventWriter } from './events.js';
import { Heartbeats } from './heartbeats.js';
import { LastRecords } from './last-records.js';
import { describeChange, describeDegradation, logPolicyChange } from './log-lines.js';
import type { StageLimits } from './options.js';
import { RecordDiagnosis } from './record-diagnosis.js';
import { Responder } from './responder.js';
import { StageState } from './state.js';
import { StatusWriter } from './status.js';
import { fillStatus } from './status-values.js';
import { TimeSpent } from './time-spent.js';
import { createTimingHistograms, type TimingHistograms, Timings } from './timings.js';

/**
 * The clock is read again after so many records of a batch: some 40 µs when they only have to be copied, which is exact
 * enough for when to flush. Reading it makes an object. How long an encoder takes is not known.
 */
const clockEvery = { copying: 512, encoding: 64 } as const;
/** How long the kernel gets to let go of the buffers when the stage ends. */
const teardownMs = 1000;

/** All that a stage is made from. No clock, randomness or kernel is reached but through these. */
export interface ResponseStageParts {
  memory: StageMemory;
  sender: Sender;
  /** The send buffers, shared with the sender. */
  arena: Uint8Array;
  clock: Clock;
  /** Unix milliseconds. */
  unixMs: () => number;
  policy: ResolvedPolicy;
  limits: StageLimits;
  /** Tells the control thread that events wait. */
  ringBell: () => void;
  /** Default: log lines go to the control thread as events. */
  logger?: Logger;
  framing?: Framing;
  /** Null: payloads are encoded already. */
  encoder?: Encoder | null;
  histograms?: TimingHistograms;
  redactor?: Redactor | null;
  /** Why the sender is not the one that was asked for first; for the status. */
  fallback?: string | null;
}

/**
 * The stage: takes released responses from the output ring to the kernel, one round per `doWork`. Never blocks, never
 * waits, and allocates nothing per record.
 */
export class ResponseStage {
  readonly gate: Gate;
  readonly silence: SilenceWatch;
  readonly egress: Egress;
  readonly diagnosis: RecordDiagnosis;
  readonly timeSpent: TimeSpent;
  rounds = 0;
  busyRounds = 0;
  parks = 0;
  recordsIn = 0;
  batches = 0;
  pushes = 0;
  controlRecords = 0;
  lastDoWorkNs = 0;

  readonly #parts: ResponseStageParts;
  readonly #words: Int32Array;
  readonly #ring: Consumer;
  readonly #output: RingObserver;
  readonly #control: ControlReader;
  readonly #events: EventWriter;
  readonly #logger: Logger;
  readonly #framing: Framing;
  readonly #responder: Responder;
  readonly #cadence: FlushCadence;
  readonly #clockEvery: number;
  readonly #timings: Timings;
  readonly #heartbeats: Heartbeats;
  readonly #blocked: BlockedWatch;
  readonly #degradation: DegradationLogger;
  readonly #duties: Duties;
  readonly #leaving: DrainList;
  readonly #status: StatusWriter;
  readonly #corruptModes = new Set<string>();
  #state: number = StageState.running;
  #nowNs = 0;
  /** The last round found something to do. */
  #worked = false;
  #drainDeadlineNs = Number.POSITIVE_INFINITY;
  #endDeadlineNs = Number.POSITIVE_INFINITY;
  #fenceAnnounced = false;

  constructor(parts: ResponseStageParts) {
    const { memory, sender, arena, limits, clock } = parts;
    const { buffer, connections } = memory;
    this.#parts = parts;
    this.#words = new Int32Array(buffer);
    this.#ring = new Consumer(memory.output);
    this.#output = new RingObserver(memory.output);
    const events = new RingObserver(memory.events);
    this.#events = new EventWriter(memory, () => events.consumed(), parts.ringBell);
    this.#logger = parts.logger ?? this.#events.logger;
    this.#framing = parts.framing ?? lengthPrefixFraming;
    this.#timings = new Timings(parts.histograms ?? createTimingHistograms());
    const names = new NodeNames(buffer);
    this.gate = new Gate(new CursorLines(buffer, nodeLines + 1), names, nodeLines, parts.policy);
    this.silence = new SilenceWatch({
      frames: new FrameLines(buffer),
      names,
      logger: this.#logger,
      staleAfterNs: limits.staleAfterNs,
    });
    this.diagnosis = new RecordDiagnosis({
      memory,
      ring: this.#ring,
      gate: this.gate,
      timings: this.#timings,
      clock,
      unixMs: parts.unixMs,
      redactor: parts.redactor ?? null,
      logger: this.#logger,
      egress: () => this.egress,
      responder: () => this.#responder,
    });
    this.egress = new Egress({
      sender,
      arena,
      table: new ConnectionTable(connections),
      framing: this.#framing,
      fence: this.#words.subarray(Word.fence, Word.fence + 1),
      delivery: this.diagnosis.samples,
      onClosing: (slot) => {
        this.#heartbeats.ended(slot);
        this.#leaving.remove(slot);
        this.diagnosis.sessions.ended(slot);
      },
      onEnded: (slot, id, reason, errno, unsent) => this.#events.ended(slot, id, reason, errno, unsent),
    });
    this.#responder = new Responder(
      this.egress,
      this.#ring.memory,
      this.#framing,
      parts.encoder ?? null,
      this.#logger,
    );
    this.#cadence = new FlushCadence({
      bytes: limits.flushBytes,
      records: limits.flushRecords,
      delayNs: limits.flushDelayNs,
    });
    this.#clockEvery = parts.encoder ? clockEvery.encoding : clockEvery.copying;
    this.#leaving = new DrainList(connections, (slot) => this.#heartbeats.ended(slot));
    this.#heartbeats = new Heartbeats(
      this.egress,
      this.#framing.heartbeat,
      limits.heartbeatIntervalNs,
      clock(),
    );
    this.#blocked = new BlockedWatch(this.egress, limits);
    this.#degradation = new DegradationLogger(
      this.#logger,
      () => describeDegradation(this.gate),
      (degraded, fields) => this.#events.degraded({ degraded, ...fields }),
    );
    this.#control = new ControlReader(memory, this.#handlers());
    this.#status = new StatusWriter(buffer);
    this.timeSpent = new TimeSpent(this.gate, clock());
    this.#duties = new Duties({
      egress: this.egress,
      gate: this.gate,
      silence: this.silence,
      heartbeats: this.#heartbeats,
      blocked: this.#blocked,
      degradation: this.#degradation,
      publishStatus: (nowNs) => this.publishStatus(nowNs),
    });
    this.#start(clock());
  }

  /** True when there is nothing left to do, ever: the sender is destroyed and the connections are gone. */
  get ended(): boolean {
    return this.#state === StageState.closed || this.#state === StageState.failed;
  }

  /**
   * One round. Returns how much was done; an idle strategy decides what to do with 0.
   *
   * @param nowNs monotonic nanoseconds, never lower than before
   * @throws whatever makes going on unsafe, after the stage has failed and given everything back
   */
  doWork(nowNs: number): number {
    if (this.ended) return 0;
    this.#nowNs = nowNs;
    this.lastDoWorkNs = nowNs;
    this.rounds++;
    this.timeSpent.begin(nowNs, this.#worked);
    try {
      // Noted first: an attach that was sent before a record was published is then applied before the record is read.
      const published = this.#ring.available();
      let work = this.#takeControl();
      work += this.egress.reap(nowNs);
      this.#evaluate(published, nowNs);
      work += this.#release(published, nowNs);
      work += this.#flush(nowNs);
      work += this.#duties.run(nowNs);
      work += this.#endings(nowNs);
      this.#events.changes();
      this.timeSpent.looked(nowNs);
      this.#worked = work > 0;
      if (work > 0) this.busyRounds++;
      return work;
    } catch (error) {
      this.#fail(error as Error);
      throw error;
    }
  }

  /** True when a round would find something: looked at after the `parked` word is set, so that no wake is lost. */
  hasWork(): boolean {
    if (this.#control.pending || this.egress.pending) return true;
    if (Atomics.load(this.#words, Word.abandon) !== 0) return true;
    if (this.egress.fenced && !this.#fenceAnnounced) return true;
    if (this.diagnosis.changed) return true;
    if (this.gate.changed()) return true;
    // A record that the gate holds back is no work: a cursor has to move first. Unless it was not seen yet, and is timed.
    const available = this.#ring.available();
    return available > 0 && (!this.gate.closed || this.diagnosis.wantsToSee(available));
  }

  /** Sleeps until there may be something to do; returns at the next deadline at the latest. */
  park(): void {
    const anything = !this.gate.closed || this.diagnosis.watchesEveryRecord;
    Atomics.store(this.#words, Word.parked, anything ? Parked.forAnything : Parked.unlessRecord);
    if (!this.hasWork()) {
      const nowNs = this.#parts.clock();
      const timeoutMs = Math.min(parkMsMax, Math.max(0, (this.#nextDeadlineNs() - nowNs) / 1e6));
      this.publishStatus(nowNs);
      this.parks++;
      this.#parts.sender.park(timeoutMs);
    }
    Atomics.store(this.#words, Word.parked, Parked.awake);
  }

  /** Ends at once, without draining: the thread is on its way out. */
  abandon(): void {
    if (this.ended) return;
    this.egress.abandon(Drop.stageFailed, teardownMs / 4);
    this.#enter(StageState.closed);
  }

  publishStatus(nowNs: number): void {
    fillStatus(this.#status.values, {
      stage: this,
      nowNs,
      degradation: this.#degradation,
      blockedNow: this.#blocked.blockedNow,
      logLinesDropped: this.#events.dropped,
      ringDepth: this.#ring.available(),
      highestSeq: this.#output.highestSeq(),
      sender: this.#parts.sender,
      epoch: this.#parts.limits.epoch,
    });
    this.#status.write();
  }

  #start(nowNs: number): void {
    this.gate.evaluate();
    this.#degradation.tick(this.gate.evaluator.degraded, nowNs);
    this.#writeStatusText();
    this.publishStatus(nowNs);
    this.#enter(StageState.running);
    const { sender, fallback } = this.#parts;
    if (fallback) this.#logger.warn({ backend: sender.backend }, fallback);
    if (this.gate.durablePos === Number.POSITIVE_INFINITY) {
      this.#logger.warn(
        { policy: this.gate.policy.policy.toString() },
        'durability policy holds nothing back',
      );
    }
  }

  #takeControl(): number {
    if (Atomics.load(this.#words, Word.abandon) !== 0) {
      this.abandon();
      return 0;
    }
    const taken = this.#control.take();
    this.controlRecords += taken;
    this.diagnosis.refresh();
    return taken;
  }

  #evaluate(published: number, nowNs: number): void {
    if (this.gate.evaluate()) this.#degradation.tick(this.gate.evaluator.degraded, nowNs);
    if (this.diagnosis.active) this.diagnosis.look(published, nowNs);
  }

  /** Encodes and appends what the gate lets through, in ring order, flushing whenever the cadence says so. */
  #release(published: number, nowNs: number): number {
    if (this.ended) return 0;
    if (this.egress.fenced) return this.#discard(published);
    const limit = Math.min(published, this.#parts.limits.recordsPerBatch);
    let taken = 0;
    let clockAt = this.#clockEvery;
    for (let now = nowNs; taken < limit; taken++) {
      const record = this.#ring.at(taken);
      if (!this.gate.releasable(record.wireSeq, record.flags)) {
        this.gate.hold(record.wireSeq);
        break;
      }
      if (taken === clockAt) {
        now = this.#parts.clock();
        clockAt = taken + this.#clockEvery;
      }
      if (this.#leaving.size > 0 && this.#isTooLate(record.connectionId, taken)) {
        this.#discardLate(record, taken);
      } else {
        this.#respond(record, taken, now);
      }
      if (this.#cadence.due(now)) {
        this.#flush(now);
        // The call took its time: bytes appended from here on are not that old.
        clockAt = taken + 1;
      }
    }
    if (taken > 0) {
      // Only now: the bytes of every one of these slots have been copied out.
      this.#ring.release(taken);
      this.recordsIn += taken;
      this.batches++;
    }
    return taken;
  }

  /** A connection that leaves gets nothing behind its last frame. */
  #isTooLate(connectionId: number, taken: number): boolean {
    return this.#leaving.isPast(this.egress.table.find(connectionId), (this.#ring.position + taken) | 0);
  }

  #discardLate(record: RecordInRing, taken: number): void {
    this.egress.counters.recordsDiscarded++;
    if (this.#isWatched(taken)) this.diagnosis.discarded(record, this.#ring.position + taken);
  }

  /** Whether the record `taken` places ahead has a level above `off`. */
  #isWatched(taken: number): boolean {
    return this.diagnosis.active && this.diagnosis.levelAt(this.#ring.position + taken) > 0;
  }

  #respond(record: RecordInRing, taken: number, nowNs: number): void {
    const slot = this.#isWatched(taken)
      ? this.diagnosis.respond(record, this.#ring.position + taken, nowNs)
      : this.#responder.respond(record, nowNs);
    if (slot < 0) return;
    if (this.egress.dirty.has(slot)) this.#cadence.note(this.egress.buffers.used[slot], nowNs);
  }

  #flush(nowNs: number): number {
    this.#cadence.flushed();
    if (!this.egress.pending) return 0;
    if (!this.diagnosis.timesFlush) return this.egress.flush(nowNs);
    const startNs = this.#parts.clock();
    const results = this.egress.flush(nowNs);
    this.diagnosis.flushed(this.#parts.clock() - startNs);
    return results;
  }

  #discard(published: number): number {
    if (published > 0) this.#ring.release(published);
    this.recordsIn += published;
    this.egress.counters.recordsDiscarded += published;
    this.gate.forget();
    return published;
  }

  /** Connections that leave after their last byte, a fence, and the end of the stage itself. */
  #endings(nowNs: number): number {
    if (this.ended) return 0;
    if (this.egress.fenced) this.#fence();
    let work = this.#leaving.size === 0 ? 0 : this.#leaving.sweep(this.#ring.position, this.egress, nowNs);
    if (this.#drainDeadlineNs !== Number.POSITIVE_INFINITY) work += this.#drain(nowNs);
    return work;
  }

  #fence(): void {
    if (this.#state !== StageState.fenced) {
      this.#enter(StageState.fenced);
      this.#logger.warn({ epoch: this.#parts.limits.epoch }, 'fenced: a later primary has taken over');
    }
    if (this.egress.table.count > 0) this.egress.dropAll(Drop.fenced);
    else if (!this.#fenceAnnounced) {
      this.#fenceAnnounced = true;
      // What the gate held when the fence came, in this very round.
      this.#discard(this.#ring.available());
      // Before the word that nothing can be submitted any more: the counters are final with it.
      this.publishStatus(this.#nowNs);
      this.#events.fenced();
    }
  }

  #drain(nowNs: number): number {
    if (this.#endDeadlineNs === Number.POSITIVE_INFINITY) {
      const drained = this.#ring.available() === 0 && this.egress.drained;
      if (!drained && nowNs < this.#drainDeadlineNs) return 0;
      this.egress.disconnectAll(Drop.drainTimeout);
      this.#endDeadlineNs = nowNs + teardownMs * 1e6;
    }
    if (this.egress.table.count > 0 && nowNs < this.#endDeadlineNs) return 0;
    this.#discard(this.#ring.available());
    this.egress.abandon(Drop.drainTimeout, teardownMs);
    this.#enter(StageState.closed);
    this.publishStatus(nowNs);
    return 1;
  }

  #fail(error: Error): void {
    this.egress.abandon(Drop.stageFailed, teardownMs);
    this.#events.fatal(error);
    this.#enter(StageState.failed);
    this.publishStatus(this.#nowNs);
  }

  #enter(state: number): void {
    this.#state = state;
    if (this.ended) this.#events.changes(true);
    Atomics.store(this.#words, Word.state, state);
  }

  #nextDeadlineNs(): number {
    const ending = Math.min(this.#drainDeadlineNs, this.#endDeadlineNs);
    return Math.min(ending, this.#duties.nextDeadlineNs());
  }

  #setPolicy(policy: ResolvedPolicy): void {
    const from = this.gate.policy;
    this.gate.setPolicy(policy);
    this.gate.evaluate();
    const change = describeChange(from, policy);
    this.#events.mode(change);
    logPolicyChange(this.#logger, change, this.gate);
    this.#degradation.reseed(this.gate.evaluator.degraded, this.#nowNs);
    this.diagnosis.restart();
    this.#writeStatusText();
  }

  #writeStatusText(): void {
    this.#status.setText({
      policy: this.gate.policy.policy.toString(),
      features: this.#parts.sender.features,
      fallback: this.#parts.fallback ?? null,
    });
  }

  #handlers(): ControlHandlers {
    return {
      ...connectionHandlers({
        egress: this.egress,
        framing: this.#framing,
        heartbeats: this.#heartbeats,
        blocked: this.#blocked,
        leaving: this.#leaving,
        lastRecords: new LastRecords(this.#ring, this.egress.table, () => this.recordsIn),
        diagnosis: this.diagnosis,
        nowNs: () => this.#nowNs,
        onPushed: () => {
          this.pushes++;
        },
      }),
      setPolicy: (policy) => this.#setPolicy(policy),
      corruptMode: (byte, text) => {
        const distinct = `${byte} ${text}`;
        if (this.#corruptModes.has(distinct)) return;
        this.#corruptModes.add(distinct);
        this.#logger.error({ byte, text }, 'unknown durability mode, the one in force stays');
      },
      drain: (drainNs) => {
        if (this.#state === StageState.running) this.#enter(StageState.draining);
        this.#drainDeadlineNs = this.#nowNs + drainNs;
      },
    };
  }
}
