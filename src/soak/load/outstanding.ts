import type { Operation } from '../driver.js';

/** A request that was sent and can still be answered. Objects are used again. */
export interface Pending {
  client: number;
  id: number;
  operation: Operation;
  dueMs: number;
  /** Later than `dueMs` when the runner is behind. */
  sentMs: number;
  /** Its latency goes into the histograms. */
  judged: boolean;
  /** It was due or outstanding while the server was disturbed: as long as it is outstanding, the disturbance is not over. */
  holding: boolean;
  /** Of the closed loop. */
  closedLoop: boolean;
  /** No longer outstanding; it is known only in order to tell a late answer from one that comes twice. */
  timedOut: boolean;
  older: Pending | null;
  younger: Pending | null;
}

/** Requests known in all: a server that answers nothing must not fill the runner's memory. */
export const knownMax = 65_536;

/**
 * The requests of all clients, oldest first. They are added as they are sent and have one timeout for all, so that the oldest is always the next to time out.
 */
export class Outstanding {
  readonly #free: Pending[] = [];
  #oldest: Pending | null = null;
  #youngest: Pending | null = null;
  /** Neither answered nor timed out. */
  count = 0;
  /** The same and those that have timed out: all that `add` gave and `forget` has not taken back. */
  known = 0;

  get full(): boolean {
    return this.known >= knownMax;
  }

  get oldest(): Pending | null {
    return this.#oldest;
  }

  add(client: number, id: number, operation: Operation, dueMs: number, sentMs: number): Pending {
    const pending = this.#free.pop() ?? newPending();
    pending.client = client;
    pending.id = id;
    pending.operation = operation;
    pending.dueMs = dueMs;
    pending.sentMs = sentMs;
    pending.judged = true;
    pending.holding = false;
    pending.closedLoop = false;
    pending.timedOut = false;
    pending.older = this.#youngest;
    if (this.#youngest === null) this.#oldest = pending;
    else this.#youngest.younger = pending;
    this.#youngest = pending;
    this.count++;
    this.known++;
    return pending;
  }

  /** It isn't waited for any more; it stays known until it is forgotten. */
  remove(pending: Pending): void {
    const { older, younger } = pending;
    if (older === null) this.#oldest = younger;
    else older.younger = younger;
    if (younger === null) this.#youngest = older;
    else younger.older = older;
    pending.older = null;
    pending.younger = null;
    this.count--;
  }

  /** The caller has no use for it any more. It has been removed before. */
  forget(pending: Pending): void {
    this.known--;
    this.#free.push(pending);
  }
}

const newPending = (): Pending => ({
  client: 0,
  id: 0,
  operation: 'simple',
  // Not integers, so that the fields hold doubles from the start instead of allocating one each time.
  dueMs: 0.5,
  sentMs: 0.5,
  judged: true,
  holding: false,
  closedLoop: false,
  timedOut: false,
  older: null,
  younger: null,
});
