/** Marks our errors across two copies of the package in one process, where `instanceof` fails. */
const brand = Symbol.for('ackgate.error');

/**
 * Every error that Ackgate throws on purpose.
 *
 * `code` is the contract (`ERR_ACKGATE_…`, tabled in docs/ERRORS.md); the message is for people, names the
 * argument at fault and may change between versions.
 */
export class AckgateError extends Error {
  override readonly name = 'AckgateError';
  readonly code: AckgateErrorCode;

  constructor(code: AckgateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }

  /** By brand, so that it also holds for `AckgateRangeError` and for errors of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }
}

/**
 * The same, for a number out of its range: also a `RangeError`, so that `instanceof RangeError` holds for
 * sequences and sizes as it does for Node's own checks.
 */
export class AckgateRangeError extends RangeError {
  override readonly name = 'AckgateError';
  readonly code: AckgateErrorCode;

  constructor(code: AckgateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** All codes, in the order of docs/ERRORS.md. A test compares the two. */
export const ackgateErrorCodes = [
  // arguments
  'ERR_ACKGATE_INVALID_ARGUMENT',
  'ERR_ACKGATE_OUT_OF_RANGE',
  'ERR_ACKGATE_UNKNOWN_OPTION',
  'ERR_ACKGATE_SEQUENCE',
  'ERR_ACKGATE_NOT_POWER_OF_TWO',
  // policy
  'ERR_ACKGATE_POLICY_EMPTY',
  'ERR_ACKGATE_POLICY_SYNTAX',
  'ERR_ACKGATE_POLICY_UNKNOWN_LEVEL',
  'ERR_ACKGATE_POLICY_UNKNOWN_SCOPE',
  'ERR_ACKGATE_POLICY_ZERO_COUNT',
  'ERR_ACKGATE_POLICY_COUNT_TOO_LARGE',
  'ERR_ACKGATE_POLICY_BAD_COUNT',
  // cursors
  'ERR_ACKGATE_REPLICA_AHEAD',
  'ERR_ACKGATE_CURSOR_REGRESSED',
  'ERR_ACKGATE_CURSOR_NOT_CONNECTED',
  'ERR_ACKGATE_CURSOR_CONTENDED',
  'ERR_ACKGATE_CLUSTER_FULL',
  // ring
  'ERR_ACKGATE_RING_IN_USE',
  'ERR_ACKGATE_RING_ORDER',
  // connections
  'ERR_ACKGATE_SOCKET_TLS',
  'ERR_ACKGATE_SOCKET_DESTROYED',
  'ERR_ACKGATE_SOCKET_ATTACHED',
  'ERR_ACKGATE_SOCKET_UNSENT',
  'ERR_ACKGATE_SOCKET_WRITE',
  'ERR_ACKGATE_SOCKET_KIND',
  'ERR_ACKGATE_BAD_FD',
  'ERR_ACKGATE_CONNECTION_ID_IN_USE',
  'ERR_ACKGATE_CONNECTION_ID_USED',
  'ERR_ACKGATE_UNKNOWN_CONNECTION',
  'ERR_ACKGATE_TOO_MANY_CONNECTIONS',
  'ERR_ACKGATE_TOO_MANY_FDS',
  'ERR_ACKGATE_CONTROL_FULL',
  // stage
  'ERR_ACKGATE_STAGE_CLOSED',
  'ERR_ACKGATE_STAGE_FAILED',
  'ERR_ACKGATE_STAGE_FENCED',
  'ERR_ACKGATE_HANDLE_VERSION',
  'ERR_ACKGATE_EPOCH_NOT_HIGHER',
  'ERR_ACKGATE_ENCODER_MODULE',
  'ERR_ACKGATE_REDACTOR_MODULE',
  'ERR_ACKGATE_SUBMIT_FAILED',
  // native
  'ERR_ACKGATE_ADDON_MISSING',
  'ERR_ACKGATE_ADDON_LAYOUT',
  'ERR_ACKGATE_URING_UNAVAILABLE',
  'ERR_ACKGATE_SENDER',
  // journal
  'ERR_ACKGATE_JOURNAL_LOCKED',
  'ERR_ACKGATE_JOURNAL_DAMAGED',
  'ERR_ACKGATE_JOURNAL_FAILED',
  'ERR_ACKGATE_JOURNAL_CLOSED',
  'ERR_ACKGATE_JOURNAL_RECORD_TOO_LARGE',
  'ERR_ACKGATE_JOURNAL_LINEAGE',

  'ERR_ACKGATE_SUPERSEDED',
  'ERR_ACKGATE_POLICY_UNSUPPORTED',
  'ERR_ACKGATE_NODE_TWICE',
  'ERR_ACKGATE_CLOCK_SKEW',
  'ERR_ACKGATE_POSTGRES_UNREACHABLE',
  'ERR_ACKGATE_POSTGRES_CREDENTIALS',
  'ERR_ACKGATE_POSTGRES_STANDBY',
  'ERR_ACKGATE_POSTGRES_VERSION',
  'ERR_ACKGATE_POSTGRES_SCHEMA',
  'ERR_ACKGATE_POSTGRES_UNSAFE',
  'ERR_ACKGATE_NATS_UNREACHABLE',
  'ERR_ACKGATE_NATS_CREDENTIALS',
  'ERR_ACKGATE_NATS_SERVER',
  'ERR_ACKGATE_NATS_VERSION',
  // directives
  'ERR_ACKGATE_DIRECTIVES_INVALID',
  'ERR_ACKGATE_DIRECTIVES_STALE',
  // mode store
  'ERR_ACKGATE_MODE_INVALID',
  'ERR_ACKGATE_MODE_STALE',
  // admin
  'ERR_ACKGATE_ADMIN_LISTEN',
  'ERR_ACKGATE_ADMIN_UNREACHABLE',
  'ERR_ACKGATE_ADMIN_REFUSED',
  // supervisor
  'ERR_ACKGATE_TOO_MANY_SUBSCRIPTIONS',
  'ERR_ACKGATE_TOO_MANY_PUSHES',
  'ERR_ACKGATE_PUSH_TIMEOUT',
  'ERR_ACKGATE_PUSH_DISCONNECTED',
  'ERR_ACKGATE_PUSH_EXPIRED',
  'ERR_ACKGATE_PUSH_TAKEN',
  'ERR_ACKGATE_SHUTTING_DOWN',
  'ERR_ACKGATE_FLUSH_FAILED',
  'ERR_ACKGATE_SHUTDOWN_FAILED',
  // soak
  'ERR_ACKGATE_SOAK_PLATFORM',
  'ERR_ACKGATE_SOAK_CHECKPOINT',
  'ERR_ACKGATE_SOAK_CONNECT',
  'ERR_ACKGATE_SOAK_RECORD',
  // servers on loopback, to try things with
  'ERR_ACKGATE_LOCAL_CLUSTER',
  // optional parts
  'ERR_ACKGATE_PEER_MISSING',
] as const;

export type AckgateErrorCode = (typeof ackgateErrorCodes)[number];

/**
 * Whether this is an error of ours with that code: what `instanceof` means for a subclass, since `AckgateError` takes
 * every error of the package for its instance.
 */
export function hasCode(value: unknown, code: AckgateErrorCode): boolean {
  return value instanceof AckgateError && value.code === code;
}
