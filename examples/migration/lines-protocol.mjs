import { lengthPrefixProtocol } from 'ackgate/supervisor';

/** Cuts what a client sends into lines. */
class LineDecoder {
  /** @type {import('ackgate/supervisor').FrameFault | null} */
  fault = null;
  #held = Buffer.alloc(0);
  #bodyBytesMax;

  /** @param {number} bodyBytesMax */
  constructor(bodyBytesMax) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  get heldBytes() {
    return this.#held.length;
  }

  /** @param {Uint8Array} chunk */
  push(chunk) {
    this.#held = Buffer.concat([this.#held, chunk]);
  }

  next() {
    const end = this.#held.indexOf('\n');
    const bytes = end < 0 ? this.#held.length : end;
    if (bytes > this.#bodyBytesMax) this.fault = 'oversize-frame';
    if (end < 0 || this.fault !== null) return null;
    const body = this.#held.subarray(0, this.#held[end - 1] === 0x0d ? end - 1 : end);
    this.#held = this.#held.subarray(end + 1);
    return body;
  }
}

/**
 * What clients send, for the supervisor; what they are sent is in lines-framing.mjs.
 *
 * @type {import('ackgate/supervisor').ClientProtocol}
 */
export const linesProtocol = {
  ...lengthPrefixProtocol, // for pushes, which this server has none of
  decoder: (bodyBytesMax) => new LineDecoder(bodyBytesMax),
  isDisconnect: () => false,
  readReply: () => null,
};
