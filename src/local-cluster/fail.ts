import { AckgateError } from '../errors.js';

/** What went wrong with a server of a local cluster. */
export const fail = (message: string, cause?: unknown): AckgateError =>
  new AckgateError('ERR_ACKGATE_LOCAL_CLUSTER', message, cause === undefined ? {} : { cause });
