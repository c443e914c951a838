import {
  RequestWord,
  ResultWord,
  requestWords,
  resultWords,
  type Sender,
  SenderOp,
  SenderState,
  sendBufferBytes,
  senderStateWords,
} from '#ackgate/egress/sender.js';

export interface Request {
  op: number;
  slot: number;
  generation: number;
  /** Of a send: the bytes as they were when it was submitted. */
  bytes: Buffer;
  /** Where they stand. */
  at: number;
}

/** What the kernel says to a request; undefined: nothing yet. */
export type Answer = (request: Request) => number | undefined;

/**
 * A kernel whose every answer the test decides. It checks that bytes under way do not change, that no slot has two
 * sends under way, and that nothing is submitted behind a fence, and keeps what each peer has received.
 */
export class ScriptedSender implements Sender {
  readonly backend = 'simulated';
  readonly features: readonly string[] = [];
  readonly requests: Uint32Array;
  readonly results: Int32Array;
  readonly state = new Int32Array(senderStateWords);
  /** Every request ever submitted. */
  readonly submitted: Request[] = [];
  readonly opened: { slot: number; generation: number; fd: number }[] = [];
  readonly closes: { slot: number; how: number }[] = [];
  readonly releasedPages: number[] = [];
  /** By slot: what the peer has, and what `queuedBytes` says. */
  readonly received = new Map<number, Buffer>();
  readonly queued = new Map<number, number>();
  answer: Answer = () => undefined;
  openResult = 0;
  flushes = 0;
  destroyed = 0;
  readonly #arena: Uint8Array;
  readonly #fence: Int32Array;
  readonly #underWay = new Map<number, Request>();
  #results: number[][] = [];

  /** `resultRoom`: rows of the result table. */
  constructor(slots: number, arena: Uint8Array, fence: Int32Array, resultRoom = 64) {
    this.requests = new Uint32Array(slots * requestWords);
    this.results = new Int32Array(resultRoom * resultWords);
    this.#arena = arena;
    this.#fence = fence;
  }

  open(slot: number, generation: number, fd: number): number {
    this.opened.push({ slot, generation, fd });
    this.received.set(slot, Buffer.alloc(0));
    return this.openResult;
  }

  flush(count: number): number {
    if (Atomics.load(this.#fence, 0) !== 0 && count > 0) throw new Error('submitted behind a fence');
    this.flushes++;
    for (let i = 0; i < count; i++) this.#submit(this.requests.subarray(i * requestWords));
    return this.reap();
  }

  reap(): number {
    const room = this.results.length / resultWords;
    const now = this.#results.splice(0, room);
    now.forEach((row, index) => {
      this.results.set(row, index * resultWords);
    });
    this.state[SenderState.more] = this.#results.length > 0 ? 1 : 0;
    return now.length;
  }

  close(slot: number, how: number): void {
    this.closes.push({ slot, how });
  }

  queuedBytes(slot: number): number {
    return this.queued.get(slot) ?? 0;
  }

  releasePages(slot: number): void {
    this.releasedPages.push(slot);
  }

  park(): void {}

  destroy(): number {
    this.destroyed++;
    return this.#underWay.size;
  }

  /** The request of the slot that has no answer yet. */
  underWay(slot: number): Request | undefined {
    return this.#underWay.get(slot);
  }

  /** Answers what is under way on the slot; the stage sees it at its next look. */
  complete(slot: number, value: number): void {
    const request = this.#underWay.get(slot);
    if (request === undefined) throw new Error(`nothing is under way on slot ${slot}`);
    this.#underWay.delete(slot);
    this.#answered(request, value);
  }

  /** The kernel holds nothing of the slot any more. */
  letGo(slot: number): void {
    const { generation } = this.opened.findLast((one) => one.slot === slot)!;
    this.stray(SenderOp.closed, slot, generation, 0);
  }

  /** Any result at all. */
  stray(op: number, slot: number, generation: number, value: number): void {
    const row: number[] = [];
    row[ResultWord.op] = op;
    row[ResultWord.slot] = slot;
    row[ResultWord.generation] = generation;
    row[ResultWord.value] = value;
    this.#results.push(row);
  }

  #submit(words: Uint32Array): void {
    const slot = words[RequestWord.slot]!;
    const at = slot * sendBufferBytes + words[RequestWord.offset]!;
    const op = words[RequestWord.op]!;
    const length = op === SenderOp.send ? words[RequestWord.length]! : 0;
    const bytes = Buffer.from(this.#arena.slice(at, at + length));
    const request = { op, slot, generation: words[RequestWord.generation]!, bytes, at };
    if (this.#underWay.has(slot)) throw new Error(`slot ${slot} has two requests under way`);
    if (op === SenderOp.send && length === 0) throw new Error('a send of nothing');
    this.submitted.push(request);
    const value = this.answer(request);
    if (value === undefined) this.#underWay.set(slot, request);
    else this.#answered(request, value);
  }

  #answered({ op, slot, generation, bytes, at }: Request, value: number): void {
    const now = Buffer.from(this.#arena.slice(at, at + bytes.length));
    if (!now.equals(bytes)) throw new Error(`bytes under way on slot ${slot} have changed`);
    if (op === SenderOp.send && value > 0) {
      this.received.set(slot, Buffer.concat([this.received.get(slot)!, bytes.subarray(0, value)]));
    }
    this.stray(op, slot, generation, value);
  }
}
