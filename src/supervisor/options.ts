import { AckgateRangeError } from '../errors.js';
import { argument, boolean, checkKeys, checkLogger, integer, isFunction } from '../shared/checks.js';
import { type Logger, silentLogger } from '../shared/logger.js';
import { safeLogger } from '../shared/safe-logger.js';
import { timerMsMax } from '../shared/timer-ms-max.js';
import type { Stage } from '../stage/api.js';
import type { Connection } from './connection.js';
import type { ConnectionEnd } from './ends.js';
import { type ClientProtocol, lengthPrefixProtocol } from './protocol.js';

/** What one client, or all together, may take up. Integers, 1 … 2^31-1. */
export interface SupervisorLimits {
  /** Connections of all clients at once, those that still have answers coming included (default 256). */
  readonly connections: number;
  /** Subscriptions of one connection (default 32). */
  readonly subscriptions: number;
  /** Pushes of one connection without a reply (default 32). */
  readonly pendingPushes: number;
  /**
   * Bytes that one connection has sent and nobody has taken yet, frames that wait for the handler included (default
   * 4 MiB).
   */
  readonly inboundBytes: number;
  /** Largest body of one frame in bytes (default 65,536). */
  readonly frameBytes: number;
  /** Frames of one connection in the handler at once; with 1 they are handled one after the other (default 1). */
  readonly handling: number;
}

/** A part of the application that wants to know of connections, or has something to make durable. */
export interface Service<D = unknown> {
  /** For log lines and errors. */
  readonly name: string;
  /** Told once when a connection is there. */
  connected?(connection: Connection<D>): void;
  /** Told once when a connection has ended; nothing can be pushed to it any more. */
  disconnected?(connection: Connection<D>, end: ConnectionEnd): void;
  /** Makes durable what the service still holds. */
  flush?(): void | Promise<void>;
}

/** What answers `/ready` and `/health`, such as `AdminServer`. */
export interface HealthServer {
  /** From now on `/ready` says no, while `/health` still says yes. */
  withdraw(): void;
  /** Ends it; nothing is answered any more. */
  close(): Promise<void>;
}

/** What `supervise` is told. `stage` and `onFrame` must be given. */
export interface SupervisorOptions<D = unknown> {
  /**
   * Everything that clients are sent goes through it. Its `connections` should be `limits.connections` and 64 more, for
   * those that are being told why they are refused. The supervisor closes it at the end of its shutdown.
   */
  readonly stage: Stage;
  /**
   * Takes a request: one frame's body, which stays as it is. A promise says that the request is handled when it
   * settles: when all that it publishes is published. What is thrown ends this connection alone.
   */
  readonly onFrame: (connection: Connection<D>, body: Uint8Array) => void | PromiseLike<void>;
  /** Makes the `data` of a new connection (default: it has none). What is thrown ends this connection alone. */
  readonly onConnection?: (connection: Connection<D>) => D;
  /** Who is told of connections, and asked to flush, in this order (default: nobody). */
  readonly services?: readonly Service<D>[];
  /** What one client, or all together, may take up; what is left out has its default. */
  readonly limits?: Partial<SupervisorLimits>;
  /** What clients and server agree on (default `lengthPrefixProtocol`). */
  readonly protocol?: ClientProtocol;
  /** Withdrawn first in a shutdown, closed last (default: there is none). */
  readonly health?: HealthServer;
  /** How long a shutdown waits for work under way, in milliseconds, 0 … 2^31-1 (default 5000). */
  readonly drainMs?: number;
  /**
   * How long a shutdown waits for one service's flush, or for the health server to close, in milliseconds, 1 … 2^31-1
   * (default 10,000).
   */
  readonly flushMs?: number;
  /**
   * `SIGTERM` and `SIGINT` start a shutdown; a second one makes it force-close, a third one exits at once (default
   * true).
   */
  readonly signals?: boolean;
  /** Where log lines go (default: nowhere). */
  readonly logger?: Logger;
}

/** Options after checking, with every default filled in. */
export interface CheckedSupervisor<D> {
  readonly onFrame: SupervisorOptions<D>['onFrame'];
  readonly onConnection: ((connection: Connection<D>) => D) | null;
  readonly services: readonly Service<D>[];
  readonly limits: SupervisorLimits;
  readonly protocol: ClientProtocol;
  readonly health: HealthServer | null;
  readonly drainMs: number;
  readonly flushMs: number;
  readonly signals: boolean;
  readonly logger: Logger;
}

const known = [
  'stage',
  'onFrame',
  'onConnection',
  'services',
  'limits',
  'protocol',
  'health',
  'drainMs',
  'flushMs',
  'signals',
  'logger',
] as const satisfies readonly (keyof SupervisorOptions)[];

const limitDefaults: SupervisorLimits = {
  connections: 256,
  subscriptions: 32,
  pendingPushes: 32,
  inboundBytes: 4 * 1024 * 1024,
  frameBytes: 65_536,
  handling: 1,
};

/** Of the header that is held with each body. */
const frameHeaderBytes = 4;

/** @throws an `AckgateError` that names the option for everything that can't be meant */
export function checkSupervisorOptions<D>(options: SupervisorOptions<D>): CheckedSupervisor<D> {
  checkKeys('supervisor options', options, known);
  const { stage, onFrame, onConnection, services = [], protocol, health } = options;
  if (!isFunction(stage?.attach)) throw argument('stage', 'a running stage');
  if (!isFunction(onFrame)) throw argument('onFrame', 'a function');
  if (onConnection !== undefined && !isFunction(onConnection)) throw argument('onConnection', 'a function');
  if (!Array.isArray(services)) throw argument('services', 'a list of services');
  for (const service of services) checkService(service);
  if (health !== undefined && !(isFunction(health?.withdraw) && isFunction(health.close))) {
    throw argument('health', 'a health server with withdraw() and close()');
  }
  return {
    onFrame,
    onConnection: onConnection ?? null,
    services: [...services],
    limits: checkLimits(options.limits ?? {}),
    protocol: checkProtocol(protocol ?? lengthPrefixProtocol),
    health: health ?? null,
    drainMs: checkDrainMs(options.drainMs ?? 5000),
    flushMs: integer('flushMs', options.flushMs ?? 10_000, 1, timerMsMax),
    signals: boolean('signals', options.signals ?? true),
    logger: safeLogger(checkLogger(options.logger ?? silentLogger)),
  };
}

export function checkDrainMs(value: unknown): number {
  return integer('drainMs', value, 0, timerMsMax);
}

function checkService(service: Partial<Service> | null): void {
  if (typeof service?.name !== 'string' || service.name === '') {
    throw argument('services', 'a list of objects with a name');
  }
  for (const method of ['connected', 'disconnected', 'flush'] as const) {
    if (service[method] !== undefined && !isFunction(service[method])) {
      throw argument(`${method} of service ${service.name}`, 'a function');
    }
  }
}

function checkProtocol(protocol: Partial<ClientProtocol>): ClientProtocol {
  for (const method of ['decoder', 'isDisconnect', 'readReply', 'writePush'] as const) {
    if (!isFunction(protocol?.[method])) throw argument('protocol', `a protocol with ${method}()`);
  }
  return protocol as ClientProtocol;
}

function checkLimits(limits: Partial<SupervisorLimits>): SupervisorLimits {
  checkKeys('limits', limits, Object.keys(limitDefaults));
  const checked: { -readonly [Name in keyof SupervisorLimits]: number } = { ...limitDefaults };
  for (const name of Object.keys(limitDefaults) as (keyof SupervisorLimits)[]) {
    checked[name] = integer(`limits.${name}`, limits[name] ?? limitDefaults[name], 1, timerMsMax);
  }
  if (checked.frameBytes + frameHeaderBytes > checked.inboundBytes) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_OUT_OF_RANGE',
      `limits.inboundBytes must have room for one frame, limits.frameBytes + ${frameHeaderBytes} = ` +
        `${checked.frameBytes + frameHeaderBytes} bytes, got ${checked.inboundBytes}`,
    );
  }
  return checked;
}
