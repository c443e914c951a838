/** First byte of a control body. Application bodies start with `applicationTagMin` or above. */
export const ControlTag = {
  heartbeat: 0x01,
  endOfBatch: 0x02,
  engineError: 0x03,
  serverBusy: 0x04,
  /** Followed by one byte of reason. */
  disconnect: 0x05,
} as const;
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
  /** Whole control frames, header included. */
  readonly heartbeat: Uint8Array;
  readonly endOfBatch: Uint8Array;
  readonly serverBusy: Uint8Array;
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
