import type { Timeline } from '../timeline.js';
import type { KernelFaults } from './kernel-faults.js';
import type { SimulatedSocket } from './socket.js';

export interface SimulatedSenderParts {
  timeline: Timeline;
  arena: Uint8Array;
  slots: number;
  /** One word; non-zero: nothing may be submitted any more. */
  fence: Int32Array;
  /** The socket behind a descriptor; undefined: there is none. */
  socketOf: (fd: number) => SimulatedSocket | undefined;
  faults: KernelFaults;
  /**
   * `wait`: a send to a full socket stays under way until the peer has made room, as io_uring does it; `refuse`: it is
   * answered with `-EAGAIN`, as a send that must not wait is. Then nothing is submitted to anybody: faults of submissions,
   * of completions and of cancelling don't exist.
   */
  whenFull: 'wait' | 'refuse';
  /** Requests that one submission takes. */
  ringEntries?: number;
  /** Rows of the result table. */
  resultRows?: number;
  /** What a call costs, in virtual nanoseconds, and each of its requests. */
  callNs?: number;
  requestNs?: number;
  /** Told of every request as it is handed over and of every result, for a trace. */
  observer?: SenderObserver;
  /**
   * Whether this may be asked of the sender at this moment. By default none of it may: it is a violation. What is
   * tolerated is answered as the real senders answer it.
   */
  tolerates?: (misuse: Misuse) => boolean;
}

/**
 * `fenced`: requests although the fence is set; `slot-taken`: opening a slot that is not free; `pages-in-use`: giving back
 * pages while something of the slot is under way.
 */
export type Misuse = 'fenced' | 'slot-taken' | 'pages-in-use';

export interface SenderObserver {
  /** Told of every call. */
  called(): void;
  submitted(op: number, slot: number, offset: number, length: number): void;
  answered(op: number, slot: number, value: number): void;
  closing(slot: number, how: number, underWay: boolean): void;
}
