// How figures are written: in tables, in charts, everywhere alike. What is missing is a dash, never a zero.

export const absent = '–';
export const notMeasured = 'not measured';

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

/** Whether it is a median with its quartiles. */
export const isSpread = (value) =>
  value !== null && typeof value === 'object' && [value.median, value.low, value.high].every(isNumber);

/** The one number of a spread, or the number itself; null when there is none. */
export function middle(value) {
  if (isSpread(value)) return value.median;
  return isNumber(value) ? value : null;
}

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ',');

/** Three significant digits, more only for whole numbers: 0.954, 12.3, 48,200. */
export function number(value) {
  if (!isNumber(value)) return absent;
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const [whole, rest] = value.toFixed(Math.min(digits, 6)).split('.');
  return rest === undefined ? grouped(whole) : `${grouped(whole)}.${rest}`;
}

/** How many of something. */
export const count = (value) => (Number.isInteger(value) ? grouped(String(value)) : number(value));

/** Two decimals, as the goals have them. */
export const ratio = (value) => (isNumber(value) ? value.toFixed(2) : absent);

/** Rates and other large numbers: 812 k, 21.4 M. */
export function large(value) {
  if (!isNumber(value)) return absent;
  const [unit, by] = value >= 1e6 ? [' M', 1e6] : value >= 1e4 ? [' k', 1e3] : ['', 1];
  return `${number(value / by)}${unit}`;
}

/** `median (low–high)`, each written by `write`; a bare number alone. */
export function spread(value, write = number) {
  if (!isSpread(value)) return write(middle(value));
  return `${write(value.median)} (${write(value.low)}–${write(value.high)})`;
}

/** The distance between the quartiles as a share of the median; null when that can't be said. */
export function relativeSpread({ median, low, high }) {
  return median === 0 ? null : (high - low) / Math.abs(median);
}

export const percent = (share) => `${Math.round(share * 100)} %`;

/** `2025-03-04T05:06:07.000Z` as `2025-03-04 05:06 UTC`. */
export const time = (iso) =>
  typeof iso === 'string' ? `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC` : absent;

/** A table in Markdown. Columns that start with `>` are aligned to the right. */
export function table(columns, rows) {
  const cell = (text) =>
    String(text ?? absent)
      .replaceAll('|', '\\|')
      .replaceAll('\n', ' ');
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`;
  return [
    line(columns.map((name) => name.replace(/^>/, ''))),
    `|${columns.map((name) => (name.startsWith('>') ? '---:' : '---')).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}

/** A part that opens with a click. */
export const folded = (summary, body) => `<details>\n<summary>${summary}</summary>\n\n${body}\n\n</details>`;

/** The different values, in the order in which they come. */
export const distinct = (values) => [...new Set(values)];

/** A list from a result, empty where it is missing. */
export const list = (value) => (Array.isArray(value) ? value : []);

/** Parts of a page with an empty line between them; empty ones are left out. */
export const paragraphs = (...parts) => parts.filter((part) => part !== null && part !== '').join('\n\n');
