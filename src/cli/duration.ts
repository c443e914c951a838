import { WrongCall } from './wrong-call.js';

const units: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };

/** Whole seconds of a text such as `90`, `90s`, `10m` or `2h`. */
export function seconds(option: string, text: string): number {
  const match = /^(\d{1,9})(s|m|h|)$/.exec(text);
  if (match !== null) return Number(match[1]) * units[match[2]];
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `${option} "${text}" must be a time such as 90s, 10m or 2h`,
  );
}

/** The other way, for people. */
export function durationText(secs: number): string {
  if (secs >= 3600) return `${Math.floor(secs / 3600)}h${pad(Math.floor((secs % 3600) / 60))}m`;
  return secs >= 60 ? `${Math.floor(secs / 60)}m${pad(secs % 60)}s` : `${secs}s`;
}

const pad = (value: number) => String(value).padStart(2, '0');
