import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { LevelGrant } from '../diagnosis/api.js';
import { diagnosisLevels } from '../diagnosis/levels.js';
import { AckgateError } from '../errors.js';
import { checkKeys, optionalFunction } from '../shared/checks.js';

/** A secret shared by those who sign and those who verify: at least 16 bytes; a text counts in UTF-8. */
export type TokenKey = string | Uint8Array;

/** What a token says. */
export interface TokenClaims {
  /** Name of the key it is signed with, 1 … 64 characters. */
  readonly kid: string;
  /** The level that the session is raised to. */
  readonly level: 'shape' | 'timing' | 'capture';
  /** When it ends: unix seconds, at most an hour ahead; at this instant it is over. */
  readonly exp: number;
  /** The only instance that may take it, 1 … 256 characters; without it, each one that knows the key. */
  readonly instance?: string;
}

const keyBytesMin = 16;
const secsMax = 60 * 60;
/** Room for the longest names, however they are escaped. */
const charsMax = 4096;
/** Lower case only, so that there is one way to write a token. */
const form = /^((?:[0-9a-f]{2})+)\.([0-9a-f]{64})$/;

const claimsShape = z.strictObject({
  kid: z.string().min(1).max(64),
  level: z.enum(diagnosisLevels).exclude(['off']),
  exp: z.int().min(1),
  instance: z.exactOptional(z.string().min(1).max(256)),
});

/**
 * A token that raises the level of one session: the payload in hexadecimal, a dot, and its HMAC-SHA256.
 *
 * @throws ERR_ACKGATE_INVALID_ARGUMENT for claims or a key that no verifier would take
 */
export function signToken(claims: TokenClaims, key: TokenKey): string {
  const checked = claimsShape.safeParse(claims);
  if (!checked.success) {
    const [{ path }] = checked.error.issues;
    throw invalid(
      `token claims: ${path.length === 0 ? 'an unknown field, or not an object' : path.join('.')} is wrong`,
    );
  }
  const { kid, level, exp, instance } = checked.data;
  const payload = Buffer.from(JSON.stringify({ kid, level, exp, instance }));
  return `${payload.toString('hex')}.${signatureOf(payload, secretOf(key, 'key')).toString('hex')}`;
}

/** What tokens are verified by. */
export interface TokenVerifierOptions {
  /**
   * The keys by their names (default none: no token is good). Rotating: add the new one everywhere, sign with it, take the
   * old one away.
   */
  readonly keys?: Readonly<Record<string, TokenKey>>;
  /** Who we are, for tokens that are bound to an instance (default: nobody, and no such token is taken). */
  readonly instance?: string;
  /** The time in unix milliseconds (default `Date.now`). */
  readonly now?: () => number;
}

/** Verifies tokens. Whatever is wrong with one, it just isn't taken: the traffic goes on as without it. */
export class TokenVerifier {
  readonly #keys = new Map<string, KeyObject>();
  readonly #instance: string | undefined;
  readonly #now: () => number;

  /** @throws ERR_ACKGATE_INVALID_ARGUMENT, such as for a key that is too short; ERR_ACKGATE_UNKNOWN_OPTION */
  constructor(options: TokenVerifierOptions = {}) {
    checkKeys('verifier options', options, ['keys', 'instance', 'now']);
    const { keys = {}, instance, now } = options;
    for (const [kid, key] of Object.entries(keys)) {
      this.#keys.set(kid, secretOf(key, `keys[${JSON.stringify(kid)}]`));
    }
    this.#instance = instance;
    this.#now = optionalFunction('now', now) ?? Date.now;
  }

  /** What it grants, or null. The payload is not looked at before its signature is known to be right. */
  verify(token: unknown): LevelGrant | null {
    if (typeof token !== 'string' || token.length > charsMax) return null;
    const parts = form.exec(token);
    if (parts === null) return null;
    const payload = Buffer.from(parts[1], 'hex');
    const signers = this.#signersOf(payload, Buffer.from(parts[2], 'hex'));
    if (signers.length === 0) return null;
    const claims = claimsOf(payload);
    if (claims === null || !signers.includes(claims.kid)) return null;
    if (claims.instance !== undefined && claims.instance !== this.#instance) return null;
    const now = this.#now();
    const expiresAt = claims.exp * 1000;
    if (!(now < expiresAt && expiresAt <= now + secsMax * 1000)) return null;
    return Object.freeze({ level: claims.level, expiresAt });
  }

  /** The names of the keys that made this signature. The name of the right one is inside, so each key is tried. */
  #signersOf(payload: Buffer, signature: Buffer): string[] {
    const signers: string[] = [];
    for (const [kid, key] of this.#keys) {
      if (timingSafeEqual(signatureOf(payload, key), signature)) signers.push(kid);
    }
    return signers;
  }
}

/** Null unless it is JSON as `JSON.stringify` writes it: no space, no name twice, one way to write each value. */
function claimsOf(payload: Buffer): TokenClaims | null {
  try {
    const text = utf8.decode(payload);
    const value: unknown = JSON.parse(text);
    if (JSON.stringify(value) !== text) return null;
    return (claimsShape.safeParse(value).data as TokenClaims | undefined) ?? null;
  } catch {
    return null;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function signatureOf(payload: Buffer, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(payload).digest();
}

/** A key object shows nothing of the key to `util.inspect` or `JSON.stringify`. */
function secretOf(key: unknown, name: string): KeyObject {
  const isBytes = key instanceof Uint8Array;
  if (!isBytes && typeof key !== 'string') throw invalid(`${name} must be a text or bytes`);
  const bytes = isBytes ? key : Buffer.from(key, 'utf8');
  if (bytes.length < keyBytesMin) throw invalid(`${name} must have at least ${keyBytesMin} bytes`);
  return createSecretKey(bytes);
}

function invalid(message: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', message);
}
