import { randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync } from 'node:fs';
import { segmentPath, writeFileDurably, writeFully } from './files.js';
import {
  encodeFileHeader,
  encodeGroupHeader,
  fileHeaderBytes,
  type GroupHeader,
  groupHeaderBytes,
} from './format.js';

/** An empty segment, durable together with its name before anything is written into it. */
export interface Segment {
  path: string;
  salt: Buffer;
}

export function createSegment(directory: string, journalId: Buffer, first: number): Segment {
  const path = segmentPath(directory, first);
  const salt = randomBytes(8);
  writeFileDurably(path, encodeFileHeader('segment', { journalId, salt, sequence: first }));
  return { path, salt };
}

/** The writing end of one segment. An error of any method is final: what the file holds is unknown after it. */
export class SegmentWriter {
  readonly path: string;
  readonly salt: Buffer;
  readonly #fd: number;
  readonly #header = Buffer.alloc(groupHeaderBytes);
  #end = fileHeaderBytes;

  constructor(segment: Segment) {
    this.path = segment.path;
    this.salt = segment.salt;
    this.#fd = openSync(segment.path, 'r+');
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#end;
  }

  /** Writes one group; `records` are its records, already sealed with the salt. Not durable yet: see `sync`. */
  write(group: GroupHeader, records: readonly Uint8Array[]): void {
    encodeGroupHeader(this.#header, this.salt, this.#end, group);
    writeFully(this.#fd, [this.#header, ...records], this.#end);
    this.#end += groupHeaderBytes + group.bytes;
  }

  sync(): void {
    fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
