import { SenderState, sendBufferBytes } from '../../egress/sender.js';
import { RingObserver } from '../../ring/consumer.js';
import { Word } from '../../shared/memory.js';
import type { ResponseStage } from '../../stage/response-stage.js';
import { SimulationFailure } from '../failure.js';
import type { SimulatedSender } from '../kernel/simulated-sender.js';
import { DegradationModel } from '../model/degradation-model.js';
import type { Client } from './clients.js';
import type { WorldParts } from './parts.js';
import type { Server } from './server.js';

/** Rounds that released bytes may lie there with nothing in their way: a short send leaves some for the next. */
const idleRoundsMax = 4;
/** Heartbeats are precise to a tick, and so is the look at blocked peers. */
const tickNs = 10e6;
/** A sleep of the stage ends at the deadline, to a tick; and it may have to wait for a round. */
const drainTicks = 3;
/** A silence that earlier progress excuses, in blocked timeouts; see docs/ARCHITECTURE.md on slow clients. */
const excusedTimeouts = 4;

/** What is known of a connection from round to round. */
interface Watch {
  client: number;
  idleRounds: number;
  /** Since when nothing was accepted though there was something. */
  accepted: number;
  stuckNs: number;
  pausedNs: number;
  /** Since when there was nothing to send. */
  quietNs: number;
  quietPausedNs: number;
  heartbeatAccepted: number;
  busy: boolean;
  appended: number;
  released: number;
  controlRecords: number;
  /** It was to end, and nothing was left of what goes first. */
  drained: boolean;
}

const noWatch: Watch = {
  client: -1,
  idleRounds: 0,
  accepted: 0,
  stuckNs: 0,
  pausedNs: 0,
  quietNs: 0,
  quietPausedNs: 0,
  heartbeatAccepted: 0,
  busy: false,
  appended: 0,
  released: 0,
  controlRecords: 0,
  drained: false,
};

/** What must hold after every round of the stage. */
export class RoundChecks {
  /** Records consumed so far. */
  consumed = 0;
  readonly degradation: DegradationModel;
  readonly #parts: WorldParts;
  readonly #stage: ResponseStage;
  readonly #sender: SimulatedSender;
  readonly #server: Server;
  readonly #control: RingObserver;
  readonly #watches: Watch[];
  readonly #callsMax: number;
  /** Some nodes tell their cursors by frames. */
  readonly #hasFrames: boolean;
  #startNs = 0;
  #publishedBefore = 0;
  #controlBefore = 0;
  #callsBefore = 0;
  /** A line was being written while this round ran: what it has seen is not known. */
  #blurred = false;
  /** Time in which the stage was kept from running. */
  #pausedNs = 0;
  readonly #pauses: { endNs: number; ns: number }[] = [];
  #nextLookNs = 0;

  constructor(parts: WorldParts, stage: ResponseStage, sender: SimulatedSender, server: Server) {
    this.#parts = parts;
    this.#stage = stage;
    this.#sender = sender;
    this.#server = server;
    this.#control = new RingObserver(parts.memory.control);
    this.#watches = Array.from({ length: parts.scenario.slots }, () => ({ ...noWatch }));
    // A flush for every record, two looks for room, and the rest once per slot.
    this.#callsMax = 4 * parts.scenario.recordsPerBatch + 8 * parts.scenario.slots + 64;
    this.#hasFrames = parts.scenario.nodes.some(({ frames }) => frames);
    const { nowNs } = parts.timeline;
    this.degradation = new DegradationModel(stage.gate.evaluator.degraded, nowNs);
  }

  /** The kernel was asked for something of a slot. */
  submitted(slot: number): void {
    this.#watches[slot].idleRounds = 0;
  }

  /** Called by every sender call: a stage that waits in a loop would never come to an end. */
  checkCalls(): void {
    if (this.#sender.calls - this.#callsBefore > this.#callsMax) {
      throw new SimulationFailure('I03', `one round made more than ${this.#callsMax} calls to the kernel`);
    }
  }

  begin(nowNs: number, blurred = false): void {
    const { model, view } = this.#parts;
    if (!blurred) model.beginRound();
    this.#blurred = blurred;
    this.#startNs = nowNs;
    this.#publishedBefore = view.output.published();
    this.#controlBefore = this.#control.published();
    this.#callsBefore = this.#sender.calls;
  }

  /** The stage was not called although it could have been. */
  paused(ns: number): void {
    this.#pausedNs += ns;
    this.#pauses.push({ endNs: this.#parts.timeline.nowNs, ns });
  }

  pausedSince(ns: number): number {
    return this.#pauses.reduce((sum, pause) => sum + (pause.endNs > ns ? pause.ns : 0), 0);
  }

  /** Whether an answer may be handed to the kernel in this round. */
  mayLeave(number: number): void {
    const { records, model } = this.#parts;
    if (records.discarded.has(number)) {
      throw new SimulationFailure('I10', `answer ${number} left although it was thrown away`);
    }
    if (number < this.consumed || records.bypass[number]) return;
    if (records.seq[number] > model.durableMax) {
      throw new SimulationFailure(
        'I01',
        `answer ${number} of sequence ${records.seq[number]} left while ${model.durableMax} was durable`,
      );
    }
  }

  end(nowNs: number): void {
    const { model } = this.#parts;
    // In the middle of a write the stage may find the line locked, and leaves it be.
    model.endRound(this.#blurred || this.#stage.ended ? Number.NEGATIVE_INFINITY : this.#startNs);
    this.#checkConsumed();
    this.#checkControl();
    if (!this.#stage.ended) {
      this.#checkDegraded();
      this.#checkView();
      this.#checkDirty();
      if (nowNs >= this.#nextLookNs) {
        this.#nextLookNs = nowNs + tickNs / 2;
        this.#look(nowNs);
      }
    }
  }

  /** Is it on its way out, so that records may be thrown away? */
  get #discarding(): boolean {
    return this.#server.fenceSet || this.#server.closing || this.#server.fatal !== null || this.#stage.ended;
  }

  #checkConsumed(): void {
    const { view, records, model, scenario } = this.#parts;
    const before = this.consumed;
    const consumed = before + ((view.output.consumed() - (before | 0)) | 0);
    this.consumed = consumed;
    const { seq, bypass } = records;
    for (let number = before; number < consumed; number++) {
      records.client[number].released(records.wireBytes(number), this.#startNs);
      if (seq[number] <= model.durableMax || bypass[number]) continue;
      if (!this.#discarding) {
        throw new SimulationFailure(
          'I01',
          `answer ${number} of sequence ${seq[number]} was released while ${model.durableMax} was durable`,
        );
      }
      records.discarded.add(number);
    }
    if (this.#discarding || this.#blurred) return;
    const published = before + ((this.#publishedBefore - (before | 0)) | 0);
    const limit = Math.min(published, before + scenario.recordsPerBatch);
    if (consumed >= limit) return;
    if (seq[consumed] <= model.durableMin || bypass[consumed]) {
      throw new SimulationFailure(
        'I05',
        `answer ${consumed} of sequence ${seq[consumed]} was held back while ${model.durableMin} was durable`,
      );
    }
  }

  /** Commands are taken at the same pace whatever the gate does. */
  #checkControl(): void {
    if (this.#stage.ended) return;
    if (((this.#control.consumed() - this.#controlBefore) | 0) < 0) {
      throw new SimulationFailure('I05', 'a round has left commands that were there when it began');
    }
  }

  #checkDegraded(): void {
    const { model } = this.#parts;
    const { degraded } = this.#stage.gate.evaluator;
    if (degraded ? !model.mayBeDegraded : !model.mayBeWhole) {
      throw new SimulationFailure('I09', `the gauge says ${degraded ? 'degraded' : 'whole'}, which is wrong`);
    }
    this.degradation.round(degraded, this.#startNs, tickNs + 1e6);
  }

  /** Nobody counts who is silent for too long, and everybody who is heard. */
  #checkView(): void {
    if (!this.#hasFrames) return;
    const { viewMin, viewMax, durableMin, durableMax } = this.#parts.model;
    const { connectedNodes, durablePos } = this.#stage.gate;
    if (durablePos < durableMin || durablePos > durableMax) {
      const due = durableMin === durableMax ? durableMin : `${durableMin} to ${durableMax}`;
      throw new SimulationFailure('I13', `${durablePos} counts as durable, where ${due} is right`);
    }
    if (this.#blurred) return;
    if (connectedNodes >= viewMin && connectedNodes <= viewMax) return;
    const due = viewMin === viewMax ? viewMin : `${viewMin} to ${viewMax}`;
    throw new SimulationFailure('I13', `${connectedNodes} nodes are in the view where ${due} are heard`);
  }

  /** Bytes with nothing in their way leave at once. */
  #checkDirty(): void {
    const { dirty } = this.#stage.egress;
    if (dirty.size === 0 || this.#server.fenceSet) return;
    for (let i = 0; i < dirty.size; i++) {
      const slot = dirty.items[i];
      const watch = this.#watches[slot];
      // Counted only while it goes on from round to round.
      const stuck = !this.#sender.isBusy(slot) && this.#sender.state[SenderState.submitErrno] === 0;
      if (!stuck) watch.idleRounds = 0;
      else if (++watch.idleRounds > idleRoundsMax) {
        throw new SimulationFailure(
          'I03',
          `released bytes of slot ${slot} lie there with nothing in their way`,
        );
      }
    }
  }

  /** The things that are only looked at now and then. */
  #look(nowNs: number): void {
    for (const client of this.#server.clients) {
      this.#checkCap(client);
      this.#checkStuck(client, nowNs);
      this.#checkDrained(client);
      this.#checkHeartbeat(client, nowNs);
    }
    this.#checkEnding(nowNs);
  }

  #checkCap({ slot, id }: Client): void {
    const used = this.#stage.egress.buffers.used[slot];
    if (used > sendBufferBytes) throw new SimulationFailure('I04', `client ${id} holds ${used} bytes`);
  }

  /** A peer that takes nothing is dropped in the end. */
  #checkStuck({ slot, socket, id, closing }: Client, nowNs: number): void {
    const watch = this.#watches[slot];
    const { egress } = this.#stage;
    socket.settle();
    if (closing !== null || egress.buffers.used[slot] === 0 || watch.accepted !== socket.accepted) {
      watch.accepted = socket.accepted;
      watch.stuckNs = nowNs;
      watch.pausedNs = this.#pausedNs;
      return;
    }
    const sinceNs = Math.max(socket.takenNs, watch.stuckNs);
    const pausedNs = this.#pausedNs - watch.pausedNs;
    // It counts from when the stage looked, which may be one excused silence after the peer took something.
    const excusedNs = 2 * excusedTimeouts * this.#parts.scenario.blockedTimeoutNs;
    const allowedNs = excusedNs + 5 * tickNs + pausedNs;
    if (nowNs - sinceNs > allowedNs) {
      throw new SimulationFailure('I06', `client ${id} takes nothing and was not dropped`);
    }
  }

  /** One that is to end does so behind its own answers, whoever else waits for the gate. */
  #checkDrained({ slot, id, drainedAfter, lastAnswer, closing }: Client): void {
    const watch = this.#watches[slot];
    const { table, buffers } = this.#stage.egress;
    const asked = drainedAfter !== null && drainedAfter >= 0 && closing === null;
    const drained =
      asked && lastAnswer < this.consumed && table.find(id) === slot && buffers.used[slot] === 0;
    // A whole round lies between two looks.
    if (drained && watch.drained && watch.client === id && !this.#discarding) {
      throw new SimulationFailure('I05', `client ${id} has got all that is for it and was not ended`);
    }
    watch.drained = drained;
  }

  /** None too late to a client that waits for one, none to a client that has not taken what it was sent. */
  #checkHeartbeat({ slot, ledger, closing, id }: Client, nowNs: number): void {
    const watch = this.#watches[slot];
    const { egress, controlRecords } = this.#stage;
    const { heartbeatIntervalNs } = this.#parts.scenario;
    const busy = this.#sender.isBusy(slot) && egress.buffers.used[slot] > 0;
    const appended = egress.appendedTotal[slot];
    const unasked = appended - watch.appended - (ledger.releasedBytes - watch.released);
    const blocked = busy && watch.busy && watch.heartbeatAccepted === ledger.accepted;
    if (blocked && watch.client === id && unasked > 0 && watch.controlRecords === controlRecords) {
      throw new SimulationFailure('I08', `client ${id} was sent a heartbeat while it was blocked`);
    }
    if (watch.client !== id || busy || closing !== null || egress.buffers.used[slot] > 0) {
      watch.quietNs = nowNs;
      watch.quietPausedNs = this.#pausedNs;
    } else if (watch.heartbeatAccepted !== ledger.accepted) {
      watch.quietNs = ledger.acceptedNs;
      watch.quietPausedNs = this.#pausedNs;
    } else if (heartbeatIntervalNs > 0) {
      const lateNs = nowNs - watch.quietNs - heartbeatIntervalNs - (this.#pausedNs - watch.quietPausedNs);
      if (lateNs > tickNs + 1e6) {
        throw new SimulationFailure('I08', `client ${id} has waited ${lateNs} ns too long for its heartbeat`);
      }
    }
    watch.client = id;
    watch.busy = busy;
    watch.appended = appended;
    watch.released = ledger.releasedBytes;
    watch.heartbeatAccepted = ledger.accepted;
    watch.controlRecords = controlRecords;
  }

  /** Once the time to drain is over every connection is on its way out, whatever the gate does. */
  #checkEnding(nowNs: number): void {
    const { drainSent, clients } = this.#server;
    if (drainSent === null || nowNs < drainSent.untilNs + drainTicks * tickNs) return;
    if (nowNs - drainSent.untilNs < drainTicks * tickNs + this.pausedSince(drainSent.atNs)) return;
    const left = clients.find(({ closing, ended }) => closing === null && !ended);
    if (left !== undefined) {
      throw new SimulationFailure(
        'I05',
        `client ${left.id} is still served, though the stage was told to end`,
      );
    }
  }

  /** The stage has logged what it thinks of the cluster. */
  logged(kind: 'degraded' | 'whole' | 'reminder'): void {
    // The mode is known to have changed only at the end of the round; that it may have is known before.
    this.degradation.line(kind, this.#startNs, this.#parts.model.modeUnsure);
  }

  /** The status block says how long the policy has been degraded, to the nanosecond. */
  checkDegradedTime(): void {
    const { policyDegradedNanos, statusNs } = this.#parts.view.status();
    // A stage that ends at once does not publish a last status.
    if (statusNs < this.degradation.lastNs) return;
    const expected = this.degradation.nanosAt(statusNs);
    if (Math.abs(policyDegradedNanos - expected) > 1) {
      throw new SimulationFailure('I09', `${policyDegradedNanos} ns degraded, where ${expected} are right`);
    }
  }

  /** The stage has counted the nodes that have fallen silent. */
  checkSilences(): void {
    const { silences, silencesUnsure, fadingNow } = this.#parts.model;
    const { fellSilent } = this.#stage.silence;
    if (fellSilent >= silences && fellSilent <= silences + silencesUnsure + fadingNow) return;
    throw new SimulationFailure(
      'I13',
      `nodes have fallen silent ${fellSilent} times, where ${silences} are right`,
    );
  }

  /** There is something that a round would do: the stage must not sleep. */
  get workWaits(): boolean {
    const { records, model, view } = this.#parts;
    if (Atomics.load(view.words, Word.abandon) !== 0) return true;
    if (this.#control.published() !== this.#control.consumed()) return true;
    if (this.consumed >= records.count || this.#server.fenceSet) return false;
    model.beginRound();
    return records.bypass[this.consumed] || records.seq[this.consumed] <= model.durableMin;
  }

  /** The kernel has accepted a heartbeat for the client. */
  heartbeat({ ledger, id }: Client): void {
    const { heartbeatIntervalNs } = this.#parts.scenario;
    const sinceNs = this.#startNs - ledger.releasedNs;
    if (ledger.allReleasedAccepted && sinceNs < heartbeatIntervalNs) {
      throw new SimulationFailure('I08', `client ${id} got a heartbeat ${sinceNs} ns after an answer`);
    }
  }
}
