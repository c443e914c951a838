import type { DiagnosisLevel } from './levels.js';

/** Raises the level of diagnosis for a slice of the traffic until it expires. */
export interface Directive {
  /** 1 … 64 characters, unique in its set. */
  readonly id: string;
  /** The level that the traffic which it matches is raised to. */
  readonly level: DiagnosisLevel;
  /** When it ends: unix milliseconds; at this instant it is off. */
  readonly expiresAt: number;
  /** Only connections of this tenant, see `StageDiagnosis.setTenant`. All targets that are set must match. */
  readonly tenant?: string;
  /** Only this connection id. */
  readonly connection?: number;
  /** Only records of this kind, by its name. */
  readonly kind?: string;
  /** How many of a thousand request ids it takes, 0 … 1000 (default 1000). */
  readonly samplePerMille?: number;
  /** Put before the request id when sampling: another salt takes other requests (default none). */
  readonly salt?: string;
}

/** One whole set of directives, frozen. */
export interface DirectiveSnapshot {
  /** Grows with every set that is published; 0: none was. */
  readonly revision: number;
  /** The set, at most 256. Those that are over may be among them; they count for nothing. */
  readonly directives: readonly Directive[];
}

/** Where directives come from. Nothing here does I/O. */
export interface DirectiveStore {
  /** The set in force, at once. */
  load(): DirectiveSnapshot;
  /** Milliseconds since the set in force was known to be the latest. */
  ageMs(): number;
  /** What went wrong when it was last brought up to date; null when nothing did. */
  readonly lastError: Error | null;
  /** `listener` is called after every change. Returns a function that ends this. */
  onChange(listener: () => void): () => void;
}
