import type { AckgateErrorCode } from '../errors.js';
import type { CursorFrame } from '../gate/cursor-frame.js';
import type { FrameMessage, JoinRequest, Refused } from './messages.js';
import { refusal } from './messages.js';

/** A process that says nothing for this long may be replaced by another one of the same node. */
const silentMs = 1_000;

/** Far more than a stage has room for. */
const membersMax = 1_000;
const candidatesMax = 1_000;

export interface RollOptions {
  /** The primary's own name. */
  readonly node: string;
  readonly term: number;
  readonly primaryId: string;
  readonly clockSkewMsMax: number;
  /** Unix milliseconds, compared with those of the nodes. */
  wallClock(): number;
  /** Milliseconds in which nodes could be heard; see AttendedTime. */
  now(): number;
}

/** A process is in. */
export interface Accepted {
  /** The epoch of its frames must be higher. The same however often it asks: an answer may be lost. */
  readonly epochAbove: number;
  /** By how much its clock is off by now, further than it may be when a process joins; null: it is not, or was told. */
  readonly skewMs: number | null;
}

interface Member {
  readonly instance: string;
  readonly epochAbove: number;
  heardAt: number;
  /** Highest epoch of the node's frames so far, also of its earlier processes. */
  epoch: number;
  refusal: Refused | null;
  isSkewTold: boolean;
}

/** Which processes stand for which nodes, and which frames therefore count. Of the primary; does no input or output. */
export class Roll {
  readonly #options: RollOptions;
  /** Those of whom there were frames. Never forgotten: their epochs must go on. */
  readonly #members = new Map<string, Member>();
  /** Those that have only asked. The one that came first is forgotten when there are too many; it asks again. */
  readonly #candidates = new Map<string, Member>();

  constructor(options: RollOptions) {
    this.#options = options;
  }

  /** How many nodes it remembers. */
  get size(): number {
    return this.#members.size + this.#candidates.size;
  }

  /** Takes a process in, or says why not. Again every second by those that are in. */
  join({ node, instance, clock }: JoinRequest): Accepted | Refused {
    const { node: own, wallClock, now } = this.#options;
    if (node === own) return twice(node, 'is the name of the primary itself');
    const skewMs = clock - wallClock();
    const known = this.#members.get(node) ?? this.#candidates.get(node);
    if (known?.instance === instance) {
      known.heardAt = now();
      return known.refusal ?? { epochAbove: known.epochAbove, skewMs: this.#tellSkew(known, skewMs) };
    }
    if (this.#isOff(skewMs)) return this.#skewed(node, skewMs);
    if (known !== undefined && now() - known.heardAt < silentMs) {
      return twice(node, 'is in use by another replica that is running: give each a name of its own');
    }
    const epochAbove = known?.epoch ?? 0;
    const member = {
      ...{ instance, epochAbove, epoch: epochAbove },
      heardAt: now(),
      refusal: null,
      isSkewTold: false,
    };
    if (this.#members.has(node)) this.#members.set(node, member);
    else this.#addCandidate(node, member);
    return { epochAbove, skewMs: null };
  }

  /** What the stage is to be told by a frame; null: nothing, it is of another primary, term or process. */
  frame(message: FrameMessage): CursorFrame | null {
    const { term, primaryId, now } = this.#options;
    if (message.term !== term || message.primaryId !== primaryId) return null;
    const member = this.#members.get(message.node) ?? this.#candidates.get(message.node);
    if (member?.instance !== message.instance) return null;
    if (!this.#isMember(message.node, member)) return null;
    member.heardAt = now();
    member.epoch = Math.max(member.epoch, message.epoch);
    const { node, epoch, inMemory, persisted, zone, at } = message;
    return { node, epoch, inMemory, persisted, at, ...(zone === null ? {} : { zone }) };
  }

  /** The stage has refused the node's frames: it is told when it joins the next time. False: it is known already. */
  refuse(node: string, code: AckgateErrorCode | null, message: string): boolean {
    const member = this.#members.get(node) ?? this.#candidates.get(node);
    if (member === undefined || member.refusal !== null) return false;
    member.refusal = refusal(code, message);
    return true;
  }

  #addCandidate(node: string, candidate: Member): void {
    // At the end also when it was there before.
    this.#candidates.delete(node);
    this.#candidates.set(node, candidate);
    if (this.#candidates.size <= candidatesMax) return;
    const [first] = this.#candidates.keys();
    this.#candidates.delete(first!);
  }

  #isMember(node: string, member: Member): boolean {
    if (this.#members.has(node)) return true;
    if (this.#members.size >= membersMax) return false;
    this.#candidates.delete(node);
    this.#members.set(node, member);
    return true;
  }

  #isOff(skewMs: number): boolean {
    return !(Math.abs(skewMs) <= this.#options.clockSkewMsMax);
  }

  /**
   * One that is in stays in: cursors don't need its clock, and when it is the primary's that was set, all of them would go
   * at once.
   */
  #tellSkew(member: Member, skewMs: number): number | null {
    const isOff = this.#isOff(skewMs);
    const isNews = isOff && !member.isSkewTold;
    member.isSkewTold = isOff;
    return isNews ? skewMs : null;
  }

  #skewed(node: string, skewMs: number): Refused {
    const way = skewMs > 0 ? 'ahead of' : 'behind';
    const message =
      `the clock of node "${node}" is ${Math.round(Math.abs(skewMs))} ms ${way} the primary's, ` +
      `clockSkewMsMax is ${this.#options.clockSkewMsMax}: set the clocks`;
    return refusal('ERR_ACKGATE_CLOCK_SKEW', message);
  }
}

function twice(node: string, why: string): Refused {
  return refusal('ERR_ACKGATE_NODE_TWICE', `node name "${node}" ${why}`);
}
