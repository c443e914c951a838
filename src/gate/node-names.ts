import { AckgateError } from '../errors.js';
import { namesOffset, nodeLines, Word } from '../shared/memory.js';

/**
 * Names and zones of the nodes, one 128-byte entry for each cursor line:
 *
 *     0   name length in bytes, u8; 0: the line is free
 *     1   zone length in bytes, u8; 0: no zone
 *     2   name, UTF-8, at most 62 bytes
 *    64   zone, UTF-8, at most 60 bytes
 *   124   zone id, i32: equal for equal zones, never given out twice; -1: no zone, the node stands alone
 *
 * Any thread may add one, under the lock word.
 */
const entryBytes = 128;
const nameAt = 2;
const zoneAt = 64;
const zoneIdAt = 124;
const nameBytesMax = zoneAt - nameAt;
const zoneBytesMax = zoneIdAt - zoneAt;
/** Adding a name takes microseconds; a lock held for longer belongs to a thread that died inside. */
const lockWaitMs = 1000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class NodeNames {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #ids: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer, namesOffset, nodeLines * entryBytes);
    this.#ids = new Int32Array(buffer, namesOffset, (nodeLines * entryBytes) / 4);
  }

  /** Number of lines that have, or had, a name; the primary's included. */
  get count(): number {
    return Math.max(1, Atomics.load(this.#words, Word.nodeCount));
  }

  name(line: number): string {
    return this.#text(line, 0, nameAt);
  }

  zone(line: number): string {
    return this.#text(line, 1, zoneAt);
  }

  /**
   * The line of the node, added when the name is new; `added` then runs under the lock, and `found` in any case.
   *
   * @throws ERR_ACKGATE_INVALID_ARGUMENT for a name or zone that is empty or too long, ERR_ACKGATE_CLUSTER_FULL
   */
  findOrAdd(
    name: string,
    zone: string | undefined,
    added: (line: number, zoneId: number) => void,
    found: (line: number) => void = () => {},
  ): number {
    const nameBytes = textBytes('node name', name, nameBytesMax);
    const zoneBytes = zone === undefined ? null : textBytes('zone', zone, zoneBytesMax);
    this.#lock();
    try {
      let line = this.#find(name);
      if (line >= 0) {
        if (zone !== undefined && this.zone(line) !== zone) {
          throw new AckgateError(
            'ERR_ACKGATE_INVALID_ARGUMENT',
            `zone of node "${name}" is "${this.zone(line)}" already, got "${zone}"`,
          );
        }
        found(line);
        return line;
      }
      line = this.#free();
      const zoneId = zone === undefined ? -1 : this.#zoneId(zone);
      const at = line * entryBytes;
      this.#bytes.set(nameBytes, at + nameAt);
      if (zoneBytes !== null) this.#bytes.set(zoneBytes, at + zoneAt);
      this.#bytes[at + 1] = zoneBytes?.length ?? 0;
      this.#bytes[at] = nameBytes.length;
      this.#ids[(at + zoneIdAt) >> 2] = zoneId;
      added(line, zoneId);
      if (line >= this.count) Atomics.store(this.#words, Word.nodeCount, line + 1);
      found(line);
      return line;
    } finally {
      this.#unlock();
    }
  }

  /** Frees a line for another node; `removed` runs under the lock. */
  remove(line: number, removed: () => void): void {
    this.#lock();
    try {
      this.#bytes[line * entryBytes] = 0;
      removed();
    } finally {
      this.#unlock();
    }
  }

  /** All that have a name, the primary first. */
  list(): { line: number; name: string; zone: string }[] {
    this.#lock();
    try {
      const named = [];
      for (let line = 0; line < this.count; line++) {
        const name = this.name(line);
        if (name !== '') named.push({ line, name, zone: this.zone(line) });
      }
      return named;
    } finally {
      this.#unlock();
    }
  }

  #zoneId(zone: string): number {
    for (let line = 0; line < this.count; line++) {
      if (this.#bytes[line * entryBytes] !== 0 && this.zone(line) === zone) {
        return this.#ids[(line * entryBytes + zoneIdAt) >> 2];
      }
    }
    return Atomics.add(this.#words, Word.zoneIds, 1);
  }

  #find(name: string): number {
    for (let line = 0; line < this.count; line++) {
      if (this.#bytes[line * entryBytes] !== 0 && this.name(line) === name) return line;
    }
    return -1;
  }

  #free(): number {
    for (let line = 0; line < nodeLines; line++) {
      if (this.#bytes[line * entryBytes] === 0) return line;
    }
    throw new AckgateError(
      'ERR_ACKGATE_CLUSTER_FULL',
      `${nodeLines - 1} nodes have a name already; retire() those that are gone for good`,
    );
  }

  #text(line: number, lengthAt: number, textAt: number): string {
    const at = line * entryBytes;
    const length = this.#bytes[at + lengthAt];
    return decoder.decode(this.#bytes.slice(at + textAt, at + textAt + length));
  }

  #lock(): void {
    const deadline = performance.now() + lockWaitMs;
    while (Atomics.compareExchange(this.#words, Word.namesLock, 0, 1) !== 0) {
      if (performance.now() > deadline) {
        throw new AckgateError('ERR_ACKGATE_CURSOR_CONTENDED', 'the list of node names stays locked');
      }
      Atomics.wait(this.#words, Word.namesLock, 1, 1);
    }
  }

  #unlock(): void {
    Atomics.store(this.#words, Word.namesLock, 0);
    Atomics.notify(this.#words, Word.namesLock, 1);
  }
}

function textBytes(what: string, text: string, bytesMax: number): Uint8Array {
  if (typeof text !== 'string' || text === '') {
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `${what} must be a non-empty string`);
  }
  const bytes = encoder.encode(text);
  if (bytes.length > bytesMax) {
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${what} must have at most ${bytesMax} bytes of UTF-8, got ${bytes.length}`,
    );
  }
  return bytes;
}
