import { crc32 } from 'node:zlib';
import { highWord, joinWords, lowWord } from '../shared/wide.js';
import { implausibleTerm, isPlausibleTerm } from './messages.js';

/**
 * Records on their way from a primary to its replicas, published or fetched. Little-endian:
 *
 *      0  crc      u32   of everything after this field
 *      4  magic    u32   "AKB" and the version
 *      8  term     u64
 *     16  primary        id of the primary, 16 bytes
 *     32  first    u64   sequence of the first record; without records: of the one that would be next
 *     40  last     u64   highest sequence that the primary has
 *     48  count    u32   of records
 *     52  bytes    u32   of records
 *     56  records        each: u32 length of the payload, bit 31: its batch goes on; then the payload
 *
 * Without records it is the primary's beacon: it is there, and how far it is.
 */
export const batchHeaderBytes = 56;
export const recordOverheadBytes = 4;
const version = 1;
const letters = 0x42_4b41; // "AKB"
const magic = version * 2 ** 24 + letters;
const goesOnBit = 0x8000_0000;
const At = { crc: 0, magic: 4, term: 8, primary: 16, first: 32, last: 40, count: 48, bytes: 52 } as const;

export interface BatchRecord {
  readonly payload: Uint8Array;
  /** The next record belongs to the same batch. */
  readonly goesOn: boolean;
}

export interface BatchMessage {
  readonly term: number;
  /** A UUID. */
  readonly primaryId: string;
  readonly first: number;
  readonly last: number;
  /** Payloads are views of the message. */
  readonly records: readonly BatchRecord[];
}

/** Puts one message together, record by record, in memory of its own. */
export class BatchWriter {
  readonly bytes: Buffer;
  #end = batchHeaderBytes;
  #count = 0;

  /** @param bytesMax room for the whole message */
  constructor(bytesMax: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytesMax);
  }

  get count(): number {
    return this.#count;
  }

  hasRoom(payloadBytes: number): boolean {
    return this.#end + recordOverheadBytes + payloadBytes <= this.bytes.length;
  }

  /** Adds a record and returns where its payload is to be put. */
  add(payloadBytes: number, goesOn: boolean): Buffer {
    this.bytes.writeUInt32LE(goesOn ? payloadBytes + goesOnBit : payloadBytes, this.#end);
    const start = this.#end + recordOverheadBytes;
    this.#end = start + payloadBytes;
    this.#count++;
    return this.bytes.subarray(start, this.#end);
  }

  seal(head: { term: number; primaryId: string; first: number; last: number }): Buffer {
    const message = this.bytes.subarray(0, this.#end);
    message.writeUInt32LE(magic, At.magic);
    writeWide(message, At.term, head.term);
    message.write(head.primaryId.replaceAll('-', ''), At.primary, 'hex');
    writeWide(message, At.first, head.first);
    writeWide(message, At.last, head.last);
    message.writeUInt32LE(this.#count, At.count);
    message.writeUInt32LE(this.#end - batchHeaderBytes, At.bytes);
    message.writeUInt32LE(crc32(message.subarray(At.magic)), At.crc);
    return message;
  }
}

export function encodeBatch({ records, ...head }: BatchMessage): Buffer {
  const bytes = records.reduce((sum, { payload }) => sum + recordOverheadBytes + payload.length, 0);
  const writer = new BatchWriter(batchHeaderBytes + bytes);
  for (const { payload, goesOn } of records) writer.add(payload.length, goesOn).set(payload);
  return writer.seal(head);
}

/** One message of several of one primary, which follow one another. */
export function joinBatches(messages: readonly Buffer[]): Buffer {
  if (messages.length === 1) return messages[0]!;
  const joined = Buffer.concat(
    messages.map((bytes, i) => (i === 0 ? bytes : bytes.subarray(batchHeaderBytes))),
  );
  const count = messages.reduce((sum, bytes) => sum + bytes.readUInt32LE(At.count), 0);
  writeWide(joined, At.last, readWide(messages.at(-1)!, At.last));
  joined.writeUInt32LE(count, At.count);
  joined.writeUInt32LE(joined.length - batchHeaderBytes, At.bytes);
  joined.writeUInt32LE(crc32(joined.subarray(At.magic)), At.crc);
  return joined;
}

/** The message, or in words what is wrong with it. */
export function decodeBatch(data: Uint8Array): BatchMessage | string {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length < batchHeaderBytes) return `it ends within its header, after ${bytes.length} bytes`;
  const found = bytes.readUInt32LE(At.magic);
  if (found !== magic) {
    return found % 2 ** 24 === letters
      ? `it is of version ${found >>> 24}, this node understands ${version}`
      : 'it is not a batch';
  }
  if (crc32(bytes.subarray(At.magic)) !== bytes.readUInt32LE(At.crc)) return 'its checksum is wrong';
  const term = readWide(bytes, At.term);
  const first = readWide(bytes, At.first);
  const last = readWide(bytes, At.last);
  const count = bytes.readUInt32LE(At.count);
  if (bytes.readUInt32LE(At.bytes) !== bytes.length - batchHeaderBytes) return 'its length is wrong';
  if (![term, first, last].every(Number.isSafeInteger) || term < 1 || first < 1 || last < first + count - 1) {
    return 'its sequences are wrong';
  }
  if (!isPlausibleTerm(term)) return implausibleTerm;
  const records = readRecords(bytes, count);
  if (typeof records === 'string') return records;
  return { term, primaryId: readUuid(bytes), first, last, records };
}

function readRecords(bytes: Buffer, count: number): BatchRecord[] | string {
  const records: BatchRecord[] = [];
  let at = batchHeaderBytes;
  while (at + recordOverheadBytes <= bytes.length && records.length < count) {
    const word = bytes.readUInt32LE(at);
    const start = at + recordOverheadBytes;
    at = start + (word % goesOnBit);
    if (at > bytes.length) break;
    records.push({ payload: bytes.subarray(start, at), goesOn: word >= goesOnBit });
  }
  return records.length === count && at === bytes.length ? records : 'its records are wrong';
}

/** Who has sent a batch, also one of a version that is not known; null: it is none. */
export function senderOfBatch(data: Uint8Array): string | null {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const isBatch = bytes.length >= batchHeaderBytes && bytes.readUInt32LE(At.magic) % 2 ** 24 === letters;
  return isBatch ? readUuid(bytes) : null;
}

function readUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex', At.primary, At.primary + 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function readWide(bytes: Buffer, at: number): number {
  return joinWords(bytes.readInt32LE(at), bytes.readInt32LE(at + 4));
}

function writeWide(bytes: Buffer, at: number, value: number): void {
  bytes.writeInt32LE(lowWord(value), at);
  bytes.writeInt32LE(highWord(value), at + 4);
}
