import { AckgateError, hasCode } from '../errors.js';

/** No reply came in the time that `receive` was given. The client is connected, and the push waits on: call again. */
export class PushTimeout extends AckgateError {
  constructor(timeoutMs: number) {
    super(
      'ERR_ACKGATE_PUSH_TIMEOUT',
      `no reply within ${timeoutMs} ms; the push waits on, call receive() again`,
    );
  }

  /** By its code, so that it also holds for errors of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasCode(value, 'ERR_ACKGATE_PUSH_TIMEOUT');
  }
}

/** The client's connection has ended, so no reply will come. */
export class PushDisconnected extends AckgateError {
  constructor(connectionId: number) {
    super('ERR_ACKGATE_PUSH_DISCONNECTED', `connection ${connectionId} has ended: no reply will come`);
  }

  /** By its code, so that it also holds for errors of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasCode(value, 'ERR_ACKGATE_PUSH_DISCONNECTED');
  }
}

/** The push's own deadline has passed without a reply. A later one is thrown away. */
export class PushExpired extends AckgateError {
  constructor(deadlineMs: number) {
    super('ERR_ACKGATE_PUSH_EXPIRED', `no reply before the push's deadline of ${deadlineMs} ms`);
  }

  /** By its code, so that it also holds for errors of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasCode(value, 'ERR_ACKGATE_PUSH_EXPIRED');
  }
}
