import { Option } from 'commander';
import { wholeNumber } from './numbers.js';

export function ifRevisionOption(): Option {
  return new Option('--if-revision <revision>', 'only if this is still the revision in force').argParser(
    wholeNumber('--if-revision'),
  );
}
