import { crc32 } from 'node:zlib';
import {
  batchGoesOn,
  decodeGroupHeader,
  type FileHeader,
  fileHeaderBytes,
  groupHeaderBytes,
  RecordField,
  readWide,
  recordBytes,
  recordHeaderBytes,
  recordSeed,
} from './format.js';

/** Where a segment stops making sense, and why. */
export interface Fault {
  offset: number;
  reason: string;
}

/** Walks the records of one segment, checking every byte on the way. */
export class SegmentScanner {
  /** Sequence of the record that `next` found. */
  sequence: number;
  /** Whether its batch goes on with the next record. */
  goesOn = false;
  /** Set when `next` returned false because of what it found, not because the file ended. */
  fault: Fault | null = null;
  /** Where the last whole batch ends: what may be kept. */
  wholeEnd = fileHeaderBytes;
  /** Sequence of the last record of the last whole batch. */
  wholeSequence: number;
  /** Where the last group starts that has records before `wholeEnd`, or 0. */
  wholeGroup = 0;

  readonly #file: Buffer;
  readonly #salt: Buffer;
  readonly #seed: number;
  #at = fileHeaderBytes;
  #group = 0;
  #groupEnd = fileHeaderBytes;
  #groupLeft = 0;
  #payloadAt = 0;
  #payloadEnd = 0;

  /** @param file all bytes of the segment, whose header is already known to be good */
  constructor(file: Buffer, header: FileHeader) {
    this.#file = file;
    this.#salt = header.salt;
    this.#seed = recordSeed(header.salt);
    this.sequence = header.sequence - 1;
    this.wholeSequence = this.sequence;
  }

  get payload(): Buffer {
    return this.#file.subarray(this.#payloadAt, this.#payloadEnd);
  }

  /** Moves to the next record. */
  next(): boolean {
    while (this.#groupLeft === 0) {
      if (this.#at !== this.#groupEnd) return this.#stop('the group is longer than its records');
      if (this.#at === this.#file.length || !this.#enterGroup()) return false;
    }
    // Recovery cuts between two batches, which may be in the middle of a group.
    if (this.#at === this.#file.length) return false;
    return this.#enterRecord();
  }

  /**
   * Looks for a group from the fault on. One is proof that everything before it was durable when it was written, so
   * that the fault is no torn tail. Returns its offset, or 0.
   */
  groupAfterFault(): number {
    for (let at = this.fault!.offset; at + groupHeaderBytes <= this.#file.length; at += 8) {
      if (decodeGroupHeader(this.#file, this.#salt, at) !== null) return at;
    }
    return 0;
  }

  #enterGroup(): boolean {
    const group = decodeGroupHeader(this.#file, this.#salt, this.#at);
    if (group === null) return this.#stop('no valid group header');
    if (group.sequence !== this.sequence + 1) {
      return this.#stop(`the group starts with sequence ${group.sequence}, not ${this.sequence + 1}`);
    }
    this.#group = this.#at;
    this.#at += groupHeaderBytes;
    this.#groupEnd = this.#at + group.bytes;
    this.#groupLeft = group.count;
    if (group.count === 0) this.wholeEnd = this.#at;
    return true;
  }

  #enterRecord(): boolean {
    const file = this.#file;
    const at = this.#at;
    const roomEnd = Math.min(this.#groupEnd, file.length);
    if (at + recordHeaderBytes > roomEnd) return this.#stop('the record header is incomplete');
    const word = file.readUInt32LE(at + RecordField.length);
    const length = word % batchGoesOn;
    const end = at + recordBytes(length);
    if (length > roomEnd - at || end > roomEnd)
      return this.#stop('the record is incomplete or its length is wrong');
    if (crc32(file.subarray(at + RecordField.length, end), this.#seed) !== file.readUInt32LE(at)) {
      return this.#stop('the checksum of the record is wrong');
    }
    const sequence = readWide(file, at + RecordField.sequence);
    if (sequence !== this.sequence + 1) {
      return this.#stop(`the record has sequence ${sequence}, not ${this.sequence + 1}`);
    }
    this.sequence = sequence;
    this.#payloadAt = at + recordHeaderBytes;
    this.#payloadEnd = this.#payloadAt + length;
    this.#at = end;
    this.#groupLeft--;
    this.goesOn = word >= batchGoesOn;
    if (!this.goesOn) {
      this.wholeEnd = end;
      this.wholeSequence = sequence;
      this.wholeGroup = this.#group;
    }
    return true;
  }

  #stop(reason: string): false {
    this.fault = { offset: this.#at, reason };
    return false;
  }
}
