import type { AckgateError } from '../../errors.js';
import type { PushSlot } from '../../supervisor/push-awaiter.js';
import { PushDisconnected, PushExpired, PushTimeout } from '../../supervisor/push-errors.js';
import type { Supervisor } from '../../supervisor/supervisor.js';
import { Mark } from '../trace.js';
import { same } from './client.js';
import type { SupervisedParts } from './parts.js';
import type { Peer, Push } from './peer.js';

/** How the application waits for a reply. */
interface Patience {
  /** Virtual milliseconds of one `receive`; Infinity: until the push is decided. */
  readonly quantumMs: number;
  /** How often it asks. */
  readonly times: number;
}

/** One `receive`, and by when it settles in any case, in virtual milliseconds. */
interface Waiting {
  readonly push: Push;
  readonly dueMs: number;
}

/** What may come on top of a timer's lateness. */
const slackMs = 5;

/** What the application does with pushes, and what must become of each. */
export class Pushing {
  readonly #parts: SupervisedParts;
  readonly #supervisor: Supervisor;
  /** Every `receive` that has not settled. */
  readonly #waiting = new Set<Waiting>();
  #count = 0;

  constructor(parts: SupervisedParts, supervisor: Supervisor) {
    this.#parts = parts;
    this.#supervisor = supervisor;
  }

  /** Calls of `receive` that have not settled. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Null: it was refused. */
  push(peer: Peer): Push | null {
    const { random, thread, pushes, trace } = this.#parts;
    const supervisor = this.#supervisor;
    const deadlineMs = random.chance(0.4) ? random.magnitude(1, 200) - 1 : null;
    const payload = new Uint8Array(random.chance(0.02) ? 300 : random.between(4, 30));
    new DataView(payload.buffer).setUint32(0, ++this.#count, true);
    const before = this.pendingOf(peer);
    const pendingBefore = supervisor.status().pendingPushes;
    try {
      const awaiter = supervisor.push(peer.id, payload, deadlineMs === null ? {} : { deadlineMs });
      const expiresAt = deadlineMs === null ? Number.POSITIVE_INFINITY : thread.now() + deadlineMs;
      const push = {
        peer,
        payload,
        awaiter,
        expiresAt,
        replies: [],
        delivered: 0,
        cancelled: false,
        waits: 0,
      };
      pushes.push(push);
      if (peer.pushes.has(awaiter.correlationId)) this.#wrong('S04', peer, 'a correlation id was used again');
      peer.pushes.set(awaiter.correlationId, push);
      return push;
    } catch (error) {
      trace.say(Mark.control, `push refused ${peer.id} ${(error as AckgateError).code}`);
      this.#checkRefusal(peer, error as AckgateError, { before, pendingBefore, bytes: payload.length });
      return null;
    }
  }

  /** Waits for the reply, in one of several ways. True: it came. */
  async wait(push: Push): Promise<boolean> {
    const { random } = this.#parts;
    const patience: Patience = random.chance(0.5)
      ? { quantumMs: random.chance(0.6) ? Number.POSITIVE_INFINITY : random.magnitude(1, 200), times: 1 }
      : { quantumMs: random.magnitude(1, 20) - 1, times: random.between(2, 40) };
    // Now and then somebody else asks as well; one of the two gets it.
    const other = random.chance(0.1) ? this.#ask(push, patience) : null;
    const outcome = await this.#ask(push, patience);
    if (other !== null) await other;
    if (outcome === 'timeout') {
      push.cancelled = true;
      push.awaiter.cancel();
    }
    return outcome === 'reply';
  }

  async #ask(push: Push, { quantumMs, times }: Patience): Promise<'reply' | 'timeout' | 'ended'> {
    for (let left = times; left > 0; left--) {
      const outcome = await this.#receive(push, quantumMs);
      if (outcome !== 'timeout') return outcome;
      // A wait of no time must not keep others from theirs.
      if (quantumMs === 0) await this.#parts.thread.sleep(0.5);
    }
    return 'timeout';
  }

  async #receive(push: Push, ms: number): Promise<'reply' | 'timeout' | 'ended'> {
    const { thread } = this.#parts;
    const { awaiter, peer } = push;
    const since = thread.now();
    const waiting = { push, dueMs: Math.min(since + ms, push.expiresAt) };
    this.#waiting.add(waiting);
    try {
      const reply = await awaiter.receive(ms);
      if (++push.delivered > 1) this.#wrong('S04', peer, 'a reply was delivered twice');
      if (push.replies.length === 0 || !same(reply, push.replies[0])) {
        this.#wrong('S04', peer, `push ${awaiter.correlationId} got a reply that its client has not sent`);
      }
      return 'reply';
    } catch (error) {
      return this.#checkNoReply(push, error as Error, since + ms);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  #checkNoReply(push: Push, error: Error, until: number): 'timeout' | 'ended' {
    const { thread } = this.#parts;
    const { peer } = push;
    const now = thread.now();
    if (error instanceof PushTimeout) {
      if (now < until) this.#wrong('S03', peer, `timed out at ${now} ms, before ${until} ms`);
      return 'timeout';
    }
    if (error instanceof PushDisconnected) {
      if (this.#supervisor.isTracked(peer.id)) this.#wrong('S03', peer, 'it is not disconnected');
    } else if (error instanceof PushExpired) {
      if (now < push.expiresAt) this.#wrong('S03', peer, 'its deadline has not passed');
    } else if ((error as AckgateError).code === 'ERR_ACKGATE_PUSH_TAKEN') {
      if (push.delivered === 0 && !push.cancelled) this.#wrong('S03', peer, 'nobody has taken the reply');
    } else this.#wrong('S15', peer, `receive() has thrown ${error.stack}`);
    return 'ended';
  }

  #checkRefusal(
    peer: Peer,
    { code, stack }: AckgateError,
    { before, pendingBefore, bytes }: { before: number; pendingBefore: number; bytes: number },
  ): void {
    const { scenario } = this.#parts;
    const supervisor = this.#supervisor;
    const tracked = supervisor.isTracked(peer.id);
    switch (code) {
      case 'ERR_ACKGATE_PUSH_DISCONNECTED':
        break;
      case 'ERR_ACKGATE_TOO_MANY_PUSHES':
        if (before !== scenario.limits.pendingPushes)
          this.#wrong('S06', peer, `refused a push beside ${before}`);
        if (tracked) this.#wrong('S06', peer, 'left too many pushes unanswered, and stays');
        return;
      case 'ERR_ACKGATE_CONTROL_FULL':
        break;
      case 'ERR_ACKGATE_OUT_OF_RANGE':
        if (bytes < 200) this.#wrong('S15', peer, `a payload of ${bytes} bytes is no reason to refuse it`);
        break;
      default:
        this.#wrong('S15', peer, `push() has thrown ${stack}`);
    }
    if (supervisor.status().pendingPushes !== pendingBefore) {
      this.#wrong('S06', peer, 'a push that was refused has kept its slot');
    }
  }

  /** Those of a connection that are not decided, without looking at the clock. */
  pendingOf(peer: Peer): number {
    let pending = 0;
    for (const { awaiter } of peer.pushes.values()) if ((awaiter as PushSlot).state === 'pending') pending++;
    return pending;
  }

  /** Behind every task: whose connection has ended, or whose time is over, waits no longer. */
  check(): void {
    const { thread, scenario } = this.#parts;
    const overMs = thread.now() - slackMs - scenario.latenessNs / 1e6;
    for (const { push, dueMs } of this.#waiting) {
      const { peer } = push;
      if (!this.#supervisor.isTracked(peer.id)) {
        this.#wrong('S03', peer, 'receive() waits although the connection has ended');
      }
      if (dueMs < overMs) this.#wrong('S03', peer, `receive() waits past ${dueMs} ms`);
    }
  }

  checkEnd(): void {
    for (const { push } of this.#waiting) {
      this.#wrong('S03', push.peer, 'receive() waits at the end of the run');
    }
  }

  #wrong(invariant: Parameters<SupervisedParts['broken']>[0], peer: Peer, message: string): void {
    this.#parts.broken(invariant, `connection ${peer.id}: ${message}`);
  }
}
