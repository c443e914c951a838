import type { SimulatedJournal } from '../cluster/journal.js';
import type { Fallback } from './reached.js';

/** How a cursor line is written. */
export interface WriteOptions {
  /** A replica is taken into the view, which is rare and looks at more before it writes. */
  connects?: boolean;
  /** By a frame, which takes longer. */
  byFrame?: boolean;
  /** The stage has nothing to do because of it, and need not be woken. */
  noNews?: boolean;
  /** Not to be interrupted: nobody could say what is to come of it. */
  atOnce?: boolean;
}

/**
 * Does a change of a cursor line in the stage's memory, and the same to the model. The world may stop in the middle of
 * the first.
 */
export type CursorWrite = (write: () => void, remember: () => void, options?: WriteOptions) => void;

/** What the members of a cluster have in common, besides the world. */
export interface MemberContext {
  readonly journal: SimulatedJournal;
  readonly write: CursorWrite;
  /** Lets something happen while the stage is awake. */
  readonly whenAwake: (happening: () => void) => void;
  /** True while some cursor line is being written. */
  readonly isLocked: () => boolean;
  readonly reach: (name: Fallback) => void;
}

/** A replica, and how the primary learns of it. */
export interface Member {
  /** The primary has an order with this sequence. */
  send(seq: number): void;
  /** Something may go wrong with it. */
  trouble(): void;
  /** All is well with it again. */
  heal(): void;
}
