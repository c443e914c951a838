import { AckgateError } from '../errors.js';
import { PosixSender } from './posix-sender.js';
import { explainUring, readUringSurroundings, uringRemedy } from './probe.js';
import type { Sender, SenderOptions } from './sender.js';
import { isNativeSenderError } from './sender-tables.js';
import { UringSender } from './uring-sender.js';

export interface CreatedSender {
  sender: Sender;
  /** One sentence when `auto` did not get io_uring: which backend it took, and why. */
  fallback: string | null;
}

/**
 * Makes the sender of the backend asked for; `auto` is io_uring where it works, and plain sends elsewhere.
 *
 * Throws `ERR_ACKGATE_URING_UNAVAILABLE` when `uring` was asked for and the kernel gives no ring, and
 * `ERR_ACKGATE_SENDER` when plain sends cannot be set up or the options do not fit together.
 */
export function createSender(backend: 'auto' | 'uring' | 'posix', options: SenderOptions): CreatedSender {
  if (backend === 'posix') return { sender: createPosix(options), fallback: null };
  try {
    return { sender: new UringSender(options), fallback: null };
  } catch (error) {
    if (!isNativeSenderError(error) || error.stage === 'options') throw wrapped(error);
    const around = readUringSurroundings();
    const why = explainUring(error.errno, error.stage, around);
    if (backend === 'uring') {
      const remedy = uringRemedy(error.errno, error.stage, around);
      throw new AckgateError(
        'ERR_ACKGATE_URING_UNAVAILABLE',
        `backend 'uring' cannot be used: ${why}. Take backend 'auto' or 'posix'; or, to get io_uring, ${remedy}.`,
        { cause: error },
      );
    }
    return { sender: createPosix(options), fallback: `Using the posix backend instead of io_uring: ${why}.` };
  }
}

function createPosix(options: SenderOptions): Sender {
  try {
    return new PosixSender(options);
  } catch (error) {
    throw wrapped(error);
  }
}

function wrapped(error: unknown): unknown {
  if (!isNativeSenderError(error)) return error;
  const what =
    error.stage === 'options'
      ? 'the arena must start on a page and hold all slots, and all views must be of the declared kinds'
      : `setting it up failed with errno ${error.errno}`;
  return new AckgateError('ERR_ACKGATE_SENDER', `no sender could be made: ${what}`, { cause: error });
}
