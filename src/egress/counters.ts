import { everyOf } from '../shared/every-of.js';
import { powerOfFour } from '../shared/power-of-four.js';

/** Why a connection was dropped by the stage. */
export type DropReason =
  /** The kernel took no more for its client (megabytes, as `kernelSendBufferBytes` says), and its buffer of 64 KiB was full. */
  | 'overflow'
  /** The kernel took nothing for its client for too long. */
  | 'blocked'
  /** Its client has reset it, or is gone. */
  | 'reset'
  /** The kernel refused a send; `errno` says why. */
  | 'send-error'
  /** A later primary has taken over. */
  | 'fenced'
  /** The stage was closed, and the drain time was over. */
  | 'drain-timeout'
  /** It was disconnected, or its socket destroyed, before all that was released for it had gone. */
  | 'disconnected'
  /** The stage has failed. */
  | 'stage-failed';

/** Order of the reasons where they are numbers: in shared memory and in the counters. Only ever appended to. */
export const dropReasons = everyOf<DropReason>()([
  'overflow',
  'blocked',
  'reset',
  'send-error',
  'fenced',
  'drain-timeout',
  'disconnected',
  'stage-failed',
]);

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
