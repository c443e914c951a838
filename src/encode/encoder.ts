import { AckgateError } from '../errors.js';
import type { RecordView } from '../ring/consumer.js';
import { loadDefault } from '../shared/load-default.js';

/**
 * Turns a record into the body of its frame. Runs on the stage's thread for every record, after the gate: it must
 * be fast, must not block, and should not allocate.
 */
export interface Encoder {
  /** Largest body that `encode` ever writes, in bytes, 1 … 65,536 less framing. */
  readonly bodyBytesMax: number;
  /**
   * Writes the body to `out[0 …]` and returns its length. `out` is the same array at every call and exactly
   * `bodyBytesMax` long: what is written past it is lost. A length that does not fit, or an exception, is logged
   * and counted, and the record has no answer but its end-of-batch frame.
   */
  encode(record: RecordView, out: Uint8Array): number;
}

/** The encoder that a module has as its default export: the object itself, or a function that makes it. */
export async function loadEncoder(url: string): Promise<Encoder> {
  return checkEncoder(await loadDefault(url, 'encoder'), `default export of ${url}`);
}

export function checkEncoder(value: unknown, what: string): Encoder {
  const encoder = value as Partial<Encoder> | null | undefined;
  if (typeof encoder?.encode !== 'function') {
    throw new AckgateError(
      'ERR_ACKGATE_ENCODER_MODULE',
      `${what} must be an encoder: { bodyBytesMax, encode() }`,
    );
  }
  const { bodyBytesMax } = encoder;
  if (!Number.isInteger(bodyBytesMax) || !(bodyBytesMax! >= 1) || bodyBytesMax! > encoderBodyBytesMax) {
    throw new AckgateError(
      'ERR_ACKGATE_ENCODER_MODULE',
      `bodyBytesMax of ${what} must be an integer from 1 to ${encoderBodyBytesMax}, got ${String(bodyBytesMax)}`,
    );
  }
  return encoder as Encoder;
}

/** A frame and its end-of-batch frame must fit into one empty send buffer. */
export const encoderBodyBytesMax = 65_536 - 64;
