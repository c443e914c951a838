import { AckgateError, AckgateRangeError } from '../errors.js';
import { type Fault, type FaultRates, faultNames } from './faults.js';

/** Which faults may happen: every one, none, or those of a list. */
export type FaultChoice = 'all' | 'none' | readonly Fault[];

const invalid = 'ERR_ACKGATE_INVALID_ARGUMENT';

/** The faults that a choice stands for, in the order of `faults`; `what` names the argument in a message. */
export function checkFaultChoice(choice: unknown, what = 'faults'): readonly Fault[] {
  if (choice === 'all') return faultNames;
  if (choice === 'none') return [];
  if (!Array.isArray(choice)) {
    throw new AckgateError(
      invalid,
      `${what} must be 'all', 'none' or a list of faults, got ${typeof choice}`,
    );
  }
  for (const name of choice) checkFault(name, what);
  return faultNames.filter((name) => choice.includes(name));
}

/** Rates from 0 to 1 by the names of faults. */
export function checkFaultRates(rates: unknown, what = 'faults'): FaultRates {
  if (typeof rates !== 'object' || rates === null || Array.isArray(rates)) {
    throw new AckgateError(invalid, `${what} must be an object of rates by fault`);
  }
  for (const [name, rate] of Object.entries(rates)) {
    checkFault(name, what);
    if (typeof rate !== 'number' || !(rate >= 0 && rate <= 1)) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_OUT_OF_RANGE',
        `${what}.${name} must be a rate from 0 to 1, got ${rate}`,
      );
    }
  }
  return rates;
}

function checkFault(name: unknown, what: string): asserts name is Fault {
  if (faultNames.includes(name as Fault)) return;
  throw new AckgateError(invalid, `${what}: unknown fault "${name}"; there are ${faultNames.join(', ')}`);
}
