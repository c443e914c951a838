import type { WatchedMode } from '../cluster/index.js';
import type { PublishableStore } from '../directives/index.js';
import type { SupervisorSource } from '../metrics/index.js';
import { argument, boolean, checkLogger, integer, optionalFunction, text } from '../shared/checks.js';
import { type Logger, silentLogger } from '../shared/logger.js';
import { safeLogger } from '../shared/safe-logger.js';
import type { Stage } from '../stage/api.js';
import { checkKeys } from '../stage/options.js';
import { type AdminLimits, checkLimits } from './limits.js';

export interface AdminServerOptions {
  /** The stage to watch and to steer; the server runs on the thread that started it. */
  stage: Stage;
  /** Address to listen on (default `127.0.0.1`). */
  host?: string;
  /** Port to listen on, 0 for any free one (default 0). */
  port?: number;
  /** Bearer token of the calls under `/admin`. Without one, or with an empty one, they all answer 404. */
  token?: string;
  /** Where directives are published. Without one `/admin/directives` answers 404. */
  store?: PublishableStore;
  /** Where the durability mode is published, for all instances. Without one it is set on this stage alone. */
  modes?: WatchedMode;
  /** Takes admin calls over cleartext from other hosts than loopback: whoever is on the way can read the token. */
  allowCleartext?: boolean;
  /** Key and certificate chain in PEM: the server speaks TLS. */
  tls?: { key: string | Uint8Array; cert: string | Uint8Array };
  /**
   * Names that a `Host` header may have, without a port. On loopback, loopback's own names and `host` are always
   * among them, and nothing else is by default; elsewhere every name is accepted unless some are given here.
   */
  hostNames?: readonly string[];
  /** Where audit lines go (default: nowhere). */
  logger?: Logger;
  /** Name of this instance, for audit lines and the page. */
  instance?: string;
  /** Text of `/metrics` (default: the stage's figures by prom-client, loaded when first asked for). */
  metrics?: () => string | Promise<string>;
  /** `/` serves the live page (default true). */
  page?: boolean;
  /** The application's own figures, for `/status` and the page; plain data. */
  extra?: () => object;
  /** The journal, for `/ready`: one that has failed can acknowledge nothing. */
  journal?: { readonly failure: Error | null };
  /**
   * The supervisor, for `/status` and `/metrics`. Asked each time: a server that is a supervisor's `health` is there
   * before it.
   */
  supervisor?: () => SupervisorSource | undefined;
  /** `/ready` says yes even while the policy is degraded (default false). */
  readyWhenDegraded?: boolean;
  /**
   * A stage that has not done a round for this long hangs, and one whose first record has waited for this long is not
   * ready, in milliseconds (default 5000).
   */
  hangMs?: number;
  /** Lets the process end while the server still listens (default false). */
  unref?: boolean;
  /** What one client, or all together, may take up. */
  limits?: Partial<AdminLimits>;
}

/** Options after checking, with every default filled in. */
export interface CheckedAdmin {
  readonly stage: Stage;
  readonly host: string;
  readonly port: number;
  /** Null: nothing under `/admin` is there. */
  readonly token: string | null;
  readonly store: PublishableStore | null;
  readonly modes: WatchedMode | null;
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
  'store',
  'modes',
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
  const { stage, store, modes, tls, logger, journal } = options;
  if (typeof stage?.status !== 'function') throw argument('stage', 'a running stage');
  if (store !== undefined && (typeof store?.publish !== 'function' || typeof store.load !== 'function')) {
    throw argument('store', 'a store of directives with load and publish');
  }
  if (modes !== undefined && (typeof modes?.publish !== 'function' || typeof modes.load !== 'function')) {
    throw argument('modes', 'a WatchedMode');
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
    store: store ?? null,
    modes: modes ?? null,
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
    hangMs: integer('hangMs', options.hangMs ?? 5000, 1, 2 ** 31 - 1),
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
