import type { DirectiveStore } from './directive.js';
import type { DiagnosisLevel } from './levels.js';

/** One record that was taken down because of its level. Times are monotonic nanoseconds; 0: not known, or not yet. */
export interface CapturedRecord {
  /** Counts everything that was ever taken down, from 1 on. */
  readonly number: number;
  /** Unix milliseconds when it was released. */
  readonly unixMs: number;
  readonly level: DiagnosisLevel;
  readonly connectionId: number;
  readonly wireSeq: number;
  readonly requestId: number;
  readonly kind: number;
  /** Bits of `RecordFlag`. */
  readonly flags: number;
  /** When the request was read, the engine had finished, and the stage first saw the record. */
  readonly receivedNs: number;
  readonly finishedNs: number;
  readonly seenNs: number;
  /** When it was released and appended, and how long its encoding took of that. */
  readonly releasedNs: number;
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
  readonly level: DiagnosisLevel;
  /** Unix milliseconds, at most an hour ahead. */
  readonly expiresAt: number;
}

/** How closely a stage looks at its traffic, and what it saw. Belongs to the thread that started the stage. */
export interface StageDiagnosis {
  /** Names of the application's kinds of record, for directives. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly baseline: DiagnosisLevel;
  /** The level below which nothing falls (default `off`). */
  setBaseline(level: DiagnosisLevel): void;
  /** Takes the set of this store, now and whenever it changes, until another one is followed; null: none. */
  follow(store: DirectiveStore | null): void;
  /** The store that is followed, if any. */
  readonly store: DirectiveStore | null;
  /** Says whose connection it is, so that directives for a tenant find it. 1 … 64 characters. */
  setTenant(connectionId: number, tenant: string): true | 'full' | 'gone';
  /** Raises one connection's level until the grant expires. */
  raise(connectionId: number, grant: LevelGrant): true | 'full' | 'gone';
  /** What is still in the capture ring, oldest first; with `after`, only what has a higher number. */
  captured(after?: number): CapturedRecord[];
}
