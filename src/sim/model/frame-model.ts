import type { ModelNode } from './policy-model.js';

/** What a node tells the primary, as far as it matters here. */
export interface ToldFrame {
  readonly epoch: number;
  readonly inMemory: number;
  readonly persisted: number;
  readonly at: number;
}

export type FrameVerdict = 'taken' | 'repeated' | 'stale-epoch' | 'ahead';

/** A silence is noticed within the stage's tick. */
const tickNs = 10e6;

/**
 * What may be made of a node that tells its cursors by frames: its place in the view is what it has told in the last of
 * its lives that the primary knows of, for as long as it is heard. It also knows what the node truly had in each of
 * them, which nothing that counts may ever exceed.
 */
export class FrameModel {
  readonly #node: ModelNode;
  readonly #staleAfterNs: number;
  /** What the node has truly had, by its lives. */
  readonly #lives = new Map<number, { inMemory: number; persisted: number }>();
  /** Of what the primary was told: the last life, and the time of its last frame that counted. */
  epoch = -1;
  #at = -1;

  constructor(node: ModelNode, staleAfterNs: number) {
    this.#node = node;
    this.#staleAfterNs = staleAfterNs;
  }

  /** In this life the node has come so far. */
  reached(epoch: number, inMemory: number, persisted: number): void {
    this.#lives.set(epoch, { inMemory, persisted });
  }

  /** What has to become of a frame when the primary has issued so much. */
  verdict({ epoch, at, inMemory, persisted }: ToldFrame, issued: number): FrameVerdict {
    if (epoch < this.epoch) return 'stale-epoch';
    if (epoch === this.epoch && at <= this.#at) return 'repeated';
    return Math.max(inMemory, persisted) > issued ? 'ahead' : 'taken';
  }

  /** Whether the view is another one after this frame than before. */
  changes(frame: ToldFrame, verdict: FrameVerdict): boolean {
    const { connected, inMemory, persisted } = this.#node;
    if (verdict === 'ahead') return connected && frame.epoch > this.epoch;
    if (verdict !== 'taken') return false;
    if (!connected || frame.epoch > this.epoch) return true;
    return frame.inMemory > inMemory || frame.persisted > persisted;
  }

  /** Whether this frame takes the node into the view, or into a new life. */
  connects(frame: ToldFrame, verdict: FrameVerdict): boolean {
    return verdict === 'taken' && (!this.#node.connected || frame.epoch > this.epoch);
  }

  /** The primary was told at `nowNs`. */
  take(frame: ToldFrame, verdict: FrameVerdict, nowNs: number): void {
    const node = this.#node;
    if (verdict === 'ahead' && frame.epoch > this.epoch) {
      this.epoch = frame.epoch;
      this.#at = -1;
      this.leave();
    }
    if (verdict !== 'taken') return;
    const goesOn = node.connected && frame.epoch === this.epoch;
    const inMemory = Math.max(frame.inMemory, frame.persisted);
    this.#checkTrue(frame.epoch, inMemory, frame.persisted);
    node.inMemory = goesOn ? Math.max(node.inMemory, inMemory) : inMemory;
    node.persisted = goesOn ? Math.max(node.persisted, frame.persisted) : frame.persisted;
    node.connected = true;
    this.epoch = frame.epoch;
    this.#at = frame.at;
    // A clock that counts whole nanoseconds may be one early.
    node.fadesNs = nowNs + this.#staleAfterNs - 1;
    this.heardUntil(nowNs);
  }

  /** Writing that down has taken until then. */
  heardUntil(nowNs: number): void {
    this.#node.goneNs = nowNs + this.#staleAfterNs + tickNs;
  }

  /** It is out of the view. What its last life was stays known. */
  leave(): void {
    leaveView(this.#node);
  }

  #checkTrue(epoch: number, inMemory: number, persisted: number): void {
    const life = this.#lives.get(epoch);
    if (life !== undefined && inMemory <= life.inMemory && persisted <= life.persisted) return;
    throw new Error(`the world is broken: a node was believed ${inMemory} and ${persisted} of life ${epoch}`);
  }
}

export function leaveView(node: ModelNode): void {
  node.connected = false;
  node.inMemory = 0;
  node.persisted = 0;
  node.fadesNs = Number.POSITIVE_INFINITY;
  node.goneNs = Number.POSITIVE_INFINITY;
}
