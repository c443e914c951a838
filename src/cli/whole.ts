import { Option } from 'commander';
import { WrongCall } from './wrong-call.js';

export function ifRevisionOption(): Option {
  return new Option('--if-revision <revision>', 'only if this is still the revision in force').argParser(
    whole('--if-revision'),
  );
}

/** Reads a whole number from 0 on. */
export function whole(option: string): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    throw new WrongCall(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `${option} "${text}" must be a whole number from 0 on`,
    );
  };
}
