// How to bring a payload from its ring slot into a send buffer without allocating: behind src/shared/bytes.ts.
//
//   node bench/40-copy.mjs [--json] [--smoke]

import { Bytes, copyBytes } from '../dist/shared/bytes.js';
import { interleaved, machine } from './support/rounds.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const operations = smoke ? 2e4 : 2e6;
const rounds = smoke ? 2 : 7;
const slots = 4096;
const slotBytes = 512;
const payloadAt = 64;
/** Of a frame: it puts the body where it is not aligned as in the ring. */
const headerBytes = 4;
const arenaBytes = 4 << 20;

const ring = new SharedArrayBuffer(slots * slotBytes);
const arena = new SharedArrayBuffer(arenaBytes + slotBytes);
const source = new Uint8Array(ring).map((_, i) => i * 7);
new Uint8Array(ring).set(source);
const target = new Uint8Array(arena);
const words = new DataView(arena);
const from = new Bytes(new Uint8Array(ring));
const to = new Bytes(target);
const ringBytes = new Uint8Array(ring);
const views = Array.from({ length: slots }, (_, i) => new Uint8Array(ring, i * slotBytes + payloadAt, 448));

function timed(copy, length) {
  return () => {
    const start = process.hrtime.bigint();
    let at = 0;
    for (let i = 0; i < operations; i++) {
      copy(i & (slots - 1), at, length);
      at += length + headerBytes;
      if (at > arenaBytes - slotBytes) at = 0;
    }
    return Number(process.hrtime.bigint() - start) / operations;
  };
}

const copies = {
  words: (slot, at, length) => copyBytes(to, at, from, slot * slotBytes + payloadAt, length),
  'words from bytes': (slot, at, length) => {
    const view = views[slot];
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      words.setInt32(at + i, view[i] | (view[i + 1] << 8) | (view[i + 2] << 16) | (view[i + 3] << 24), true);
    }
    for (; i < length; i++) target[at + i] = view[i];
  },
  'whole slot': (slot, at) => target.set(views[slot], at),
  'view of the length': (slot, at, length) => {
    const start = slot * slotBytes + payloadAt;
    target.set(ringBytes.subarray(start, start + length), at);
  },
};

const results = [16, 32, 64, 256, 448].map((bytes) => ({
  bytes,
  nsPerCopy: interleaved(
    Object.fromEntries(Object.entries(copies).map(([name, copy]) => [name, timed(copy, bytes)])),
    rounds,
  ),
}));

if (json) console.log(JSON.stringify({ machine: machine(), smoke, results }));
else {
  console.log('ns per copy, median (quartiles);', JSON.stringify(machine()));
  for (const { bytes, nsPerCopy } of results) {
    for (const [name, { median, low, high }] of Object.entries(nsPerCopy)) {
      console.log(
        `${String(bytes).padStart(5)} B  ${name.padEnd(20)} ${median.toFixed(1)} (${low.toFixed(1)}–${high.toFixed(1)})`,
      );
    }
  }
}
