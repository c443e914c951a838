import { customModeByte, modeFromByte, Policy, type ResolvedPolicy, resolvePolicy } from '../policy/index.js';
import { Consumer, type RecordInRing } from '../ring/consumer.js';
import { claimFull, claimOversize, Producer } from '../ring/producer.js';
import type { Bytes } from '../shared/bytes.js';
import type { StageMemory } from '../shared/memory.js';

/**
 * Records of the control ring, control thread → stage; the fields of the ring's slots are used as follows:
 *
 *     kind         connectionId   wireSeq                receivedNs         payload
 *     attach       connection     slot                   fd
 *     disconnect   connection     output ring position   1: drained, 0: now  disconnect frame's reason, or nothing
 *     push         connection                                               body
 *     busy         connection
 *     notice       connection     disconnect frame's reason
 *     mode                        byte of the mode                          custom policy's text
 *     drain                       drain time in ns
 *     tenant       connection     key of the tenant
 *     raise        connection     index of the level     unix ms of expiry
 */
const ControlKind = {
  attach: 1,
  disconnect: 2,
  push: 3,
  busy: 4,
  mode: 5,
  drain: 6,
  tenant: 7,
  raise: 8,
  notice: 9,
} as const;

const decoder = new TextDecoder();

export type ControlResult = true | 'full' | 'oversize';

/** The control thread's end. */
export class ControlWriter {
  readonly #ring: Producer;
  readonly #wake: () => void;

  constructor(memory: StageMemory, wake: () => void) {
    this.#ring = new Producer(memory.control);
    this.#wake = wake;
  }

  attach(connectionId: number, slot: number, fd: number): ControlResult {
    return this.#send(ControlKind.attach, connectionId, slot, fd, null);
  }

  /** `position`: what was published for it to the output ring before that place goes first; null: at once. */
  disconnect(connectionId: number, position: number | null, reason: number | undefined): ControlResult {
    const body = reason === undefined ? null : Uint8Array.of(reason);
    const value = position === null ? 0 : position >>> 0;
    return this.#send(ControlKind.disconnect, connectionId, value, position === null ? 0 : 1, body);
  }

  push(connectionId: number, body: Uint8Array): ControlResult {
    return this.#send(ControlKind.push, connectionId, 0, 0, body);
  }

  busy(connectionId: number): ControlResult {
    return this.#send(ControlKind.busy, connectionId, 0, 0, null);
  }

  notice(connectionId: number, reason: number): ControlResult {
    return this.#send(ControlKind.notice, connectionId, reason, 0, null);
  }

  mode(policy: ResolvedPolicy): ControlResult {
    const text = policy.byte === customModeByte ? new TextEncoder().encode(policy.policy.toString()) : null;
    return this.#send(ControlKind.mode, 0, policy.byte, 0, text);
  }

  drain(drainNs: number): ControlResult {
    return this.#send(ControlKind.drain, 0, drainNs, 0, null);
  }

  tenant(connectionId: number, key: number): ControlResult {
    return this.#send(ControlKind.tenant, connectionId, key, 0, null);
  }

  raise(connectionId: number, level: number, expiresAt: number): ControlResult {
    return this.#send(ControlKind.raise, connectionId, level, expiresAt, null);
  }

  #send(kind: number, id: number, value: number, extra: number, body: Uint8Array | null): ControlResult {
    const at = this.#ring.claim(body === null ? 0 : body.length);
    if (at === claimFull) return 'full';
    if (at === claimOversize) return 'oversize';
    if (body !== null) this.#ring.bytes.set(body, at);
    this.#ring.publish(id, value, 0, kind, extra);
    this.#wake();
    return true;
  }
}

/** Descriptors of attach commands that the stage has not taken, once it never will. */
export function unclaimedFds(memory: StageMemory): number[] {
  const fds: number[] = [];
  new Consumer(memory.control, { lazyViews: true }).poll((record) => {
    if (record.kind === ControlKind.attach) fds.push(record.receivedNs);
    return true;
  });
  return fds;
}

/** What the stage does on commands about one connection. */
export interface ConnectionHandlers {
  attach(connectionId: number, slot: number, fd: number): void;
  disconnectNow(connectionId: number, reason: number | null): void;
  disconnectDrained(connectionId: number, position: number, reason: number | null): void;
  /** The body is `length` bytes of `source` from `from` on, and the ring's again after the call. */
  push(connectionId: number, source: Bytes, from: number, length: number): void;
  busy(connectionId: number): void;
  notice(connectionId: number, reason: number): void;
  tenant(connectionId: number, key: number): void;
  raise(connectionId: number, level: number, expiresAt: number): void;
}

/** What the stage does on each command. */
export interface ControlHandlers extends ConnectionHandlers {
  setPolicy(policy: ResolvedPolicy): void;
  /** A mode byte, or policy text, that means nothing: the policy in force stays. */
  corruptMode(byte: number, text: string): void;
  drain(drainNs: number): void;
}

/** The stage's end. */
export class ControlReader {
  readonly #ring: Consumer;
  readonly #handlers: ControlHandlers;

  constructor(memory: StageMemory, handlers: ControlHandlers) {
    this.#ring = new Consumer(memory.control, { lazyViews: true });
    this.#handlers = handlers;
  }

  get pending(): boolean {
    return this.#ring.available() > 0;
  }

  /** Takes every command there is. Returns how many. */
  take(): number {
    const count = this.#ring.available();
    let taken = 0;
    try {
      while (taken < count) this.#dispatch(this.#ring.at(taken++));
    } finally {
      // Also when a command failed: a descriptor that the stage has taken must not look unclaimed.
      if (taken > 0) this.#ring.release(taken);
    }
    return taken;
  }

  #dispatch(record: RecordInRing): void {
    const handlers = this.#handlers;
    const { connectionId, wireSeq: value, receivedNs: extra, bytes, payloadBytes } = record;
    switch (record.kind) {
      case ControlKind.attach:
        handlers.attach(connectionId, value, extra);
        break;
      case ControlKind.disconnect: {
        const reason = payloadBytes > 0 ? bytes[0] : null;
        if (extra === 1) handlers.disconnectDrained(connectionId, value | 0, reason);
        else handlers.disconnectNow(connectionId, reason);
        break;
      }
      case ControlKind.push:
        handlers.push(connectionId, this.#ring.memory, record.payloadAt, payloadBytes);
        break;
      case ControlKind.busy:
        handlers.busy(connectionId);
        break;
      case ControlKind.notice:
        handlers.notice(connectionId, value);
        break;
      case ControlKind.mode:
        this.#mode(value, decoder.decode(bytes.slice(0, payloadBytes)));
        break;
      case ControlKind.drain:
        handlers.drain(value);
        break;
      case ControlKind.tenant:
        handlers.tenant(connectionId, value);
        break;
      case ControlKind.raise:
        handlers.raise(connectionId, value, extra);
        break;
    }
  }

  #mode(byte: number, text: string): void {
    const policy = readPolicy(byte, text);
    if (policy === null) this.#handlers.corruptMode(byte, text);
    else this.#handlers.setPolicy(policy);
  }
}

/** The policy of a mode byte, or of a custom policy's text; null when there is none: never a guess. */
function readPolicy(byte: number, text: string): ResolvedPolicy | null {
  const mode = modeFromByte(byte);
  if (mode !== null) return resolvePolicy(mode);
  if (byte !== customModeByte) return null;
  try {
    return { mode: 'custom', byte, policy: Policy.parse(text) };
  } catch {
    return null;
  }
}
