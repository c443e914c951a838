/** Marks our errors across two copies of the package in one process, where `instanceof` fails. */
const brand = Symbol.for('ackgate.error');

/**
 * Every error that Ackgate throws on purpose.
 *
 * `code` is the contract (`ERR_ACKGATE_…`, tabled in docs/ERRORS.md); the message is for people, names the
 * argument at fault and may change between versions.
 */
export class AckgateError extends Error {
  /** Always `AckgateError`: subclasses differ by `code`. */
  override readonly name = 'AckgateError';
  /** What went wrong, for programs. */
  readonly code: AckgateErrorCode;

  /** @param options such as the `cause` */
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
  /** Always `AckgateError`: subclasses differ by `code`. */
  override readonly name = 'AckgateError';
  /** What went wrong, for programs. */
  readonly code: AckgateErrorCode;

  /** @param options such as the `cause` */
  constructor(code: AckgateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }
}

/**
 * What went wrong, for programs: `error.code`. The codes are the contract; docs/ERRORS.md says what to do about each.
 */
export type AckgateErrorCode =
  /** An argument of the wrong type or shape. */
  | 'ERR_ACKGATE_INVALID_ARGUMENT'
  /** A number outside its range. */
  | 'ERR_ACKGATE_OUT_OF_RANGE'
  /** An option that does not exist, of whatever takes options; the message suggests the one it resembles, or lists them all. */
  | 'ERR_ACKGATE_UNKNOWN_OPTION'
  /** A sequence that is not an integer from 0 to 2^53-1. */
  | 'ERR_ACKGATE_SEQUENCE'
  /** `ring.capacity` or `ringEntries` is not a power of two. */
  | 'ERR_ACKGATE_NOT_POWER_OF_TWO'
  /** No clause. */
  | 'ERR_ACKGATE_POLICY_EMPTY'
  /** The text is not a policy; `position` says where. */
  | 'ERR_ACKGATE_POLICY_SYNTAX'
  /** Neither `in_memory` nor `persisted`. */
  | 'ERR_ACKGATE_POLICY_UNKNOWN_LEVEL'
  /** A clause counts something else than nodes or zones. */
  | 'ERR_ACKGATE_POLICY_UNKNOWN_SCOPE'
  /** A clause asks for 0 nodes. */
  | 'ERR_ACKGATE_POLICY_ZERO_COUNT'
  /** A clause asks for more nodes than the largest cluster has. */
  | 'ERR_ACKGATE_POLICY_COUNT_TOO_LARGE'
  /** A count that is not a positive integer. */
  | 'ERR_ACKGATE_POLICY_BAD_COUNT'
  /** A replica connects with a sequence on disk that this primary never issued. */
  | 'ERR_ACKGATE_REPLICA_AHEAD'
  /** A cursor was to go back. */
  | 'ERR_ACKGATE_CURSOR_REGRESSED'
  /** `advance` of a node that is not connected, or was retired. */
  | 'ERR_ACKGATE_CURSOR_NOT_CONNECTED'
  /** Two threads wrote one cursor at the same time, or one has ended while it was writing it. */
  | 'ERR_ACKGATE_CURSOR_CONTENDED'
  /** More nodes connected, or named, than fit. */
  | 'ERR_ACKGATE_CLUSTER_FULL'
  /** A second producer writes to a ring. */
  | 'ERR_ACKGATE_RING_IN_USE'
  /** `publish` without `claim`, or `claim` twice. */
  | 'ERR_ACKGATE_RING_ORDER'
  /** A TLS socket was to be attached. */
  | 'ERR_ACKGATE_SOCKET_TLS'
  /** The socket is destroyed, or its write side ended. */
  | 'ERR_ACKGATE_SOCKET_DESTROYED'
  /** The socket is attached already. */
  | 'ERR_ACKGATE_SOCKET_ATTACHED'
  /** The socket has unsent bytes of its own. */
  | 'ERR_ACKGATE_SOCKET_UNSENT'
  /** `write`, `end` … on an attached socket. */
  | 'ERR_ACKGATE_SOCKET_WRITE'
  /** Not a connected stream socket. */
  | 'ERR_ACKGATE_SOCKET_KIND'
  /** Not an open descriptor. */
  | 'ERR_ACKGATE_BAD_FD'
  /** The `connectionId` given to `attach` is connected. */
  | 'ERR_ACKGATE_CONNECTION_ID_IN_USE'
  /** The `connectionId` given to `attach` is not above all earlier ones. */
  | 'ERR_ACKGATE_CONNECTION_ID_USED'
  /** A connection id that was never given out. */
  | 'ERR_ACKGATE_UNKNOWN_CONNECTION'
  /**
   * Every slot of the stage is taken; or all of a supervisor's `limits.connections`, and the client was told.
   */
  | 'ERR_ACKGATE_TOO_MANY_CONNECTIONS'
  /** The limit of open descriptors is reached. */
  | 'ERR_ACKGATE_TOO_MANY_FDS'
  /** More control calls wait than the control ring holds; of a supervisor's `push`: nothing was sent. */
  | 'ERR_ACKGATE_CONTROL_FULL'
  /** The stage is closed or closing. */
  | 'ERR_ACKGATE_STAGE_CLOSED'
  /** The stage stopped because going on was unsafe. */
  | 'ERR_ACKGATE_STAGE_FAILED'
  /** A later primary has taken over. */
  | 'ERR_ACKGATE_STAGE_FENCED'
  /** A handle from another version of Ackgate. */
  | 'ERR_ACKGATE_HANDLE_VERSION'
  /** A fence with an epoch not above the stage's own. */
  | 'ERR_ACKGATE_EPOCH_NOT_HIGHER'
  /** The encoder module can't be loaded, or exports no encoder. */
  | 'ERR_ACKGATE_ENCODER_MODULE'
  /** The redactor module can't be loaded, or exports no function. */
  | 'ERR_ACKGATE_REDACTOR_MODULE'
  /** The kernel refused the ring itself; the stage stops, for wrong bytes are worse than none. */
  | 'ERR_ACKGATE_SUBMIT_FAILED'
  /** The addon was not built, or not for this platform. */
  | 'ERR_ACKGATE_ADDON_MISSING'
  /** Addon and TypeScript are of different builds. */
  | 'ERR_ACKGATE_ADDON_LAYOUT'
  /** `backend: 'uring'` where io_uring can't be used; the message says why. */
  | 'ERR_ACKGATE_URING_UNAVAILABLE'
  /** A sender could not be made. */
  | 'ERR_ACKGATE_SENDER'
  /** Another process or journal has the directory open. */
  | 'ERR_ACKGATE_JOURNAL_LOCKED'
  /** A record in the middle is damaged; file and offset are named. */
  | 'ERR_ACKGATE_JOURNAL_DAMAGED'
  /** A write or sync failed; final. */
  | 'ERR_ACKGATE_JOURNAL_FAILED'
  /** A call after `close`. */
  | 'ERR_ACKGATE_JOURNAL_CLOSED'
  /** A record over the limit. */
  | 'ERR_ACKGATE_JOURNAL_RECORD_TOO_LARGE'
  /** A replica's journal and its primary's were never one. */
  | 'ERR_ACKGATE_JOURNAL_LINEAGE'
  /** Another server is the primary by now, in a higher term: nothing more is taken or acknowledged here. */
  | 'ERR_ACKGATE_SUPERSEDED'
  /**
   * A policy that means nothing on this engine, such as memory alone on PostgreSQL, which sends nothing
   * before it is on its own disk.
   */
  | 'ERR_ACKGATE_POLICY_UNSUPPORTED'
  /** Two nodes have the same name. */
  | 'ERR_ACKGATE_NODE_TWICE'
  /** The clocks of two machines are too far apart; expiry is absolute time. */
  | 'ERR_ACKGATE_CLOCK_SKEW'
  /** None of the servers answers; the message has what each said. */
  | 'ERR_ACKGATE_POSTGRES_UNREACHABLE'
  /**
   * A server refuses user, password or database, or the role lacks a right that the message names; or
   * `password()` has thrown.
   */
  | 'ERR_ACKGATE_POSTGRES_CREDENTIALS'
  /** Only standbys were found: none of the servers takes writes. */
  | 'ERR_ACKGATE_POSTGRES_STANDBY'
  /** The server is older than PostgreSQL 15. */
  | 'ERR_ACKGATE_POSTGRES_VERSION'
  /** The tables are of another version of Ackgate, or not Ackgate's. */
  | 'ERR_ACKGATE_POSTGRES_SCHEMA'
  /** The server runs with `fsync` off: what it calls durable is not. */
  | 'ERR_ACKGATE_POSTGRES_UNSAFE'
  /** No server answers. */
  | 'ERR_ACKGATE_NATS_UNREACHABLE'
  /** The server refuses user, password, token or certificate. */
  | 'ERR_ACKGATE_NATS_CREDENTIALS'
  /**
   * The server can't do what is needed: messages too small for the records, or no JetStream for key-value.
   */
  | 'ERR_ACKGATE_NATS_SERVER'
  /** The primary does not understand what a replica asks: they speak different versions of the protocol. */
  | 'ERR_ACKGATE_NATS_VERSION'
  /**
   * A set of directives with a fault; `slug` and `index` say which, the table in docs/DIRECTIVES.md what it means.
   */
  | 'ERR_ACKGATE_DIRECTIVES_INVALID'
  /** `publish` with an `ifRevision` that is not in force any more. */
  | 'ERR_ACKGATE_DIRECTIVES_STALE'
  /**
   * What is kept as the mode can't be meant: no JSON, an unknown field, or a mode or policy that this version
   * does not know.
   */
  | 'ERR_ACKGATE_MODE_INVALID'
  /** `publish` with an `ifRevision` that is not the one kept any more. */
  | 'ERR_ACKGATE_MODE_STALE'
  /** The admin server can't listen where it was told to. */
  | 'ERR_ACKGATE_ADMIN_LISTEN'
  /** Command line: no admin server answered, or not in time. */
  | 'ERR_ACKGATE_ADMIN_UNREACHABLE'
  /** Command line: the admin server refused; nothing was changed unless the message says so. */
  | 'ERR_ACKGATE_ADMIN_REFUSED'
  /** `subscribe` beyond `limits.subscriptions`; the client was told and its connection has ended. */
  | 'ERR_ACKGATE_TOO_MANY_SUBSCRIPTIONS'
  /**
   * `push` to a client that leaves `limits.pendingPushes` of them without a reply; it was told and its
   * connection has ended. Nothing was sent.
   */
  | 'ERR_ACKGATE_TOO_MANY_PUSHES'
  /** `PushTimeout`: no reply in the time that `receive` was given. */
  | 'ERR_ACKGATE_PUSH_TIMEOUT'
  /** `PushDisconnected`: the connection has ended, or had ended when the push was asked for. */
  | 'ERR_ACKGATE_PUSH_DISCONNECTED'
  /** `PushExpired`: the push's own deadline has passed without a reply. */
  | 'ERR_ACKGATE_PUSH_EXPIRED'
  /** `receive` of a reply that was delivered already, or of a push that was cancelled. */
  | 'ERR_ACKGATE_PUSH_TAKEN'
  /** `spawn` after the shutdown has begun; the client was told. */
  | 'ERR_ACKGATE_SHUTTING_DOWN'
  /**
   * `FlushError`: services could not flush, or not in time; `failures` has each with its name, and all of
   * them were asked.
   */
  | 'ERR_ACKGATE_FLUSH_FAILED'
  /**
   * `ShutdownError`: stages of a shutdown have failed; `failures` has each with its name, and all the others
   * were done.
   */
  | 'ERR_ACKGATE_SHUTDOWN_FAILED'
  /**
   * A soak where the server's memory and descriptors can't be read from `/proc`: not on Linux, or `/proc` is
   * not mounted.
   */
  | 'ERR_ACKGATE_SOAK_PLATFORM'
  /**
   * There is nothing that a run could go on from: no checkpoint in the folder, a damaged one, one of another
   * version, of a run that has come to its end, or of one that is still running.
   */
  | 'ERR_ACKGATE_SOAK_CHECKPOINT'
  /** A client of the load could not connect to the server under test within ten seconds. */
  | 'ERR_ACKGATE_SOAK_CONNECT'
  /**
   * A soak could not be finished or written down, such as on a full disk; the message has the verdict by what
   * was measured, `cause` what failed.
   */
  | 'ERR_ACKGATE_SOAK_RECORD'
  /**
   * A server of a local cluster could not be installed, started, stopped, promoted or reached; the message
   * says which, and ends with what its log says.
   */
  | 'ERR_ACKGATE_LOCAL_CLUSTER'
  /** A package that is only needed for what was called is not installed. */
  | 'ERR_ACKGATE_PEER_MISSING';

/** The compiler refuses a list that lacks a code. Here, and not in `shared/`: this file imports nothing. */
const every = <const List extends readonly AckgateErrorCode[]>(
  list: [AckgateErrorCode] extends [List[number]] ? List : never,
): List => list;

/** All codes, in the order of docs/ERRORS.md. A test compares the two. */
export const ackgateErrorCodes = every([
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
]);

/**
 * Whether this is an error of ours with that code: what `instanceof` means for a subclass, since `AckgateError` takes
 * every error of the package for its instance.
 */
export function hasCode(value: unknown, code: AckgateErrorCode): boolean {
  return value instanceof AckgateError && value.code === code;
}
