import { ControlTag, frame, lengthPrefixFraming } from '../../encode/framing.js';
import { FrameReader } from '../../fault-client/frame-reader.js';
import { PushTag } from '../../supervisor/protocol.js';
import { SimulatedSocket } from '../kernel/socket.js';
import { Mark } from '../trace.js';
import { NodeSocket } from './node-socket.js';
import type { SupervisedParts } from './parts.js';
import type { Peer, Push } from './peer.js';

/** First bytes of requests: one that can be answered, and one that makes no sense to the application. */
export const RequestTag = { order: 0x10, nonsense: 0x20 } as const;
/** Tag and number. */
export const requestHeadBytes = 5;
const replyHeadBytes = 9;
const ECONNRESET = 104;

/** What a client does next, as often as it stands here. */
const habits = ['order', 'order', 'order', 'batch', 'wait', 'end', 'leave'] as const;
const tricks = [
  'half',
  'empty',
  'oversize',
  'nonsense',
  'reset',
  'flood',
  'flood',
  'deaf',
  'stray-reply',
  'stray-reply',
  'stolen-reply',
  'stolen-reply',
  'end-inside',
] as const;

type Move = (typeof habits)[number] | (typeof tricks)[number];

/** One client: keeps the rules most of the time, and looks at every byte that it is sent. */
export class Client {
  readonly socket: NodeSocket;
  /** Once it is attached, also when it is refused. */
  peer: Peer | null = null;
  /** Whole requests that it has sent. */
  sent = 0;
  /** It sends nothing more. */
  silent = false;
  readonly #parts: SupervisedParts;
  readonly #reader = new FrameReader((body) => this.#received(body));

  constructor(parts: SupervisedParts, fd: number) {
    const { timeline, thread, random, scenario, trace } = parts;
    this.#parts = parts;
    const kernel = new SimulatedSocket(timeline, fd, scenario.socketBytes, (bytes, at, length) => {
      trace.note(Mark.accepted, fd, length);
      this.#reader.push(bytes.subarray(at, at + length));
    });
    kernel.bytesPerSecond = scenario.readRate;
    this.socket = new NodeSocket(kernel, timeline, thread, random.fork());
  }

  start(): void {
    const { timeline, random, gapNs } = this.#parts;
    const turn = () => {
      if (this.silent || this.socket.destroyed) return;
      this.#act();
      timeline.after(gapNs(), turn);
    };
    timeline.after(random.below(100_000), turn);
  }

  /** The server has ended its side: most clients then end theirs. */
  serverEnded(): void {
    const { timeline, random } = this.#parts;
    if (random.chance(0.7)) timeline.after(random.magnitude(1_000, 5e6), () => this.#end());
  }

  /** What each of its moves is. */
  readonly #moves: Record<Move, () => void> = {
    order: () => this.#order(),
    batch: () => this.#orders(this.#parts.random.between(2, 12)),
    flood: () => this.#orders(this.#parts.random.between(40, 150)),
    wait() {},
    end: () => {
      if (this.#parts.random.chance(0.3)) this.#end();
    },
    leave: () => {
      if (this.#parts.random.chance(0.3)) this.#last(frameOf(ControlTag.disconnect, 0));
    },
    half: () => this.#half(),
    'end-inside': () => {
      this.#half();
      this.socket.deliverEnd();
    },
    empty: () => this.#last(new Uint8Array(4)),
    oversize: () => {
      const { random, scenario } = this.#parts;
      this.#last(lengthOnly(scenario.limits.frameBytes + random.magnitude(1, 2 ** 31)));
    },
    nonsense: () => this.socket.deliver(frameOf(RequestTag.nonsense)),
    reset: () => this.#reset(),
    deaf: () => {
      this.socket.kernel.bytesPerSecond = 0;
    },
    'stray-reply': () => {
      this.#reply(this.#parts.random.magnitude(1e6, 2 ** 52), 8);
    },
    'stolen-reply': () => this.#stealReply(),
  };

  #act(): void {
    const { random, scenario } = this.#parts;
    const what = random.pick<Move>(random.chance(scenario.hostile) ? tricks : habits);
    this.#moves[what]();
  }

  #order(): void {
    this.socket.deliver(this.#request());
    this.sent++;
  }

  #orders(count: number): void {
    const frames: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      frames.push(this.#request());
      this.sent++;
    }
    this.socket.deliver(Buffer.concat(frames));
  }

  /** The next request, not counted yet. */
  #request(): Uint8Array {
    const { random, scenario } = this.#parts;
    const body = new Uint8Array(random.between(requestHeadBytes, Math.min(60, scenario.limits.frameBytes)));
    body[0] = RequestTag.order;
    new DataView(body.buffer).setUint32(1, this.sent + 1, true);
    return frame(lengthPrefixFraming, body);
  }

  #end(): void {
    if (this.silent) return;
    this.silent = true;
    this.socket.deliverEnd();
  }

  /** Part of a frame, and never the rest. */
  #half(): void {
    this.#last(this.#request().subarray(0, this.#parts.random.between(1, 8)));
  }

  #last(bytes: Uint8Array): void {
    this.silent = true;
    this.socket.deliver(bytes);
  }

  #reset(): void {
    this.silent = true;
    this.socket.kernel.fail(ECONNRESET);
    this.socket.deliverReset();
  }

  /** Returns the payload. */
  #reply(correlationId: number, payloadBytes: number): Uint8Array {
    const { random } = this.#parts;
    const body = new Uint8Array(replyHeadBytes + payloadBytes);
    const view = new DataView(body.buffer);
    body[0] = PushTag.reply;
    view.setUint32(1, correlationId % 2 ** 32, true);
    view.setUint32(5, Math.floor(correlationId / 2 ** 32), true);
    for (let i = replyHeadBytes; i < body.length; i++) body[i] = random.below(256);
    this.socket.deliver(frame(lengthPrefixFraming, body));
    return body.subarray(replyHeadBytes);
  }

  /** Answers what another one was asked. */
  #stealReply(): void {
    const { random, pushes } = this.#parts;
    const others = pushes.filter(({ peer, delivered, cancelled }) => {
      return peer !== this.peer && peer.end === null && delivered === 0 && !cancelled;
    });
    if (others.length > 0) this.#reply(random.pick(others).awaiter.correlationId, 8);
  }

  #received(body: Uint8Array): void {
    const { broken } = this.#parts;
    const { peer } = this;
    const tag = body[0];
    if (tag === ControlTag.heartbeat || tag === ControlTag.endOfBatch || tag === ControlTag.serverBusy)
      return;
    if (peer === null) broken('S10', 'a client that nobody has taken was sent something');
    else if (tag === ControlTag.disconnect) this.#sentAway(peer, body[1]);
    else if (tag === PushTag.push) this.#pushed(peer, body);
    else this.#parts.answers.check(peer, body);
  }

  #sentAway(peer: Peer, reason: number): void {
    const { broken, random, timeline } = this.#parts;
    if (++peer.disconnectsGot > 1) broken('S05', `client ${peer.id} got a second disconnect frame`);
    if (!peer.told.includes(reason)) {
      broken('S05', `client ${peer.id} was told reason ${reason}, which nobody has given`);
    }
    if (random.chance(0.5)) timeline.after(random.magnitude(1_000, 5e6), () => this.#end());
  }

  #pushed(peer: Peer, body: Uint8Array): void {
    const view = new DataView(body.buffer, body.byteOffset);
    const correlationId = view.getUint32(1, true) + view.getUint32(5, true) * 2 ** 32;
    const push = peer.pushes.get(correlationId);
    if (push === undefined || !same(push.payload, body.subarray(replyHeadBytes))) {
      this.#parts.broken('S04', `client ${peer.id} got push ${correlationId}, which it was not sent`);
      return;
    }
    const { random, timeline } = this.#parts;
    if (random.chance(0.15)) return;
    const times = random.chance(0.2) ? 2 : 1;
    for (let i = 0; i < times; i++) {
      timeline.after(random.magnitude(1_000, 30e6), () => this.#answer(push));
    }
  }

  #answer(push: Push): void {
    if (this.silent || this.socket.destroyed) return;
    const payload = this.#reply(push.awaiter.correlationId, this.#parts.random.below(20));
    push.replies.push(payload);
  }
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function frameOf(...body: number[]): Uint8Array {
  return frame(lengthPrefixFraming, Uint8Array.from(body));
}

function lengthOnly(bytes: number): Uint8Array {
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, bytes, true);
  return header;
}
