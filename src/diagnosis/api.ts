import type { ControlOutcome } from '../shared/control-outcome.js';
import type { DirectiveStore } from './directive.js';
import type { DiagnosisLevel } from './levels.js';

/** One record that was taken down because of its level. Times are monotonic nanoseconds; 0: not known, or not yet. */
export interface CapturedRecord {
  /** Counts everything that was ever taken down, from 1 on. */
  readonly number: number;
  /** Unix milliseconds when it was released. */
  readonly unixMs: number;
  /** The level that it was taken down for: `timing` or `capture`. */
  readonly level: DiagnosisLevel;
  /** The connection that it was for. */
  readonly connectionId: number;
  /** Its wire sequence; 0: it depended on none. */
  readonly wireSeq: number;
  /** The request that it answers; 0: not known. */
  readonly requestId: number;
  /** The application's kind of record, 0 … 65,535. */
  readonly kind: number;
  /** Bits of `RecordFlag`. */
  readonly flags: number;
  /** When the request was read. */
  readonly receivedNs: number;
  /** When the engine had finished the response. */
  readonly finishedNs: number;
  /** When the stage first saw the record. */
  readonly seenNs: number;
  /** When it was released and appended. */
  readonly releasedNs: number;
  /** How long its encoding took, in nanoseconds. */
  readonly encodeNs: number;
  /** When the kernel had its last byte. */
  readonly deliveredNs: number;
  /** Bytes of the body; `body` has the first of them, redacted. */
  readonly bodyBytes: number;
  /** Empty below level `capture`, and when the redactor failed. */
  readonly body: Uint8Array;
}

/** Raises the level of one connection for a while, as a verified token does. */
export interface LevelGrant {
  /** The level that the connection is raised to. */
  readonly level: DiagnosisLevel;
  /** When it ends: unix milliseconds, at most an hour ahead. */
  readonly expiresAt: number;
}

/** How closely a stage looks at its traffic, and what it saw. Belongs to the thread that started the stage. */
export interface StageDiagnosis {
  /** Names of the application's kinds of record, for directives. */
  readonly kinds: Readonly<Record<string, number>>;
  /** The level below which nothing falls. */
  readonly baseline: DiagnosisLevel;
  /** Sets the level below which nothing falls. @throws ERR_ACKGATE_INVALID_ARGUMENT */
  setBaseline(level: DiagnosisLevel): void;
  /** Takes the set of this store, now and whenever it changes, until another one is followed; null: none. */
  follow(store: DirectiveStore | null): void;
  /** The store that is followed, if any. */
  readonly store: DirectiveStore | null;
  /** Says whose connection it is, so that directives for a tenant find it. 1 … 64 characters. */
  setTenant(connectionId: number, tenant: string): ControlOutcome;
  /** Raises one connection's level until the grant expires. */
  raise(connectionId: number, grant: LevelGrant): ControlOutcome;
  /** What is still in the capture ring, oldest first; with `after`, only what has a higher number. */
  captured(after?: number): CapturedRecord[];
}
