import { SimulationFailure } from '../failure.js';

/** Tags of what the simulated server sends; control frames are the framing's. */
export const Tag = { heartbeat: 1, end: 2, busy: 4, disconnect: 5, answer: 0x10, push: 0x11 } as const;

const headerBytes = 4;
const controlFrameBytes = headerBytes + 1;
const disconnectFrameBytes = controlFrameBytes + 1;
/** Bytes of a body before its pattern: tag and number. */
export const bodyHeadBytes = 5;

/** Writes the body of an answer or a push: its tag, its number, and a pattern that only this number has. */
export function writeBody(out: Uint8Array, at: number, length: number, tag: number, number: number): void {
  out[at] = tag;
  out[at + 1] = number;
  out[at + 2] = number >>> 8;
  out[at + 3] = number >>> 16;
  out[at + 4] = number >>> 24;
  const seed = number * 31 + tag;
  for (let i = bodyHeadBytes; i < length; i++) out[at + i] = seed + i * 7;
}

/** What was published, in ring order: plain arrays. */
export class Records {
  readonly seq: number[] = [];
  readonly bypass: boolean[] = [];
  readonly last: boolean[] = [];
  readonly bytes: number[] = [];
  readonly client: ClientLedger[] = [];
  /** The encoder will fail on it: only its end-of-batch frame goes out. */
  readonly fails: boolean[] = [];
  /** It was thrown away, and must never be seen. */
  readonly discarded = new Set<number>();
  readonly receivedNs: number[] = [];

  get count(): number {
    return this.seq.length;
  }

  /** Bytes on the wire of a released record. */
  wireBytes(number: number): number {
    return (
      (this.fails[number] ? 0 : headerBytes + this.bytes[number]) +
      (this.last[number] ? controlFrameBytes : 0)
    );
  }
}

/** Asked for every answer that the kernel accepts: may it leave? */
export type Permission = (number: number) => void;

/**
 * One client's side: what it must get, in which order, and what it got. Bytes are looked at as the kernel takes them.
 */
export class ClientLedger {
  readonly id: number;
  /** Numbers of the records published for it, in order. */
  readonly expected: number[] = [];
  next = 0;
  readonly pushes: number[] = [];
  nextPush = 0;
  busyAsked = 0;
  busySeen = 0;
  /** Reasons of the disconnect frames after which it stays connected. */
  readonly notices: number[] = [];
  nextNotice = 0;
  /** Heartbeats seen. */
  heartbeats = 0;
  /** Bytes that the kernel has taken, and when it last did. */
  accepted = 0;
  acceptedNs = 0;
  /** What the stage has taken from the ring for it, and when it last did. */
  releasedBytes = 0;
  releasedNs = Number.NEGATIVE_INFINITY;
  #releasedCount = 0;
  /** Null: no farewell was asked for. */
  farewell: number | null = null;
  farewellSeen = false;
  readonly #records: Records;
  readonly #mayLeave: Permission;
  readonly #pushBytes: (number: number) => number;
  readonly #onHeartbeat: () => void;
  #awaitsEnd = false;
  #partial = new Uint8Array(64);
  #partialBytes = 0;

  constructor(
    id: number,
    records: Records,
    mayLeave: Permission,
    pushBytes: (number: number) => number,
    onHeartbeat: () => void,
  ) {
    this.id = id;
    this.#records = records;
    this.#mayLeave = mayLeave;
    this.#pushBytes = pushBytes;
    this.#onHeartbeat = onHeartbeat;
  }

  /** Bytes of a frame that has begun and not ended. */
  get partialBytes(): number {
    return this.#partialBytes;
  }

  /** True when what it has got ends inside a frame, or between an answer and its end. */
  get endsInside(): boolean {
    return this.#partialBytes > 0 || this.#awaitsEnd;
  }

  /** True when every push and every notice has come. */
  get allSaid(): boolean {
    return (
      this.nextPush === this.pushes.length &&
      this.nextNotice === this.notices.length &&
      this.busySeen === this.busyAsked
    );
  }

  /** True when everything published for it has come. */
  get complete(): boolean {
    this.skipSilent();
    return this.next >= this.expected.length && !this.#awaitsEnd && this.#partialBytes === 0;
  }

  /** A record of this client has been consumed. */
  released(bytes: number, nowNs: number): void {
    this.releasedBytes += bytes;
    this.releasedNs = nowNs;
    this.#releasedCount++;
  }

  /** True when nothing that was released is still on its way to the kernel. */
  get allReleasedAccepted(): boolean {
    return this.next >= this.#releasedCount;
  }

  accept(bytes: Uint8Array, at: number, length: number, nowNs: number): void {
    this.accepted += length;
    this.acceptedNs = nowNs;
    const end = at + length;
    let place = this.#partialBytes > 0 ? this.#complete(bytes, at, end) : at;
    while (place < end) {
      const left = end - place;
      const frame = left < headerBytes ? Number.POSITIVE_INFINITY : headerBytes + bodyLength(bytes, place);
      if (left < frame) {
        this.#keep(bytes, place, end);
        break;
      }
      this.#frame(bytes, place + headerBytes, frame - headerBytes);
      place += frame;
    }
  }

  /** Whether a stream that ends after `bytes` more of what was appended ends between two answers. */
  endsWhole(bytes: number): boolean {
    let left = bytes + this.#partialBytes;
    this.skipSilent();
    if (this.#awaitsEnd) left -= controlFrameBytes;
    const { expected } = this;
    for (let place = this.#awaitsEnd ? this.next + 1 : this.next; ; place++) {
      if (left === 0 || this.#areControlFrames(left)) return true;
      if (left < 0 || place >= expected.length) return false;
      left -= this.#records.wireBytes(expected[place]);
    }
  }

  #areControlFrames(bytes: number): boolean {
    const singles = 1 + this.busyAsked - this.busySeen;
    const disconnects = this.notices.length - this.nextNotice + (this.farewell === null ? 0 : 1);
    let pushed = 0;
    for (let push = this.nextPush; ; push++) {
      for (let told = 0; told <= disconnects; told++) {
        const rest = bytes - pushed - told * disconnectFrameBytes;
        if (rest >= 0 && rest % controlFrameBytes === 0 && rest / controlFrameBytes <= singles) return true;
      }
      if (push >= this.pushes.length) return false;
      pushed += headerBytes + this.#pushBytes(this.pushes[push]);
    }
  }

  #complete(bytes: Uint8Array, at: number, end: number): number {
    let place = at;
    const want = () =>
      this.#partialBytes < headerBytes ? headerBytes : headerBytes + bodyLength(this.#partial, 0);
    while (place < end && this.#partialBytes < want()) {
      const take = Math.min(end - place, want() - this.#partialBytes);
      this.#keep(bytes, place, place + take);
      place += take;
    }
    if (this.#partialBytes >= headerBytes && this.#partialBytes === want()) {
      const length = this.#partialBytes - headerBytes;
      this.#partialBytes = 0;
      this.#frame(this.#partial, headerBytes, length);
    }
    return place;
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const needed = this.#partialBytes + to - from;
    if (needed > this.#partial.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = larger;
    }
    for (let place = from; place < to; place++) this.#partial[this.#partialBytes++] = bytes[place];
    if (this.#partialBytes >= headerBytes && bodyLength(this.#partial, 0) > 65_536) {
      throw this.#wrong(`a frame of ${bodyLength(this.#partial, 0)} bytes`);
    }
  }

  #frame(bytes: Uint8Array, at: number, length: number): void {
    const tag = bytes[at];
    if (this.farewellSeen) throw this.#wrong(`tag ${tag} after the disconnect frame`);
    if (tag === Tag.answer) this.#answer(bytes, at, length);
    else if (tag === Tag.end) this.#end(length);
    else if (this.#awaitsEnd) throw this.#wrong(`tag ${tag} between an answer and its end`);
    else if (tag === Tag.heartbeat) {
      this.#checkLength(length, 1);
      this.heartbeats++;
      this.#onHeartbeat();
    } else if (tag === Tag.busy) {
      this.#checkLength(length, 1);
      if (++this.busySeen > this.busyAsked) throw this.#wrong('a busy notice that nobody asked for');
    } else if (tag === Tag.push) this.#push(bytes, at, length);
    else if (tag === Tag.disconnect) {
      this.#checkLength(length, 2);
      this.#disconnect(bytes[at + 1]);
    } else throw this.#wrong(`tag ${tag}`);
  }

  #disconnect(reason: number): void {
    const isNotice = this.nextNotice < this.notices.length;
    const due = isNotice ? this.notices[this.nextNotice++] : this.farewell;
    if (reason !== due) throw this.#wrong(`a disconnect frame for ${reason}`);
    if (!isNotice) this.farewellSeen = true;
  }

  #answer(bytes: Uint8Array, at: number, length: number): void {
    const records = this.#records;
    this.skipSilent();
    const number = this.expected[this.next];
    if (number === undefined) throw this.#wrong('an answer, where none is left');
    if (this.#awaitsEnd || records.fails[number]) throw this.#wrong('an answer in place of an end');
    this.#checkLength(length, records.bytes[number]);
    this.#checkBody(bytes, at, length, Tag.answer, number);
    this.#mayLeave(number);
    if (records.last[number]) this.#awaitsEnd = true;
    else this.next++;
  }

  #end(length: number): void {
    this.#checkLength(length, 1);
    this.skipSilent();
    const number = this.expected[this.next];
    if (number === undefined || !records(this.#records, number, this.#awaitsEnd)) {
      throw this.#wrong('an end that belongs to no answer');
    }
    this.#mayLeave(number);
    this.#awaitsEnd = false;
    this.next++;
  }

  #push(bytes: Uint8Array, at: number, length: number): void {
    const number = this.pushes[this.nextPush];
    if (number === undefined) throw this.#wrong('a push that nobody asked for');
    this.#checkLength(length, this.#pushBytes(number));
    this.#checkBody(bytes, at, length, Tag.push, number);
    this.nextPush++;
  }

  /** Passes over records of which nothing is ever sent. */
  skipSilent(): void {
    const { fails, last } = this.#records;
    while (this.next < this.expected.length) {
      const number = this.expected[this.next];
      if (!fails[number] || last[number]) break;
      this.next++;
    }
  }

  #checkLength(length: number, expected: number): void {
    if (length !== expected) throw this.#wrong(`a body of ${length} bytes where ${expected} are due`);
  }

  #checkBody(bytes: Uint8Array, at: number, length: number, tag: number, number: number): void {
    const found = bytes[at + 1] | (bytes[at + 2] << 8) | (bytes[at + 3] << 16) | (bytes[at + 4] << 24);
    if (found !== (number | 0)) throw this.#wrong(`number ${found} where ${number} is due`);
    const seed = number * 31 + tag;
    for (let i = bodyHeadBytes; i < length; i++) {
      if (bytes[at + i] !== ((seed + i * 7) & 0xff)) throw this.#wrong(`byte ${i} of ${number} is changed`);
    }
  }

  #wrong(what: string): SimulationFailure {
    return new SimulationFailure('I02', `client ${this.id} got ${what}`);
  }
}

function records(all: Records, number: number, awaitsEnd: boolean): boolean {
  return awaitsEnd || (all.fails[number] && all.last[number]);
}

function bodyLength(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
