import { type Sender, SenderState } from '../egress/sender.js';
import type { DegradationLogger } from '../gate/degradation-logger.js';
import type { ResponseStage } from './response-stage.js';
import { statusIndex as at, backends, dropsIndex } from './status.js';
import { binderOf, binders, type TimeSpent } from './time-spent.js';

export interface StatusSources {
  stage: ResponseStage;
  nowNs: number;
  degradation: DegradationLogger;
  blockedNow: number;
  logLinesDropped: number;
  ringDepth: number;
  highestSeq: number;
  sender: Sender;
  epoch: number;
}

/** Gathers everything that the status block shows. */
export function fillStatus(values: Float64Array, sources: StatusSources): void {
  const { stage, nowNs, degradation, sender } = sources;
  const { gate, egress } = stage;
  const { counters } = egress;
  values[at.statusNs] = nowNs;
  values[at.lastDoWorkNs] = stage.lastDoWorkNs;
  values[at.backendIndex] = backends.indexOf(sender.backend);
  values[at.modeByte] = gate.policy.byte;
  values[at.epoch] = sources.epoch;
  values[at.durablePos] = gate.durablePos;
  values[at.journalCursor] = gate.journalCursor;
  values[at.replicaCursor] = gate.evaluator.replicaCursor;
  values[at.connectedNodes] = gate.connectedNodes;
  values[at.gateClosed] = gate.closed ? 1 : 0;
  values[at.policyDegraded] = degradation.policyDegraded ? 1 : 0;
  values[at.connections] = egress.table.count;
  values[at.blockedNow] = sources.blockedNow;
  values[at.ringDepth] = sources.ringDepth;
  values[at.highestSeq] = sources.highestSeq;
  values[at.waitingSeq] = gate.waitingFor;
  values[at.blockerIndex] = binderOf(gate);
  fillTimes(values, stage.timeSpent);
  values[at.policyDegradedNanos] = degradation.degradedNanosAt(nowNs);
  values[at.nodeSilences] = stage.silence.fellSilent;
  values[at.gateWaits] = gate.waits;
  values[at.gateJournal] = gate.openedByJournal;
  values[at.gateReplication] = gate.openedByReplication;
  values[at.rounds] = stage.rounds;
  values[at.busyRounds] = stage.busyRounds;
  values[at.parks] = stage.parks;
  values[at.recordsIn] = stage.recordsIn;
  values[at.recordsReleased] = counters.recordsReleased;
  values[at.recordsDiscarded] = counters.recordsDiscarded;
  values[at.bytesAppended] = counters.bytesAppended;
  values[at.bytesSent] = counters.bytesSent;
  values[at.bytesUnsent] = counters.bytesUnsent;
  values[at.batches] = stage.batches;
  values[at.flushes] = counters.flushes;
  values[at.sends] = counters.sends;
  values[at.shortSends] = counters.shortSends;
  values[at.blockedSends] = counters.blockedSends;
  values[at.heartbeats] = counters.heartbeats;
  values[at.pushes] = stage.pushes;
  values[at.controlRecords] = stage.controlRecords;
  values[at.encoderErrors] = counters.encoderErrors;
  values[at.logLinesDropped] = sources.logLinesDropped;
  values[at.samplesDropped] = stage.diagnosis.samples.dropped;
  values[at.completionOverflows] = sender.state[SenderState.overflows];
  values.set(counters.flushSizes, at.flushesUpTo1);
  fillDiagnosis(values, stage);
  for (let reason = 0; reason < counters.drops.length; reason++) {
    values[dropsIndex + reason] = counters.drops[reason];
  }
}

function fillTimes(values: Float64Array, times: TimeSpent): void {
  values[at.gateClosedSinceNs] = times.closedSinceNs;
  values[at.busyNanos] = times.busyNanos;
  values[at.idleNanos] = times.idleNanos;
  values[at.gateClosedJournalNanos] = times.closedNanos(binders.indexOf('journal'));
  values[at.gateClosedReplicationNanos] = times.closedNanos(binders.indexOf('replication'));
  values[at.gateClosedDegradedNanos] = times.closedNanos(binders.indexOf('degraded'));
}

function fillDiagnosis(values: Float64Array, { diagnosis }: ResponseStage): void {
  values[at.diagnosisLevel] = diagnosis.level;
  values[at.directivesRevision] = diagnosis.revision;
  const { shape } = diagnosis;
  values[at.shapeRecords] = shape.records;
  values[at.shapeBytes] = shape.bytes;
  values[at.shapeHeld] = shape.held;
  values[at.shapeBypassed] = shape.bypassed;
  values[at.shapeDiscarded] = shape.discarded;
  values.set(shape.sizes, at.shapeUpTo64);
  values[at.timedRecords] = diagnosis.timed;
  values[at.capturedRecords] = diagnosis.captured;
  values[at.captureErrors] = diagnosis.captureErrors;
}
