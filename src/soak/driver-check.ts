import { AckgateError } from '../errors.js';
import { type Operation, operations, type SoakDriver } from './driver.js';

const methods = ['server', 'sampleRequest', 'status'] as const;

/**
 * A driver as a module's default export has made it.
 *
 * @param name of the module, for the error
 * @throws ERR_ACKGATE_INVALID_ARGUMENT which says what it lacks
 */
export function checkDriver(name: string, value: unknown): SoakDriver {
  if (typeof value !== 'object' || value === null) {
    throw wrong(
      name,
      `must return a driver, an object; it returned ${value === null ? 'null' : typeof value}`,
    );
  }
  const driver = value as { [K in keyof SoakDriver]?: unknown };
  if (typeof driver.name !== 'string' || driver.name === '') throw wrong(name, 'name must be a text');
  if (typeof driver.connect !== 'function') throw wrong(name, 'connect must be a function');
  checkOperations(name, driver.operations);
  const { requestBytesMax } = driver;
  if (typeof requestBytesMax !== 'number' || !(requestBytesMax >= 1)) {
    throw wrong(name, `requestBytesMax must be a number from 1 on, got ${String(requestBytesMax)}`);
  }
  if (driver.ordered !== undefined && typeof driver.ordered !== 'boolean') {
    throw wrong(name, 'ordered must be true or false');
  }
  for (const method of methods) {
    if (driver[method] !== undefined && typeof driver[method] !== 'function') {
      throw wrong(name, `${method} must be a function where there is one`);
    }
  }
  checkFaults(name, driver.faults);
  const { orphans = [] } = driver;
  if (!Array.isArray(orphans) || orphans.some((entry) => typeof entry !== 'string')) {
    throw wrong(name, 'orphans must be a list of names of its status');
  }
  if (orphans.length > 0 && driver.status === undefined) {
    throw wrong(name, `orphans names ${orphans.join(', ')} of its status, but there is no status()`);
  }
  return value as SoakDriver;
}

function checkOperations(name: string, value: unknown): void {
  const known = operations.join(', ');
  if (!Array.isArray(value) || value.length === 0) {
    throw wrong(name, `operations must be a list with some of ${known}`);
  }
  const other = value.find((entry) => !operations.includes(entry as Operation));
  if (other !== undefined) throw wrong(name, `operations has "${String(other)}"; known are ${known}`);
}

function checkFaults(name: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null) throw wrong(name, 'faults must be an object');
  for (const [fault, parts] of Object.entries(value)) {
    const { description, begin, end } = (parts ?? {}) as Record<string, unknown>;
    if (typeof description === 'string' && typeof begin === 'function' && typeof end === 'function') continue;
    throw wrong(name, `faults["${fault}"] must have a description, begin() and end()`);
  }
}

const wrong = (name: string, message: string) =>
  new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `driver ${name}: ${message}`);
