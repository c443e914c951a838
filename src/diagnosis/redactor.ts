import { types } from 'node:util';
import { AckgateError } from '../errors.js';
import type { RecordView } from '../ring/consumer.js';
import { loadDefaultExport } from '../shared/load-default.js';

/**
 * Overwrites what must not be seen in a body that is about to be captured: `body` is a copy of its first bytes. Runs on
 * the stage's thread for every captured record, and must have done its work when it returns. When it throws, or returns
 * anything (a promise, say, or a redacted copy), nothing of the body is kept.
 */
export type Redactor = (body: Uint8Array, record: RecordView) => void;

/** The redactor that a module has as its default export. */
export async function loadRedactor(url: string): Promise<Redactor> {
  return checkRedactor(
    await loadDefaultExport(url, 'redactor', 'ERR_ACKGATE_REDACTOR_MODULE'),
    `default export of ${url}`,
  );
}

export function checkRedactor(value: unknown, what: string): Redactor {
  if (typeof value === 'function' && !types.isAsyncFunction(value)) return value as Redactor;
  throw new AckgateError(
    'ERR_ACKGATE_REDACTOR_MODULE',
    `${what} must be a function (body, record) => void that is not async`,
  );
}
