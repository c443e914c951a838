import { powerOfFour } from '../shared/power-of-four.js';

/** Order of the reasons where they are numbers: in shared memory and in the counters. Only ever appended to. */
export const dropReasons = [
  'overflow',
  'blocked',
  'reset',
  'send-error',
  'fenced',
  'drain-timeout',
  'disconnected',
  'stage-failed',
] as const;

/** Why a connection was dropped by the stage. */
export type DropReason = (typeof dropReasons)[number];

export const Drop = {
  overflow: 0,
  blocked: 1,
  reset: 2,
  sendError: 3,
  fenced: 4,
  drainTimeout: 5,
  disconnected: 6,
  stageFailed: 7,
} as const;

const flushClasses = 7;

/** What egress has done since the start. Plain fields: counting must cost nothing. */
export class EgressCounters {
  recordsReleased = 0;
  /** Records for connections that are gone, or that a fence or shutdown left unsent. */
  recordsDiscarded = 0;
  bytesAppended = 0;
  bytesSent = 0;
  /** Bytes that drops left in the stage's buffers. */
  bytesUnsent = 0;
  flushes = 0;
  sends = 0;
  shortSends = 0;
  blockedSends = 0;
  staleResults = 0;
  heartbeats = 0;
  encoderErrors = 0;
  readonly drops = new Float64Array(dropReasons.length);
  /** Flushes by the number of connections in them: up to 1, 4, 16 … 1024, and more. */
  readonly flushSizes = new Float64Array(flushClasses);

  constructor() {
    // A field that outgrows 31 bits changes its representation, and with it all compiled code that knows this class has
    // to be compiled again: better now than after two gigabytes.
    const fields = this as unknown as Record<string, number>;
    for (const name of Object.keys(fields)) {
      if (typeof fields[name] !== 'number') continue;
      fields[name] = 2 ** 40;
      fields[name] = 0;
    }
  }

  flushed(connections: number): void {
    this.flushes++;
    this.flushSizes[Math.min(flushClasses - 1, powerOfFour(connections))]++;
  }
}
