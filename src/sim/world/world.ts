import { DirectivesWriter } from '../../diagnosis/shared-directives.js';
import { SenderState, sendBufferBytes } from '../../egress/sender.js';
import { resolvePolicy } from '../../policy/index.js';
import { createMemory, directivesOffset, Word } from '../../shared/memory.js';
import { ResponseStage } from '../../stage/response-stage.js';
import { seatPrimary } from '../../stage/seat-primary.js';
import { StageView } from '../../stage/stage-view.js';
import { SimulationFailure } from '../failure.js';
import { FaultBox } from '../faults.js';
import { SimulatedSender } from '../kernel/simulated-sender.js';
import { ClusterModel } from '../model/cluster-model.js';
import { Records } from '../model/ledger.js';
import { Random } from '../random.js';
import type { Scenario } from '../scenario.js';
import { stepBetweenAccesses } from '../store-steps.js';
import { Timeline } from '../timeline.js';
import { Mark, Trace } from '../trace.js';
import { checkEnd } from './end-checks.js';
import { Engine, recipeEncoder } from './engine.js';
import { KernelWatch } from './kernel-watch.js';
import { fallbackLine, watchedLogger } from './log-watch.js';
import type { WriteOptions } from './member.js';
import { Members } from './members.js';
import type { WorldParts } from './parts.js';
import { countReached, type Fallback } from './reached.js';
import { RoundChecks } from './round-checks.js';
import { Samples } from './samples.js';
import { Server } from './server.js';

/** Not 0, which means "never" in some places. */
const startNs = 1e9;
const roundNs = 400;
const clockNs = 25;
/** Longest time that everything may take to settle once faults have stopped, and that the end may take. */
const calmNs = 4e9;
const drainNs = 1e8;
const teardownNs = 1.2e9;
/** A parked stage that is woken runs within this time; the rest is a lost wake-up. */
const wakeNs = 1e6;
/**
 * Accesses to shared memory of an update of a cursor line, and of the longest connect. A frame is compared with what was
 * issued before it gets to its line.
 */
const calls = { before: 0, update: 14, connect: 44 };
const frames = { before: 20, update: 26, connect: 54 };
/** Accesses of a round up to where it has looked for silent nodes. */
const watchAccesses = 100;

/** What a run notes of itself. */
export interface WorldOptions {
  /** Keep what happens, line by line (default false). */
  readonly trace?: boolean;
  /** @internal A server that writes busy notices beside the stage: a defect put back. */
  readonly writesBeside?: boolean;
}

/** A stage and all around it, in virtual time. `run` throws a `SimulationFailure` at the first thing that is wrong. */
export class World {
  readonly timeline = new Timeline(startNs);
  readonly faults: FaultBox;
  readonly trace: Trace;
  readonly records = new Records();
  readonly server: Server;
  readonly stage: ResponseStage;
  readonly sender: SimulatedSender;
  /** Ways through the code that only trouble takes, and how often they were taken. */
  readonly reached: Partial<Record<Fallback, number>> = {};
  readonly #parts: WorldParts;
  readonly #engine: Engine;
  readonly #members: Members;
  readonly #checks: RoundChecks;
  readonly #random: Random;
  #inRound = false;
  #parked = false;
  /** What waits for the stage to be awake. */
  readonly #awaited: (() => void)[] = [];
  /** What the stage's clock last said. */
  #clockSaid = startNs;
  /** When somebody last did something that the stage has to see. */
  #stimulusNs = 0;

  constructor(scenario: Scenario, options: WorldOptions = {}) {
    const { timeline } = this;
    const now = () => timeline.nowNs;
    this.trace = new Trace(now, options.trace);
    this.#random = new Random(scenario.seed ^ 0x5eed);
    const random = this.#random;
    this.faults = new FaultBox(scenario.faults, random.fork(), scenario.slots, now);
    const memory = createMemory({
      connections: scenario.slots,
      ringCapacity: scenario.ringCapacity,
      maxPayload: scenario.maxPayload,
    });
    seatPrimary(memory, scenario.primaryZone ?? undefined);
    const wake = () => {
      this.#stimulusNs = timeline.nowNs;
      this.sender.wake();
    };
    const view = new StageView(memory, wake, now);
    if (scenario.timings) {
      const directives = new DirectivesWriter(memory.buffer, directivesOffset);
      directives.write({ revision: 0, directives: [] }, {}, 'timing');
    }
    const never = Number.POSITIVE_INFINITY;
    const absent = { connected: false, inMemory: 0, persisted: 0, fadesNs: never, goneNs: never };
    const nodes = scenario.nodes.map(({ zone }) => ({ zone, ...absent }));
    const primary = { zone: scenario.primaryZone, ...absent, connected: true };
    const fading = scenario.nodes.some(({ frames }) => frames);
    const model = new ClusterModel(scenario.policy, [primary, ...nodes], now, fading);
    this.#parts = {
      scenario,
      random,
      timeline,
      faults: this.faults,
      trace: this.trace,
      memory,
      view,
      model,
      records: this.records,
    };
    this.server = new Server(
      this.#parts,
      {
        attached: (client) => this.#engine.greet(client),
        heartbeat: (client) => this.#checks.heartbeat(client),
        pausedSince: (ns) => this.#checks.pausedSince(ns),
        mayLeave: (number) => this.#checks.mayLeave(number),
      },
      options.writesBeside ?? false,
    );
    const arena = new Uint8Array(scenario.slots * sendBufferBytes);
    this.sender = this.#makeSender(arena);
    const samples = new Samples(this.records, () => this.#clockSaid);
    const clock = () => {
      timeline.spend(clockNs);
      this.#clockSaid = timeline.nowNs;
      return timeline.nowNs;
    };
    this.stage = new ResponseStage({
      memory,
      sender: this.sender,
      arena,
      clock,
      unixMs: () => timeline.nowNs / 1e6,
      policy: resolvePolicy(scenario.policy),
      limits: {
        epoch: 1,
        heartbeatIntervalNs: scenario.heartbeatIntervalNs,
        blockedTimeoutNs: scenario.blockedTimeoutNs,
        blockedTotalNs: scenario.blockedTotalNs,
        staleAfterNs: scenario.staleAfterNs,
        recordsPerBatch: scenario.recordsPerBatch,
        flushBytes: scenario.flushBytes,
        flushRecords: scenario.flushRecords,
        flushDelayNs: scenario.flushDelayNs,
      },
      ringBell: () => this.server.ring(),
      logger: watchedLogger(this.trace, {
        reach: (name) => this.#reach(name),
        degradation: (kind) => this.#degradationLogged(kind),
      }),
      encoder: scenario.encoder ? recipeEncoder(scenario.payload.max, () => timeline.spend(60)) : null,
      histograms: samples.histograms,
      fallback: scenario.whenFull === 'refuse' ? fallbackLine : null,
    });
    this.#checks = new RoundChecks(this.#parts, this.stage, this.sender, this.server);
    this.#members = new Members(this.#parts, {
      write: (...args) => this.#writeCursor(...args),
      whenAwake: (happening) => this.#whenAwake(happening),
      reach: (name) => this.#reach(name),
    });
    this.#engine = new Engine(
      this.#parts,
      () => this.server.clients,
      ({ slot, id }) => this.#roomOf(slot, id),
      (seq) => this.#members.append(seq),
    );
  }

  /** Virtual time since the start. */
  get elapsedNs(): number {
    return this.timeline.nowNs - startNs;
  }

  /** The whole story: trouble, calm, and the end. */
  run(): void {
    const { scenario } = this.#parts;
    this.#members.start();
    this.server.start();
    this.#engine.start();
    const troubleNs = Math.max(scenario.troubleNs, 1.5 * scenario.orders * scenario.orderGapNs);
    this.#runWhile(() => this.timeline.nowNs < startNs + troubleNs && !this.#over);
    this.#calmDown();
    this.#end();
    checkEnd(this);
    this.#checks.checkDegradedTime();
    this.#checks.checkSilences();
    this.faults.counted('small-ring', this.sender.fullRings);
    this.faults.counted('completion-overflow', this.sender.state[SenderState.overflows]);
    this.#reach('node-silent', this.stage.silence.fellSilent);
    countReached(this, (name, times) => this.#reach(name, times));
  }

  #reach(name: Fallback, times = 1): void {
    if (times > 0) this.reached[name] = (this.reached[name] ?? 0) + times;
  }

  get #over(): boolean {
    return (
      this.stage.ended ||
      (this.#engine.done && this.timeline.nowNs > startNs + this.#parts.scenario.troubleNs)
    );
  }

  #calmDown(): void {
    this.faults.stop();
    this.#engine.finish();
    this.#members.heal();
    this.server.heal();
    const deadlineNs = this.timeline.nowNs + calmNs;
    let hopeless = !this.stage.ended && !this.server.closing && this.#isHopeless();
    while (!this.#quiet()) {
      // Again and again: the control ring may be full.
      if (hopeless) hopeless = !this.server.setMode('local');
      if (this.timeline.nowNs > deadlineNs) {
        throw new SimulationFailure('I05', `not everything has drained: ${this.#remaining()}`);
      }
      this.#turn();
    }
  }

  /** A policy that more nodes are needed for than there are. */
  #isHopeless(): boolean {
    const { model } = this.#parts;
    model.beginRound();
    return model.hopeless || model.modeUnsure;
  }

  #quiet(): boolean {
    const { server, stage } = this;
    if (stage.ended) return true;
    if (server.fenceSet) return server.fenced && stage.egress.table.count === 0 && this.#ringEmpty;
    if (server.closing) return false;
    return (
      this.#engine.done &&
      this.#ringEmpty &&
      server.clients.every(
        ({ ledger, slot }) => ledger.complete && ledger.allSaid && stage.egress.buffers.used[slot] === 0,
      )
    );
  }

  /** What is left of a connection's send buffer; null: the stage has not taken the connection yet. */
  #roomOf(slot: number, id: number): number | null {
    const { table, buffers } = this.stage.egress;
    return table.find(id) === slot ? sendBufferBytes - buffers.used[slot] : null;
  }

  get #ringEmpty(): boolean {
    return this.#checks.consumed === this.records.count;
  }

  #remaining(): string {
    const unfinished = this.server.clients.filter(({ ledger }) => !ledger.complete);
    const parts = [
      `${this.records.count - this.#checks.consumed} records in the ring`,
      `clients ${unfinished.map(({ id, ledger }) => `${id} at ${ledger.next} of ${ledger.expected.length}`).join(', ')}`,
    ];
    if (this.server.fenceSet) parts.push('fenced');
    return parts.join('; ');
  }

  #end(): void {
    if (!this.stage.ended && !this.server.closing) this.server.drain(drainNs);
    const deadlineNs = this.timeline.nowNs + drainNs + teardownNs;
    while (!this.stage.ended) {
      if (this.timeline.nowNs > deadlineNs) throw new SimulationFailure('I05', 'the stage does not end');
      this.#turn();
    }
    this.timeline.run(this.timeline.nowNs + 2e6);
    this.server.takeEvents();
    this.#reach('attach-taken-back', this.server.takeBack());
    this.server.check();
  }

  #runWhile(condition: () => boolean): void {
    while (condition()) this.#turn();
  }

  /** One round of the stage's loop, and its sleep when there was nothing to do. */
  #turn(): void {
    const { faults, timeline } = this;
    const random = this.#random;
    if (faults.strikes('stage-pause', 0.05)) {
      const ns = random.magnitude(1_000, 8e7);
      timeline.spend(ns);
      this.#checks.paused(ns);
    }
    if (faults.strikes('clock-jump', 0.02)) {
      const ns = random.magnitude(1e6, 1e9);
      timeline.nowNs += ns;
      this.#checks.paused(ns);
    }
    for (const happening of this.#awaited.splice(0)) happening();
    const work = this.#round();
    timeline.spend(roundNs + 30 * work);
    // A busy thread: whatever others do meanwhile, they do to a stage that is awake.
    if (faults.has('torn-cursor') && random.chance(0.2)) timeline.spend(random.magnitude(1_000, 100_000));
    if (work === 0 && !this.stage.ended) this.#park();
    this.server.check();
  }

  #round(blurred = false): number {
    const { timeline, stage } = this;
    const nowNs = timeline.nowNs;
    this.#checks.begin(nowNs, blurred);
    this.#inRound = true;
    let work = 0;
    // A node that falls silent just now may speak up while that is noticed.
    const watches = !blurred && this.faults.has('torn-cursor') && this.#members.someoneFades;
    try {
      if (!blurred && this.faults.strikes('torn-cursor', watches ? 1000 : 0.05)) {
        stepBetweenAccesses(
          this.#random.below(watches ? watchAccesses : 60),
          () => {
            work = stage.doWork(nowNs);
          },
          () => {
            if (watches && this.#members.speakUp()) return;
            if (timeline.nextNs < Number.POSITIVE_INFINITY) {
              timeline.run(Math.min(timeline.nextNs, timeline.nowNs + 1e6));
            }
          },
          () => timeline.depth === 0,
        );
      } else work = stage.doWork(nowNs);
    } catch (error) {
      this.#failed(error as Error);
    } finally {
      this.#inRound = false;
    }
    if (this.sender.state[SenderState.unsubmitted] > 0) this.#reach('submission-resumed');
    this.trace.note(Mark.round, work, this.#checks.consumed);
    this.#checks.end(nowNs);
    return work;
  }

  #failed(error: Error & { code?: string }): void {
    if (error instanceof SimulationFailure) throw error;
    if (error.code === 'ERR_ACKGATE_SUBMIT_FAILED' && this.faults.fired['submit-fatal'] !== undefined) return;
    throw new SimulationFailure('I05', `the stage has failed: ${error.stack}`);
  }

  #park(): void {
    const { timeline } = this;
    const fromNs = timeline.nowNs;
    const workWaits = this.#checks.workWaits;
    this.#parked = true;
    this.#stimulusNs = 0;
    this.stage.park();
    this.#parked = false;
    if (workWaits && timeline.nowNs - fromNs > wakeNs) {
      throw new SimulationFailure('I03', 'the stage went to sleep on work');
    }
    if (this.#members.sleptOver) throw new SimulationFailure('I13', 'the stage slept through a silence');
    if (this.#stimulusNs > fromNs && timeline.nowNs - this.#stimulusNs > wakeNs) {
      throw new SimulationFailure('I03', 'the stage slept on after it was woken');
    }
  }

  /** Now, or as soon as the stage has been woken: what is done to one that sleeps can't be seen half done. */
  #whenAwake(happening: () => void): void {
    if (!this.#parked || !this.faults.has('torn-cursor')) happening();
    else {
      this.#awaited.push(happening);
      this.sender.wake();
    }
  }

  #writeCursor(write: () => void, remember: () => void, options: WriteOptions = {}): void {
    const { model } = this.#parts;
    const { timeline } = this;
    const { connects = false, noNews = false, atOnce = false } = options;
    const accesses = options.byFrame ? frames : calls;
    if (!noNews) this.#stimulus();
    // A stage that ends waits for its kernel, and with it time goes on: not while a thread stands still.
    const ends = this.server.closing || this.faults.has('submit-fatal');
    const atRest = atOnce || this.#inRound || this.#parked || ends || this.#members === undefined;
    if (atRest || !this.faults.strikes('torn-cursor', connects ? 1000 : 1)) {
      write();
      remember();
      if (this.#inRound) model.changed();
      return;
    }
    // The stage runs while this thread is in the middle of it: it may see what was, or what will be.
    model.beginRound();
    remember();
    model.changed();
    model.blur();
    timeline.frozen++;
    try {
      const step = () => {
        // One of the rounds before may have been told to end.
        if (this.server.closing) return;
        this.#round(true);
        if (this.#members.isLocked) this.#reach('torn-read');
      };
      // A connect is rare: it is looked at behind every access.
      if (connects) stepBetweenAccesses(accesses.before, write, step, undefined, accesses.connect);
      else stepBetweenAccesses(accesses.before + this.#random.below(accesses.update), write, step);
    } finally {
      timeline.frozen--;
    }
  }

  #stimulus(): void {
    // The stage is expected to see it without being told again.
    this.#stimulusNs = this.timeline.nowNs;
  }

  #makeSender(arena: Uint8Array): SimulatedSender {
    const { scenario, view } = this.#parts;
    return new SimulatedSender({
      timeline: this.timeline,
      arena,
      slots: scenario.slots,
      fence: view.words.subarray(Word.fence, Word.fence + 1),
      socketOf: (fd) => this.server.socketOf(fd),
      faults: this.faults,
      whenFull: scenario.whenFull,
      ringEntries: scenario.ringEntries,
      resultRows: scenario.resultRows,
      observer: new KernelWatch(this, {
        checks: () => this.#checks,
        reach: (name) => this.#reach(name),
        inRound: () => this.#inRound && this.timeline.frozen === 0,
      }),
    });
  }

  #degradationLogged(kind: 'degraded' | 'whole' | 'reminder'): void {
    if (this.#checks === undefined) return;
    this.#reach(`${kind}-logged`);
    this.#checks.logged(kind);
  }
}
