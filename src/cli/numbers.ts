import { outOfRange } from '../shared/checks.js';
import { WrongCall } from './wrong-call.js';

type Reader = (text: string) => number;

/** A reader of whole numbers; `option` is its name, for what is said of anything else. */
export function wholeNumber(option: string, min = 0, max = Number.MAX_SAFE_INTEGER): Reader {
  const most = max === Number.MAX_SAFE_INTEGER ? '2^53-1' : String(max);
  const fits = (value: number) => Number.isInteger(value) && value >= min && value <= max;
  return reader(option, `a whole number from ${min} to ${most}`, fits);
}

/** A reader of numbers in a range, both ends included. */
export function numberWithin(option: string, min: number, max: number): Reader {
  return reader(option, `a number from ${min} to ${max}`, (value) => value >= min && value <= max);
}

/** A reader of numbers above 0; without `max`, what they mean says which are too large. */
export function numberAbove0(option: string, max = Number.POSITIVE_INFINITY): Reader {
  const expected = max === Number.POSITIVE_INFINITY ? 'a number above 0' : `a number above 0, at most ${max}`;
  return reader(option, expected, (value) => value > 0 && value <= max);
}

function reader(option: string, expected: string, fits: (value: number) => boolean): Reader {
  return (text) => {
    const value = /^-?\d*\.?\d+$/.test(text) ? Number(text) : text;
    if (typeof value === 'number' && fits(value)) return value;
    const { code, message } = outOfRange(option, expected, value);
    throw new WrongCall(code, message);
  };
}
