/**
 * The seam that lets one stage run on three kernels: io_uring, plain non-blocking sends, and a simulated one.
 *
 * A sender moves bytes and reports raw results; what a result *means* (progress, blocked, drop) is decided by
 * the stage. It is batch-shaped: requests go in through one typed array, results come out through another, and
 * a round costs one native call.
 *
 * Threads: everything here belongs to the stage's thread, but for `wakeFd`, which anyone may write.
 */
export interface Sender {
  readonly backend: Backend;
  /** What is in use, in words for `doctor` and `status()`, such as `DEFER_TASKRUN`. */
  readonly features: readonly string[];
  /** Request table, `requestWords` 32-bit words each. Filled by the stage before `flush`. */
  readonly requests: Uint32Array;
  /** Result table, `resultWords` 32-bit words each. Filled by `flush` and `reap`. */
  readonly results: Int32Array;
  /** What the last call left behind; see `SenderState`. */
  readonly state: Int32Array;

  /**
   * Takes ownership of `fd` (already a private dup, see `adoptFd`) for the slot. The slot must be free.
   * Returns 0, or a negative errno; then the fd has been closed.
   */
  open(slot: number, generation: number, fd: number): number;

  /**
   * Submits `requests[0 … count)` and returns the number of results written, those of earlier requests
   * included. Never blocks. Bytes named by a send request must not change until its result came.
   * Requests that the kernel did not take yet stay queued and are taken by a later `flush` or `reap`;
   * `state[SenderState.submitErrno]` then says why. If the fence word is set nothing is submitted any more, and
   * what was queued is answered with `-ECANCELED`.
   */
  flush(count: number): number;

  /** Like `flush(0)`, without submitting anything new. */
  reap(): number;

  /**
   * Ends the slot's connection. Ends both directions (`CloseHow`), cancels what is armed, and, once the kernel
   * holds nothing of it any more, closes the fd and reports one `SenderOp.closed` result: only then may the slot
   * and its buffer be used again. Results of requests still under way arrive before it.
   */
  close(slot: number, how: number): void;

  /** Bytes that the kernel holds for the peer and that the peer has not acknowledged (`SIOCOUTQ`), or -errno. */
  queuedBytes(slot: number): number;

  /** Gives back the pages of the slot's buffer past the first. Only when nothing of the slot is under way. */
  releasePages(slot: number): void;

  /**
   * Sleeps until a result can be reaped, `wakeFd` was written, or `timeoutMs` (at most `parkMsMax`) have passed.
   * Clears the wake. May return early for no reason.
   */
  park(timeoutMs: number): void;

  /**
   * Cancels everything, closes every slot, and waits up to `deadlineMs` for the kernel to let go of the buffers.
   * Returns the number of slots that it still holds (0 means that nothing leaked). Calling it twice does nothing.
   */
  destroy(deadlineMs: number): number;
}

/** What sends. */
export type Backend =
  /** io_uring. */
  | 'uring'
  /** Plain sends. */
  | 'posix'
  /** None: a simulation. */
  | 'simulated';

/** Everything that a real sender is made from. */
export interface SenderOptions {
  /** All send buffers, `sendBufferBytes` per slot, starting on a page boundary. */
  arena: Uint8Array;
  slots: number;
  /** Submission queue entries of the ring; more dirty slots than that are submitted in rounds. */
  ringEntries: number;
  /** Of `createWakeFd`; it stays the caller's, and must outlive the sender. */
  wakeFd: number;
  /** One word; non-zero means fenced. Looked at immediately before every submission. */
  fence: Int32Array;
  /** Kernel thread that polls the submission queue; only by choice. */
  sqpoll?: boolean;
}

/** Send buffer of one connection, in bytes. Limits what a client that stops reading can hold. */
export const sendBufferBytes = 65_536;

/** Longest sleep in the kernel, in milliseconds: a blocked Worker can be neither terminated nor exited around. */
export const parkMsMax = 50;

export const requestWords = 5;
/** Words of one request. `offset` and `length` are bytes within the slot's buffer and are ignored by `poll`. */
export const RequestWord = { op: 0, slot: 1, generation: 2, offset: 3, length: 4 } as const;

export const resultWords = 4;
/** Words of one result. `value` is what the kernel returned: a count, poll events, or a negative errno. */
export const ResultWord = { op: 0, slot: 1, generation: 2, value: 3 } as const;

export const SenderOp = {
  /** Send bytes of the slot's buffer. */
  send: 1,
  /** Tell once when the socket is writable, or has failed. */
  poll: 2,
  /** Result only: the kernel holds nothing of the slot any more and its fd is closed. */
  closed: 3,
} as const;

export const CloseHow = {
  /**
   * The stream ended on a frame boundary: what the kernel has is delivered, then an end of stream. Only the
   * write side is shut down, so that bytes which the client still sends don't turn the end into a reset.
   */
  orderly: 0,
  /** The stream broke inside a frame or the peer is gone: a reset, at once, and what was queued is discarded. */
  reset: 1,
} as const;

export const SenderState = {
  /** 0, or the errno of the last failed submission. */
  submitErrno: 0,
  /** Requests accepted by `flush` that the kernel has not taken yet. */
  unsubmitted: 1,
  /** Requests that the kernel has taken and not answered. */
  underWay: 2,
  /** 1 when results are left that did not fit into the result table: reap again. */
  more: 3,
  /** How often the completion queue overflowed (nothing is lost by it). */
  overflows: 4,
} as const;
export const senderStateWords = 8;
