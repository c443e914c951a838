import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { type Answer, refusal } from './answer.js';
import { hostName, isLoopbackAddress, isLoopbackName } from './hosts.js';
import type { CheckedAdmin } from './options.js';

/** Who called, as audit lines name them. */
export interface Caller {
  readonly address: string;
  /** Tells tokens apart without telling what they are; null: none was sent. */
  readonly token: string | null;
}

/** Decides who may call what, before anything of a body is read. */
export class Guard {
  readonly #options: CheckedAdmin;
  readonly #digest: Buffer | null;
  /**
   * Fingerprints are made with a key that lives as long as the server: with a plain hash, whoever reads the log could try
   * out words until one fits, also for a token that someone sent here by mistake.
   */
  readonly #fingerprintKey = randomBytes(32);
  /** Names that a `Host` header may have; null: all. */
  readonly #names: ReadonlySet<string> | null;
  readonly #loopback: boolean;

  constructor(options: CheckedAdmin) {
    this.#options = options;
    this.#digest = options.token === null ? null : sha256(options.token);
    this.#loopback = isLoopbackName(options.host);
    const { hostNames, host } = options;
    this.#names =
      this.#loopback || hostNames.length > 0 ? new Set([...hostNames, bracketed(host.toLowerCase())]) : null;
  }

  /**
   * A name that leads here without being ours is how a web page gets at a server on loopback (DNS rebinding): the
   * browser then takes the page for one of this server's own.
   */
  checkHost(request: IncomingMessage): Answer | null {
    const { host } = request.headers;
    if ((request.headersDistinct.host?.length ?? 0) > 1) {
      return refusal(400, 'bad_host', 'a request has one Host header');
    }
    // HTTP/1.0 knows no Host, and browsers don't speak it.
    if (host === undefined || this.#names === null) return null;
    const name = hostName(host);
    if (name !== null && (this.#names.has(name) || (this.#loopback && isLoopbackName(name)))) return null;
    return refusal(421, 'foreign_host', 'this server is not known by the name in the Host header');
  }

  /** Cleartext, then foreign pages, then the token. */
  checkAdmin(request: IncomingMessage): Answer | null {
    if (!this.#private(request)) {
      return refusal(
        403,
        'cleartext',
        'admin calls from another host need TLS, or allowCleartext on the server: the token could be read on the way',
      );
    }
    const { origin } = request.headers;
    if (origin !== undefined && !this.#ownOrigin(origin, request)) {
      return refusal(403, 'foreign_origin', "only this server's own page may make admin calls");
    }
    if (!this.#authorized(request)) {
      return refusal(401, 'unauthorized', 'a bearer token is needed, and this is not the one', {
        'WWW-Authenticate': 'Bearer realm="ackgate"',
      });
    }
    return null;
  }

  caller(request: IncomingMessage): Caller {
    const token = presentedToken(request);
    return {
      address: request.socket.remoteAddress ?? 'unknown',
      token:
        token === null
          ? null
          : createHmac('sha256', this.#fingerprintKey).update(token).digest('hex').slice(0, 8),
    };
  }

  #private(request: IncomingMessage): boolean {
    const { socket } = request;
    const encrypted = (socket as Partial<TLSSocket>).encrypted === true;
    return encrypted || this.#options.allowCleartext || isLoopbackAddress(socket.remoteAddress);
  }

  /** A browser says from which site a page calls. Cleartext may have been TLS on the other side of a proxy. */
  #ownOrigin(origin: string, request: IncomingMessage): boolean {
    const schemes = this.#options.tls === null ? ['http', 'https'] : ['https'];
    const host = request.headers.host?.toLowerCase();
    return host !== undefined && schemes.some((scheme) => origin.toLowerCase() === `${scheme}://${host}`);
  }

  #authorized(request: IncomingMessage): boolean {
    const token = presentedToken(request);
    // Digests are of one length, and comparing them takes as long for a near miss as for any other.
    return token !== null && this.#digest !== null && timingSafeEqual(sha256(token), this.#digest);
  }
}

/** The bearer token of the request; null for none, an empty one, or more than one header. */
function presentedToken(request: IncomingMessage): string | null {
  const headers = request.headersDistinct.authorization ?? [];
  if (headers.length !== 1) return null;
  return /^bearer +([\x21-\x7e]+)$/i.exec(headers[0])?.[1] ?? null;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
