import { ControlTag } from '../encode/framing.js';
import { AckgateRangeError } from '../errors.js';
import { type FrameDecoder, LengthPrefixDecoder } from './frame-decoder.js';

/** First byte of what supervisor and client say to each other besides the application's own bodies. */
export const PushTag = {
  /** Server to client: followed by the correlation id, a little-endian u64, and the payload. */
  push: 0x06,
  /** Client to server: followed by the correlation id of the push that it answers, and the payload. */
  reply: 0x07,
} as const;

const pushHeaderBytes = 9;

/** A client's answer to a push. */
export interface Reply {
  /** That of the push which it answers. */
  readonly correlationId: number;
  /** What the client says, without the header. */
  readonly payload: Uint8Array;
}

/** What clients and server agree on, from the server's side: one object, replaceable as a whole. */
export interface ClientProtocol {
  /** Makes what cuts the bytes of one connection into bodies of at most so many bytes. Called once for each. */
  decoder(bodyBytesMax: number): FrameDecoder;
  /** Whether this is a client's word that it leaves: it is sent no more but what it has coming. */
  isDisconnect(body: Uint8Array): boolean;
  /** The reply that this body is, or null. What it throws, for one that can't be read, ends the connection. */
  readReply(body: Uint8Array): Reply | null;
  /** The body that carries a push; the stage frames it. */
  writePush(correlationId: number, payload: Uint8Array): Uint8Array;
}

/**
 * Frames of a little-endian u32 length and a body, as `lengthPrefixFraming` sends them. Bodies that begin with
 * `ControlTag.disconnect` or `PushTag.reply` are for the supervisor; all others go to the application.
 */
export const lengthPrefixProtocol: ClientProtocol = {
  decoder: (bodyBytesMax) => new LengthPrefixDecoder(bodyBytesMax),
  isDisconnect: (body) => body[0] === ControlTag.disconnect,
  readReply(body) {
    if (body[0] !== PushTag.reply) return null;
    if (body.length < pushHeaderBytes) throw truncated(body);
    const view = new DataView(body.buffer, body.byteOffset, pushHeaderBytes);
    const correlationId = view.getUint32(1, true) + view.getUint32(5, true) * 2 ** 32;
    return { correlationId, payload: body.subarray(pushHeaderBytes) };
  },
  writePush(correlationId, payload) {
    const body = new Uint8Array(pushHeaderBytes + payload.length);
    const view = new DataView(body.buffer);
    view.setUint8(0, PushTag.push);
    view.setUint32(1, correlationId >>> 0, true);
    view.setUint32(5, Math.floor(correlationId / 2 ** 32), true);
    body.set(payload, pushHeaderBytes);
    return body;
  },
};

function truncated({ length }: Uint8Array): AckgateRangeError {
  return new AckgateRangeError(
    'ERR_ACKGATE_OUT_OF_RANGE',
    `a reply to a push has at least ${pushHeaderBytes} bytes, got ${length}`,
  );
}
