import { crc32 } from 'node:zlib';
import { highWord, joinWords, lowWord } from '../shared/wide.js';

/*
 * A journal is a directory. All numbers are little-endian; `crc` is CRC-32 as in zlib.
 *
 *   journal                        what the journal is: one file header, sequence = oldest sequence that must be there
 *   00000000000000000001.segment   a segment: one file header, sequence = that of its first record, then groups
 *   00000000000000048213.segment
 *   lock                           see lock.ts
 *   *.tmp                          a file that was never finished; removed on open
 *
 * File header, 64 bytes                       Group, 40 bytes, then its records
 *    0  magic       8 bytes                      0  magic     u32
 *    8  version     u32                          4  crc       u32   of the salt and bytes 8 … 39
 *   12  (zero)      u32                          8  salt      8 bytes, the segment's
 *   16  journal id  16 bytes                    16  offset    u64   of this header in its file
 *   32  salt        8 bytes                     24  sequence  u64   of its first record
 *   40  sequence    u64                         32  bytes     u32   of its records, padding included
 *   48  (zero)      12 bytes                    36  count     u32   of its records; 0 in the seal of a closed journal
 *   60  crc         u32   of bytes 0 … 59
 *                                             Record, 16 bytes, then its payload, then zeros up to a multiple of 8
 *                                                0  crc       u32   of the salt and everything after this field
 *                                                4  length    u32   of the payload; bit 31: its batch goes on
 *                                                8  sequence  u64
 *
 * A group is what one write and one fdatasync made durable. The next group is begun only after that fdatasync has
 * returned, so a valid group header says: everything before me was durable. The salt, drawn for every segment, and
 * the offset keep whatever a disk block held before from being taken for a part of this file.
 */
export const formatVersion = 1;

export const fileHeaderBytes = 64;
export const groupHeaderBytes = 40;
export const recordHeaderBytes = 16;
const recordAlign = 8;

export const RecordField = { crc: 0, length: 4, sequence: 8 } as const;
export const batchGoesOn = 0x8000_0000;

const fileMagic = { journal: 'ACKGJRNL', segment: 'ACKGSEGM' } as const;
const groupMagic = 0x50524741; // "AGRP"

/** Bytes that a record takes, header and padding included; always a multiple of 8. */
export function recordBytes(payloadBytes: number): number {
  return (recordHeaderBytes + payloadBytes + recordAlign - 1) & ~(recordAlign - 1);
}

export interface FileHeader {
  journalId: Buffer;
  salt: Buffer;
  sequence: number;
}

export function encodeFileHeader(kind: keyof typeof fileMagic, header: FileHeader): Buffer {
  const bytes = Buffer.alloc(fileHeaderBytes);
  bytes.write(fileMagic[kind], 0, 'latin1');
  bytes.writeUInt32LE(formatVersion, 8);
  header.journalId.copy(bytes, 16);
  header.salt.copy(bytes, 32);
  writeWide(bytes, 40, header.sequence);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

/** The header, or in words what is wrong with it. */
export function decodeFileHeader(kind: keyof typeof fileMagic, bytes: Buffer): FileHeader | string {
  if (bytes.length < fileHeaderBytes) return `the file ends within its header, after ${bytes.length} bytes`;
  if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) return 'the checksum of the header is wrong';
  if (bytes.toString('latin1', 0, 8) !== fileMagic[kind]) return `this is not a ${kind} file`;
  const version = bytes.readUInt32LE(8);
  if (version !== formatVersion) return `its format is ${version}, this version reads ${formatVersion}`;
  return {
    journalId: Buffer.from(bytes.subarray(16, 32)),
    salt: Buffer.from(bytes.subarray(32, 40)),
    sequence: readWide(bytes, 40),
  };
}

export interface GroupHeader {
  sequence: number;
  bytes: number;
  count: number;
}

export function encodeGroupHeader(into: Buffer, salt: Buffer, offset: number, group: GroupHeader): void {
  into.writeUInt32LE(groupMagic, 0);
  salt.copy(into, 8);
  writeWide(into, 16, offset);
  writeWide(into, 24, group.sequence);
  into.writeUInt32LE(group.bytes, 32);
  into.writeUInt32LE(group.count, 36);
  into.writeUInt32LE(crc32(into.subarray(8, groupHeaderBytes), crc32(salt)), 4);
}

/** The header of the group at `offset` of a segment's bytes, or null when there is no valid one. */
export function decodeGroupHeader(file: Buffer, salt: Buffer, offset: number): GroupHeader | null {
  if (offset + groupHeaderBytes > file.length || file.readUInt32LE(offset) !== groupMagic) return null;
  const header = file.subarray(offset, offset + groupHeaderBytes);
  if (!header.subarray(8, 16).equals(salt) || readWide(header, 16) !== offset) return null;
  if (crc32(header.subarray(8), crc32(salt)) !== header.readUInt32LE(4)) return null;
  return {
    sequence: readWide(header, 24),
    bytes: header.readUInt32LE(32),
    count: header.readUInt32LE(36),
  };
}

/** What the checksum of a segment's records starts from. */
export function recordSeed(salt: Buffer): number {
  return crc32(salt);
}

export function readWide(bytes: Buffer, at: number): number {
  return joinWords(bytes.readInt32LE(at), bytes.readUInt32LE(at + 4));
}

function writeWide(bytes: Buffer, at: number, value: number): void {
  bytes.writeInt32LE(lowWord(value), at);
  bytes.writeUInt32LE(highWord(value), at + 4);
}
