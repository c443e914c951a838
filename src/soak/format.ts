/** Figures with their units, for sentences and tables. What is not a number is said to be unknown. */

const KiB = 1024;
const MiB = 1024 * KiB;
const unknown = 'unknown';

const known = (value: number | null): value is number => value !== null && Number.isFinite(value);

// Made once: it takes longer than all the rest of a judgement.
const formats = Array.from({ length: 5 }, (_, digits) => {
  const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat('en-US', fixed);
});
const upToTwo = new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 });

/** Rounds first: -0.04 is 0.0, not -0.0. */
const rounded = (value: number, digits: number) => Number(value.toFixed(digits)) || 0;

const grouped = (value: number, digits: 0 | 1 | 2 | 3 | 4): string =>
  formats[digits]!.format(rounded(value, digits));

/** Such as `1,234` or `2.5`: at most two digits behind the point. */
export function count(value: number | null): string {
  return known(value) ? upToTwo.format(rounded(value, 2)) : unknown;
}

/** Such as `12.3 MiB`; below 0.1 MiB `64 B` or `12.3 KiB`. */
export function bytes(value: number | null): string {
  if (!known(value)) return unknown;
  const size = Math.abs(value);
  if (size === 0 || size >= MiB / 10) return `${grouped(value / MiB, 1)} MiB`;
  return size >= KiB ? `${grouped(value / KiB, 1)} KiB` : `${count(value)} B`;
}

/** Like `bytes`, and exact where it would read like the limit that it is not. */
export function bytesBeside(value: number | null, limit: number): string {
  const text = bytes(value);
  return known(value) && value !== limit && text === bytes(limit) ? `${text} (${count(value)} bytes)` : text;
}

/** What a slope is measured in. */
export type SlopeUnit = 'bytes' | 'count';

/** Such as `15.2 MiB/h` or `1.5/h`. */
export function perHour(value: number | null, unit: SlopeUnit): string {
  if (!known(value)) return unknown;
  return unit === 'bytes' ? `${grouped(value / MiB, 1)} MiB/h` : `${count(value)}/h`;
}

/** Such as `0.42 ms`, `12.3 ms` or `1,234 ms`. */
export function ms(value: number | null): string {
  if (!known(value)) return unknown;
  const size = Math.abs(value);
  return `${grouped(value, size < 10 ? 2 : size < 100 ? 1 : 0)} ms`;
}

/** Of a share: 0.123 is `12.3 %`. */
export function percent(share: number | null, digits: 0 | 1 | 2 | 3 | 4 = 1): string {
  return known(share) ? `${grouped(share * 100, digits)} %` : unknown;
}

const units: readonly (readonly [string, number])[] = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

/** Of milliseconds, in the two largest units: `45 s`, `1 h 30 min`, `2 d 3 h`; below ten seconds `1.5 s`. */
export function duration(milliseconds: number | null): string {
  if (!known(milliseconds)) return unknown;
  if (Math.abs(milliseconds) < 1000) return ms(milliseconds);
  if (milliseconds < 10_000) return `${count(Number((milliseconds / 1000).toFixed(1)))} s`;
  let seconds = Math.round(milliseconds / 1000);
  const first = units.findIndex(([, size]) => seconds >= size);
  // What the second unit can't show is rounded, so that 59 min 59.9 s is an hour.
  const smallest = units[Math.min(first + 1, units.length - 1)]![1];
  seconds = Math.round(seconds / smallest) * smallest;
  const parts: string[] = [];
  for (const [name, size] of units) {
    const whole = Math.floor(seconds / size);
    if (whole > 0) parts.push(`${count(whole)} ${name}`);
    seconds -= whole * size;
  }
  return parts.join(' ');
}
