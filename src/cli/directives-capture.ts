import { shown } from './admin-client.js';

/** Bytes of a frame in one line, and lines of a frame. */
const bytesPerLine = 16;

/** Captured records, for people: what it was, how long it took, and what is known of the frame. */
export function captureText(entries: readonly unknown[]): string {
  if (entries.length === 0) return 'nothing was taken down\n';
  return `${entries.map((entry) => recordText(entry as Record<string, unknown>)).join('\n')}\n`;
}

function recordText(record: Record<string, unknown>): string {
  const number = (name: string) => (typeof record[name] === 'number' ? (record[name] as number) : 0);
  const at = new Date(number('unixMs'));
  const when = number('unixMs') > 0 && !Number.isNaN(at.getTime()) ? at.toISOString() : 'at an unknown time';
  const head =
    `#${number('number')}  ${when}  ${shown(record.level)}  connection ${number('connectionId')}  ` +
    `sequence ${number('wireSeq')}  request ${number('requestId')}  kind ${number('kind')}  ` +
    `flags ${number('flags')}  ${number('bodyBytes')} bytes`;
  const steps = [
    ['engine', number('receivedNs'), number('finishedNs')],
    ['ring', number('finishedNs'), number('seenNs')],
    ['held', number('seenNs'), number('releasedNs')],
    ['to the kernel', number('releasedNs'), number('deliveredNs')],
  ] as const;
  // 0 is no time: it was not told, not seen, or has not come yet.
  const times = steps.map(
    ([name, from, to]) => `${name} ${from > 0 && to >= from ? micros(to - from) : 'unknown'}`,
  );
  times.push(`encode ${number('encodeNs') > 0 ? micros(number('encodeNs')) : 'unknown'}`);
  const lines = [head, `    ${times.join(', ')}`];
  const body = typeof record.body === 'string' ? Buffer.from(record.body, 'hex') : Buffer.alloc(0);
  for (let start = 0; start < body.length; start += bytesPerLine) {
    lines.push(`    ${dump(body, start)}`);
  }
  return lines.join('\n');
}

function dump(body: Buffer, start: number): string {
  const bytes = body.subarray(start, start + bytesPerLine);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const letters = [...bytes].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'));
  return `${String(start).padStart(4, '0')}  ${hex.padEnd(bytesPerLine * 3 - 1)}  ${letters.join('')}`;
}

function micros(ns: number): string {
  return `${(ns / 1000).toFixed(1)} µs`;
}
