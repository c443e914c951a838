import { AckgateError } from '../errors.js';
import { loadDefault } from '../shared/load-default.js';

/** First byte of a control body. Application bodies start with `applicationTagMin` or above. */
export const ControlTag = {
  /** Nothing else was sent for a while; the connection is alive. */
  heartbeat: 0x01,
  /** That was the last answer to a request. */
  endOfBatch: 0x02,
  /** Reserved: the engine could not answer. The stage never sends it. */
  engineError: 0x03,
  /** The server takes no more at the moment: `Stage.busy`. */
  serverBusy: 0x04,
  /** The connection is about to end, or the client is to go. Followed by one byte of reason. */
  disconnect: 0x05,
} as const;
/** The lowest first byte for bodies of the application's own, 0x10: those below are control bodies. */
export const applicationTagMin = 0x10;

/**
 * How bodies become frames on the wire, and what the control frames look like: one object, replaceable as a whole.
 * `writeHeader` is on the hot path and must not allocate.
 */
export interface Framing {
  /** Bytes that every frame has before its body, at most 16. */
  readonly headerBytes: number;
  /** Writes the header of a frame with `bodyBytes` bytes of body at `target[at …]`. */
  writeHeader(target: Uint8Array, at: number, bodyBytes: number): void;
  /** The whole frame of a heartbeat, header included, at most 32 bytes. */
  readonly heartbeat: Uint8Array;
  /** The same for the end of a batch: the last answer to a request went before it. */
  readonly endOfBatch: Uint8Array;
  /** The same for the server-busy notice. */
  readonly serverBusy: Uint8Array;
  /** Makes the frame that says why a connection ends. `reason`: 0 … 255. */
  disconnect(reason: number): Uint8Array;
}

const headerBytes = 4;

function writeHeader(target: Uint8Array, at: number, bodyBytes: number): void {
  target[at] = bodyBytes;
  target[at + 1] = bodyBytes >>> 8;
  target[at + 2] = bodyBytes >>> 16;
  target[at + 3] = bodyBytes >>> 24;
}

/** A frame of its own memory. */
export function frame(framing: Pick<Framing, 'headerBytes' | 'writeHeader'>, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(framing.headerBytes + body.length);
  framing.writeHeader(bytes, 0, body.length);
  bytes.set(body, framing.headerBytes);
  return bytes;
}

function control(...body: number[]): Uint8Array {
  return frame({ headerBytes, writeHeader }, Uint8Array.from(body));
}

/** Little-endian u32 length of what follows, then the body. */
export const lengthPrefixFraming: Framing = {
  headerBytes,
  writeHeader,
  heartbeat: control(ControlTag.heartbeat),
  endOfBatch: control(ControlTag.endOfBatch),
  serverBusy: control(ControlTag.serverBusy),
  disconnect: (reason) => control(ControlTag.disconnect, reason & 0xff),
};

const headerBytesMax = 16;
/** Control frames are small: each must fit behind any body. */
const controlBytesMax = 32;

/** The framing that a module has as its default export: the object itself, or a function that makes it. */
export async function loadFraming(url: string): Promise<Framing> {
  return checkFraming(await loadDefault(url, 'framing'), `default export of ${url}`);
}

/** @throws ERR_ACKGATE_ENCODER_MODULE */
export function checkFraming(value: unknown, what: string): Framing {
  const framing = value as Partial<Framing> | null | undefined;
  const refuse = (why: string) =>
    new AckgateError('ERR_ACKGATE_ENCODER_MODULE', `${what} is no framing: ${why}`);
  if (typeof framing?.writeHeader !== 'function' || typeof framing.disconnect !== 'function') {
    throw refuse('writeHeader() and disconnect() are needed');
  }
  const { headerBytes } = framing;
  if (!Number.isInteger(headerBytes) || !(headerBytes! >= 0) || headerBytes! > headerBytesMax) {
    throw refuse(`headerBytes must be an integer from 0 to ${headerBytesMax}, got ${String(headerBytes)}`);
  }
  for (const name of ['heartbeat', 'endOfBatch', 'serverBusy'] as const) {
    const bytes = framing[name];
    if (!(bytes instanceof Uint8Array) || bytes.length > controlBytesMax) {
      throw refuse(`${name} must be a Uint8Array of at most ${controlBytesMax} bytes`);
    }
  }
  return framing as Framing;
}
