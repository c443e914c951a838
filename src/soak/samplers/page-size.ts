import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { AckgateError } from '../../errors.js';

/** `AT_PAGESZ` of the auxiliary vector. */
const pageSizeKey = 6n;

/** Out of an auxiliary vector: pairs of words, the first of them a key. Null when it isn't in there. */
export function pageSizeOf(auxv: Buffer, order: 'LE' | 'BE', wordBytes: 4 | 8): number | null {
  const word = (at: number): bigint => {
    if (wordBytes === 4) return BigInt(order === 'LE' ? auxv.readUInt32LE(at) : auxv.readUInt32BE(at));
    return order === 'LE' ? auxv.readBigUInt64LE(at) : auxv.readBigUInt64BE(at);
  };
  for (let at = 0; at + 2 * wordBytes <= auxv.length; at += 2 * wordBytes) {
    if (word(at) !== pageSizeKey) continue;
    const bytes = Number(word(at + wordBytes));
    return bytes > 0 ? bytes : null;
  }
  return null;
}

let known: number | null = null;

/** Of this machine, as the kernel told this process when it was started. */
export function pageSizeBytes(): number {
  if (known === null) {
    const wordBytes = ['arm', 'ia32', 'mips', 'mipsel', 'ppc', 's390'].includes(process.arch) ? 4 : 8;
    known = pageSizeOf(readFileSync('/proc/self/auxv'), endianness(), wordBytes);
    if (known === null)
      throw new AckgateError(
        'ERR_ACKGATE_SOAK_PLATFORM',
        "/proc/self/auxv has no page size: resident memory can't be read on this system",
      );
  }
  return known;
}
