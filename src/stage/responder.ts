import type { Egress } from '../egress/egress.js';
import type { Encoder } from '../encode/encoder.js';
import type { Framing } from '../encode/framing.js';
import type { RecordInRing, RecordView } from '../ring/consumer.js';
import { RecordFlag } from '../ring/layout.js';
import { Bytes } from '../shared/bytes.js';
import { describe } from '../shared/describe.js';
import type { Logger } from '../shared/logger.js';

/** Encodes released records and appends them, each with its end-of-batch frame, whole or not at all. */
export class Responder {
  /** Of the last record: length of its body, -1 when there is none: its connection is gone, or the encoder failed. */
  bodyBytes = 0;
  readonly #egress: Egress;
  readonly #records: Bytes;
  readonly #framing: Framing;
  readonly #encoder: Encoder | null;
  readonly #logger: Logger;
  /** Encoders write here, never into a send buffer: one that overruns must not reach bytes the kernel reads. */
  readonly #body: Bytes;

  constructor(egress: Egress, records: Bytes, framing: Framing, encoder: Encoder | null, logger: Logger) {
    this.#egress = egress;
    this.#records = records;
    this.#framing = framing;
    this.#encoder = encoder;
    this.#logger = logger;
    this.#body = new Bytes(new Uint8Array(encoder?.bodyBytesMax ?? 0));
  }

  /** Answers on the record's connection. Returns its slot; -1 when the connection is gone, or was dropped by this. */
  respond(record: RecordInRing, nowNs: number): number {
    const egress = this.#egress;
    const { counters } = egress;
    const slot = egress.table.find(record.connectionId);
    if (slot < 0) {
      counters.recordsDiscarded++;
      this.bodyBytes = -1;
      return -1;
    }
    const tail = (record.flags & RecordFlag.lastInRequest) === 0 ? null : this.#framing.endOfBatch;
    const encoder = this.#encoder;
    const source = encoder === null ? this.#records : this.#body;
    const from = encoder === null ? record.payloadAt : 0;
    const length = encoder === null ? record.payloadBytes : this.#encode(encoder, record);
    this.bodyBytes = length;
    const appended =
      length >= 0
        ? egress.appendFrame(slot, source, from, length, tail, nowNs)
        : tail === null || egress.appendBytes(slot, tail, nowNs);
    if (!appended) {
      counters.recordsDiscarded++;
      return -1;
    }
    counters.recordsReleased++;
    return slot;
  }

  /** The first bytes of the last body: the caller's own copy, at most as long as `into`. */
  copyBody(record: RecordInRing, into: Uint8Array): Uint8Array {
    const length = Math.max(0, Math.min(this.bodyBytes, into.length));
    const source = this.#encoder === null ? record.bytes : this.#body.bytes;
    const copy = into.subarray(0, length);
    copy.set(source.subarray(0, length));
    return copy;
  }

  /** Length of the body, or -1 when the encoder has failed. */
  #encode(encoder: Encoder, record: RecordView): number {
    try {
      const length = encoder.encode(record, this.#body.bytes);
      if (Number.isInteger(length) && length >= 0 && length <= this.#body.bytes.length) return length;
      this.#failed(record, `returned ${length}, which is not a length from 0 to ${this.#body.bytes.length}`);
    } catch (error) {
      this.#failed(record, describe(error));
    }
    return -1;
  }

  #failed(record: RecordView, why: string): void {
    this.#egress.counters.encoderErrors++;
    this.#logger.error(
      { connectionId: record.connectionId, wireSeq: record.wireSeq, kind: record.kind, why },
      'encoder failed, the answer is lost',
    );
  }
}
