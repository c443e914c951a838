import type { WatchedMode } from '../cluster/index.js';
import type { PublishableStore } from '../directives/index.js';
import type { SupervisorSource } from '../metrics/index.js';
import {
  argument,
  boolean,
  checkKeys,
  checkLogger,
  integer,
  optionalFunction,
  text,
} from '../shared/checks.js';
import { type Logger, silentLogger } from '../shared/logger.js';
import { safeLogger } from '../shared/safe-logger.js';
import { timerMsMax } from '../shared/timer-ms-max.js';
import type { Stage } from '../stage/api.js';
import { type AdminLimits, checkLimits } from './limits.js';

/** What `startAdminServer` is told. Only `stage` must be given. */
export interface AdminServerOptions {
  /** The stage to watch and to steer; the server runs on the thread that started it. */
  readonly stage: Stage;
  /** Address to listen on (default `127.0.0.1`). */
  readonly host?: string;
  /** Port to listen on, 0 for any free one (default 0). */
  readonly port?: number;
  /** Bearer token of the calls under `/admin`. Without one, or with an empty one, they all answer 404. */
  readonly token?: string;
  /** Where directives are published. Without one `/admin/directives` answers 404. */
  readonly directives?: PublishableStore;
  /** Where the durability mode is published, for all instances. Without one it is set on this stage alone. */
  readonly mode?: WatchedMode;
  /**
   * Takes admin calls over cleartext from other hosts than loopback: whoever is on the way can read the token (default
   * false).
   */
  readonly allowCleartext?: boolean;
  /** Makes the server speak TLS, 1.2 or later (default: plain HTTP). */
  readonly tls?: {
    /** The private key in PEM. */
    readonly key: string | Uint8Array;
    /** Its certificate chain in PEM. */
    readonly cert: string | Uint8Array;
  };
  /**
   * Names that a `Host` header may have, without a port. On loopback, loopback's own names and `host` are always
   * among them, and nothing else is by default; elsewhere every name is accepted unless some are given here.
   */
  readonly hostNames?: readonly string[];
  /** Where audit lines go (default: nowhere). */
  readonly logger?: Logger;
  /** Name of this instance, for audit lines and the page, 1 … 128 characters (default: none). */
  readonly instance?: string;
  /** Text of `/metrics` (default: the stage's figures by prom-client, loaded when first asked for). */
  readonly metrics?: () => string | Promise<string>;
  /** `/` serves the live page (default true). */
  readonly page?: boolean;
  /** The application's own figures, for `/status` and the page; plain data (default: none). */
  readonly extra?: () => object;
  /** The journal, for `/ready`: one that has failed can acknowledge nothing (default: `/ready` goes by the stage alone). */
  readonly journal?: {
    /** Why it has failed; null: it has not. As every `Journal` has it. */
    readonly failure: Error | null;
  };
  /**
   * The supervisor, for `/status` and `/metrics`. Asked each time: a server that is a supervisor's `health` is there
   * before it (default: there is none).
   */
  readonly supervisor?: () => SupervisorSource | undefined;
  /** `/ready` says yes even while the policy is degraded (default false). */
  readonly readyWhenDegraded?: boolean;
  /**
   * A stage that has not done a round for this long hangs, and one whose first record has waited for this long is not
   * ready, in milliseconds (default 5000).
   */
  readonly hangMs?: number;
  /** Lets the process end while the server still listens (default false). */
  readonly unref?: boolean;
  /** What one client, or all together, may take up; what is left out has its default. */
  readonly limits?: Partial<AdminLimits>;
}

/** Options after checking, with every default filled in. */
export interface CheckedAdmin {
  readonly stage: Stage;
  readonly host: string;
  readonly port: number;
  /** Null: nothing under `/admin` is there. */
  readonly token: string | null;
  readonly directives: PublishableStore | null;
  readonly mode: WatchedMode | null;
  readonly allowCleartext: boolean;
  readonly tls: { key: string | Uint8Array; cert: string | Uint8Array } | null;
  readonly hostNames: readonly string[];
  readonly logger: Logger;
  readonly instance: string | null;
  readonly metrics: (() => string | Promise<string>) | null;
  readonly page: boolean;
  readonly extra: (() => object) | null;
  readonly journal: { readonly failure: Error | null } | null;
  readonly supervisor: (() => SupervisorSource | undefined) | null;
  readonly readyWhenDegraded: boolean;
  readonly hangMs: number;
  readonly unref: boolean;
  readonly limits: AdminLimits;
}

const known = [
  'stage',
  'host',
  'port',
  'token',
  'directives',
  'mode',
  'allowCleartext',
  'tls',
  'hostNames',
  'logger',
  'instance',
  'metrics',
  'page',
  'extra',
  'journal',
  'supervisor',
  'readyWhenDegraded',
  'hangMs',
  'unref',
  'limits',
] as const satisfies readonly (keyof AdminServerOptions)[];

/** Throws an `AckgateError` that names the option for everything that can't be meant. */
export function checkAdminOptions(options: AdminServerOptions): CheckedAdmin {
  checkKeys('admin options', options, known);
  const { stage, directives, mode, tls, logger, journal } = options;
  if (typeof stage?.status !== 'function') throw argument('stage', 'a running stage');
  if (
    directives !== undefined &&
    (typeof directives?.publish !== 'function' || typeof directives.load !== 'function')
  ) {
    throw argument('directives', 'a store of directives with load and publish');
  }
  if (mode !== undefined && (typeof mode?.publish !== 'function' || typeof mode.load !== 'function')) {
    throw argument('mode', 'a WatchedMode');
  }
  if (tls !== undefined) {
    checkKeys('tls', tls, ['key', 'cert']);
    if (!isPem(tls.key) || !isPem(tls.cert)) throw argument('tls', 'a key and a certificate in PEM');
  }
  if (journal !== undefined && (typeof journal !== 'object' || journal === null)) {
    throw argument('journal', 'a journal');
  }
  const hostNames = options.hostNames ?? [];
  if (!Array.isArray(hostNames) || !hostNames.every((name) => typeof name === 'string' && name !== '')) {
    throw argument('hostNames', 'a list of names');
  }
  return {
    stage,
    host: text('host', options.host ?? '127.0.0.1', 255),
    port: integer('port', options.port ?? 0, 0, 65_535),
    token: checkToken(options.token),
    directives: directives ?? null,
    mode: mode ?? null,
    allowCleartext: boolean('allowCleartext', options.allowCleartext ?? false),
    tls: tls ?? null,
    hostNames: hostNames.map((name) => name.toLowerCase()),
    logger: safeLogger(checkLogger(logger ?? silentLogger)),
    instance: options.instance === undefined ? null : text('instance', options.instance, 128),
    metrics: optionalFunction('metrics', options.metrics),
    page: boolean('page', options.page ?? true),
    extra: optionalFunction('extra', options.extra),
    journal: journal ?? null,
    supervisor: optionalFunction('supervisor', options.supervisor),
    readyWhenDegraded: boolean('readyWhenDegraded', options.readyWhenDegraded ?? false),
    hangMs: integer('hangMs', options.hangMs ?? 5000, 1, timerMsMax),
    unref: boolean('unref', options.unref ?? false),
    limits: checkLimits(options.limits ?? {}),
  };
}

/** An empty token never matches, which is the same as none. What it is never gets into a message. */
function checkToken(token: unknown): string | null {
  if (token === undefined || token === '') return null;
  if (typeof token === 'string' && token.length <= 1024 && /^[\x21-\x7e]+$/.test(token)) return token;
  throw argument('token', 'a text of 1 to 1,024 visible ASCII characters, for it travels in a header');
}

function isPem(value: unknown): boolean {
  return (typeof value === 'string' && value !== '') || (value instanceof Uint8Array && value.length > 0);
}
