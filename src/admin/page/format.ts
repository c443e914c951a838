const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

export const unknown = '–';

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

export function count(value: unknown): string {
  return isNumber(value) ? grouped.format(value) : unknown;
}

/** Short enough for the axis of a chart. */
export function shortCount(value: unknown): string {
  if (!isNumber(value)) return unknown;
  return Math.abs(value) < 1000 ? grouped.format(value) : compact.format(value);
}

export function bytes(value: unknown): string {
  if (!isNumber(value)) return unknown;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let scaled = value;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  return `${unit === 0 || scaled >= 99.95 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`;
}

export function percent(share: unknown): string {
  if (!isNumber(share)) return unknown;
  return share > 0 && share < 0.01 ? '< 1 %' : `${Math.round(share * 100)} %`;
}

/** A time span of any length, as a person would say it. */
export function span(seconds: unknown): string {
  if (!isNumber(seconds)) return unknown;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

export function millis(value: unknown): string {
  if (!isNumber(value)) return unknown;
  if (value >= 1000) return span(value / 1000);
  if (value === 0) return '0 ms';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ms`;
}

/** `openOrders` as “Open orders”. */
export function words(name: string): string {
  const spaced = name.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
