import { type DiagnosisLevel, diagnosisLevels } from '../diagnosis/levels.js';
import { dropReasons } from '../egress/counters.js';
import type { Backend } from '../egress/sender.js';
import { customModeByte, type DurabilityMode, modeFromByte } from '../policy/index.js';
import { everyOf } from '../shared/every-of.js';
import { jsonWithin } from '../shared/json-within.js';
import { statusBytes, statusOffset } from '../shared/memory.js';
import type { StageStateName } from './state.js';
import type { StatusNumbers } from './status-numbers.js';
import { binders } from './time-spent.js';

/**
 * The status block: gauges and counters that any thread may read, written as a whole under a sequence lock.
 *
 *       0   lock       i32, odd while the stage writes
 *       4   textBytes  i32
 *      64   values     f64 each, in the order of `statusFields`
 *    2048   text       UTF-8 JSON { policy, features, fallback }
 */
const valuesAt = 64;
const textAt = 2048;
const textBytesMax = statusBytes - textAt;
const readTriesMax = 100;

const gauges = [
  'statusNs',
  'lastDoWorkNs',
  'backendIndex',
  'modeByte',
  'epoch',
  'durablePos',
  'journalCursor',
  'replicaCursor',
  'connectedNodes',
  'gateClosed',
  'policyDegraded',
  'connections',
  'blockedNow',
  'ringDepth',
  'highestSeq',
  'waitingSeq',
  'gateClosedSinceNs',
  'blockerIndex',
  'diagnosisLevel',
  'directivesRevision',
] as const;
const counters = [
  'policyDegradedNanos',
  'nodeSilences',
  'gateWaits',
  'gateJournal',
  'gateReplication',
  'gateClosedJournalNanos',
  'gateClosedReplicationNanos',
  'gateClosedDegradedNanos',
  'busyNanos',
  'idleNanos',
  'rounds',
  'busyRounds',
  'parks',
  'recordsIn',
  'recordsReleased',
  'recordsDiscarded',
  'bytesAppended',
  'bytesSent',
  'bytesUnsent',
  'batches',
  'flushes',
  'sends',
  'shortSends',
  'blockedSends',
  'heartbeats',
  'pushes',
  'controlRecords',
  'encoderErrors',
  'logLinesDropped',
  'samplesDropped',
  'completionOverflows',
  'flushesUpTo1',
  'flushesUpTo4',
  'flushesUpTo16',
  'flushesUpTo64',
  'flushesUpTo256',
  'flushesUpTo1024',
  'flushesLarger',
  'shapeRecords',
  'shapeBytes',
  'shapeHeld',
  'shapeBypassed',
  'shapeDiscarded',
  'shapeUpTo64',
  'shapeUpTo256',
  'shapeUpTo1024',
  'shapeUpTo4096',
  'shapeLarger',
  'timedRecords',
  'capturedRecords',
  'captureErrors',
  'dropsOverflow',
  'dropsBlocked',
  'dropsReset',
  'dropsSendError',
  'dropsFenced',
  'dropsDrainTimeout',
  'dropsDisconnected',
  'dropsStageFailed',
] as const;

/** Name of a number in the status block. Three of them are shown as words. */
export type StatusField = keyof StatusNumbers | 'backendIndex' | 'blockerIndex' | 'diagnosisLevel';
/** Everything numeric in the block. `drops…` stand in the order of `dropReasons`. */
export const statusFields = everyOf<StatusField>()([...gauges, ...counters]);
export const statusIndex = Object.fromEntries(statusFields.map((name, index) => [name, index])) as Record<
  StatusField,
  number
>;
export const dropsIndex = statusIndex.dropsOverflow;
if (statusFields.length - dropsIndex !== dropReasons.length)
  throw new Error('drop reasons and status disagree');
if (valuesAt + statusFields.length * 8 > textAt) throw new Error('status values overlap the text');

export const backends: readonly Backend[] = ['uring', 'posix', 'simulated'];

/** What of the status is text. */
export interface StatusText {
  /** Text of the policy in force. */
  policy: string;
  /** What of io_uring is made use of; empty with another backend. */
  features: readonly string[];
  /** Why `auto` did not take io_uring; null when it did. */
  fallback: string | null;
}

/** Who keeps the durable position from moving on: whose cursor binds, or that too few nodes are connected (`degraded`). */
export type StageBlocker = 'journal' | 'replication' | 'degraded';

/** A consistent copy of the status block. */
export interface StageStatus extends StatusNumbers, StatusText {
  /** Where the stage is in its life. */
  state: StageStateName;
  /** What sends. */
  backend: Backend;
  /** The mode in force; `custom`: a policy of one's own. */
  mode: DurabilityMode | 'custom';
  /**
   * Who keeps the durable position from moving on: whose cursor binds, or that too few nodes are connected; null: nobody.
   */
  blocker: StageBlocker | null;
  /** The highest level of diagnosis that anything in force asks for. */
  diagnosisLevel: DiagnosisLevel;
  /** How old the copy is, in nanoseconds. */
  ageNs: number;
}

/** What the block holds, before it is dressed up. */
export interface StatusReading {
  values: Float64Array;
  text: StatusText;
}

export class StatusWriter {
  readonly values = new Float64Array(statusFields.length);
  readonly #lock: Int32Array;
  readonly #shared: Float64Array;
  readonly #text: Uint8Array;
  #newText: Uint8Array | null = null;

  constructor(buffer: SharedArrayBuffer) {
    this.#lock = new Int32Array(buffer, statusOffset, 2);
    this.#shared = new Float64Array(buffer, statusOffset + valuesAt, statusFields.length);
    this.#text = new Uint8Array(buffer, statusOffset + textAt, textBytesMax);
  }

  /** Publishes `values` as they are, and the last text. */
  write(): void {
    Atomics.add(this.#lock, 0, 1);
    this.#shared.set(this.values);
    if (this.#newText !== null) {
      this.#text.set(this.#newText);
      this.#lock[1] = this.#newText.length;
      this.#newText = null;
    }
    Atomics.add(this.#lock, 0, 1);
  }

  /** Published together with the next values: a mode must not be seen beside another one's policy. */
  setText(text: StatusText): void {
    this.#newText = jsonWithin(text, textBytesMax);
  }
}

export class StatusReader {
  readonly #lock: Int32Array;
  readonly #shared: Float64Array;
  readonly #text: Uint8Array;
  #last: StatusReading = {
    values: new Float64Array(statusFields.length),
    text: { policy: '', features: [], fallback: null },
  };

  constructor(buffer: SharedArrayBuffer) {
    this.#lock = new Int32Array(buffer, statusOffset, 2);
    this.#shared = new Float64Array(buffer, statusOffset + valuesAt, statusFields.length);
    this.#text = new Uint8Array(buffer, statusOffset + textAt, textBytesMax);
  }

  /** A consistent copy; the last good one when the writer never let one happen. */
  read(): StatusReading {
    for (let tries = 0; tries < readTriesMax; tries++) {
      const before = Atomics.load(this.#lock, 0);
      if ((before & 1) !== 0) continue;
      const values = this.#shared.slice();
      const text = this.#text.slice(0, this.#lock[1]);
      // Adds nothing: a read-modify-write is what the plain reads above can't be moved behind.
      if (Atomics.add(this.#lock, 0, 0) !== before) continue;
      if (text.length > 0) this.#last = { values, text: JSON.parse(new TextDecoder().decode(text)) };
      return this.#last;
    }
    return this.#last;
  }
}

/** The public shape of a reading. */
export function toStageStatus(
  { values, text }: StatusReading,
  state: StageStateName,
  nowNs: number,
): StageStatus {
  const numbers: Partial<Record<StatusField, number>> = {};
  for (const [index, name] of statusFields.entries()) numbers[name] = values[index];
  const { backendIndex, blockerIndex, diagnosisLevel, ...rest } = numbers as Record<StatusField, number>;
  const ageNs = Math.max(0, nowNs - rest.statusNs);
  // The block is as old as the stage's last tick; time spent degraded goes on meanwhile.
  if (rest.policyDegraded === 1 && state !== 'closed' && state !== 'failed')
    rest.policyDegradedNanos += ageNs;
  return {
    ...rest,
    ...text,
    state,
    backend: backends[backendIndex],
    blocker: binders[blockerIndex],
    diagnosisLevel: diagnosisLevels[diagnosisLevel],
    mode: rest.modeByte === customModeByte ? 'custom' : (modeFromByte(rest.modeByte) ?? 'custom'),
    ageNs,
  };
}
