import type { AckgateErrorCode } from '../errors.js';
import type { CursorFrame } from '../gate/cursor-frame.js';
import type { FrameMessage, JoinRequest, Refused } from './messages.js';
import { refusal } from './messages.js';

/** A process that says nothing for this long may be replaced by another one of the same node. */
const silentMs = 1_000;

export interface RollOptions {
  /** The primary's own name. */
  readonly node: string;
  readonly term: number;
  readonly primaryId: string;
  readonly clockSkewMaxMs: number;
  /** Unix milliseconds, compared with those of the nodes. */
  wallClock(): number;
  /** Monotonic milliseconds. */
  now(): number;
}

interface Member {
  instance: string;
  heardAt: number;
  /** Highest epoch of the node's frames so far, also of its earlier processes. */
  epoch: number;
  refusal: Refused | null;
}

/** Which processes stand for which nodes, and which frames therefore count. Of the primary; does no input or output. */
export class Roll {
  readonly #options: RollOptions;
  readonly #members = new Map<string, Member>();

  constructor(options: RollOptions) {
    this.#options = options;
  }

  /** Takes a process in, or says why not. Again every second by those that are in. */
  join({ node, instance, clock }: JoinRequest): { epochAbove: number } | Refused {
    const { node: own, clockSkewMaxMs, wallClock, now } = this.#options;
    if (node === own) return twice(node, 'is the name of the primary itself');
    const skewMs = clock - wallClock();
    if (!(Math.abs(skewMs) <= clockSkewMaxMs)) {
      const way = skewMs > 0 ? 'ahead of' : 'behind';
      const message =
        `the clock of node "${node}" is ${Math.round(Math.abs(skewMs))} ms ${way} the primary's, ` +
        `clockSkewMaxMs is ${clockSkewMaxMs}: set the clocks`;
      return refusal('ERR_ACKGATE_CLOCK_SKEW', message);
    }
    const known = this.#members.get(node);
    if (known !== undefined && known.instance !== instance && now() - known.heardAt < silentMs) {
      return twice(node, 'is in use by another replica that is running: give each a name of its own');
    }
    if (known?.instance === instance) {
      known.heardAt = now();
      return known.refusal ?? { epochAbove: 0 };
    }
    const epoch = known?.epoch ?? 0;
    this.#members.set(node, { instance, heardAt: now(), epoch, refusal: null });
    return { epochAbove: epoch };
  }

  /** What the stage is to be told by a frame; null: nothing, it is of another primary, term or process. */
  frame(message: FrameMessage): CursorFrame | null {
    const { term, primaryId, now } = this.#options;
    if (message.term !== term || message.primaryId !== primaryId) return null;
    const member = this.#members.get(message.node);
    if (member?.instance !== message.instance) return null;
    member.heardAt = now();
    member.epoch = Math.max(member.epoch, message.epoch);
    const { node, epoch, inMemory, persisted, zone, at } = message;
    return { node, epoch, inMemory, persisted, at, ...(zone === null ? {} : { zone }) };
  }

  /** The stage has refused the node's frames: it is told when it joins the next time. False: it is known already. */
  refuse(node: string, code: AckgateErrorCode | null, message: string): boolean {
    const member = this.#members.get(node);
    if (member === undefined || member.refusal !== null) return false;
    member.refusal = refusal(code, message);
    return true;
  }
}

function twice(node: string, why: string): Refused {
  return refusal('ERR_ACKGATE_NODE_TWICE', `node name "${node}" ${why}`);
}
