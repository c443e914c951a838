import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signToken, type TokenClaims, type TokenKey, TokenVerifier } from '#ackgate/directives/index.js';
import { AckgateError } from '#ackgate/errors.js';

// A token that raises the level of one session; whatever is wrong with it, it just is not taken.

const key = 'operator-shared-secret';
const payload = '{"kid":"k1","level":"shape","exp":600}';
const signature = '432254d5ea9a98468b2b56f0a1bab93de6d9077998527fda252f006f6b789441';
const hex = (text: string | Uint8Array) => Buffer.from(text).toString('hex');
const token = `${hex(payload)}.${signature}`;
const claims: TokenClaims = { kid: 'k1', level: 'shape', exp: 600 };

/** Signed as it is, whatever it says. */
const signed = (text: string | Uint8Array, by = key) =>
  `${hex(text)}.${createHmac('sha256', by).update(text).digest('hex')}`;

const verifier = (nowMs = 0, instance?: string) =>
  new TokenVerifier({ keys: { k1: key }, now: () => nowMs, ...(instance !== undefined && { instance }) });

describe('a token that is right', () => {
  it('is the payload and its HMAC, byte for byte', () => {
    expect(signToken(claims, key)).toBe(token);
    expect(signToken(claims, Buffer.from(key))).toBe(token);
    expect(signed(payload)).toBe(token);
  });

  it('grants its level until it expires', () => {
    const grant = verifier().verify(token);
    expect(grant).toEqual({ level: 'shape', expiresAt: 600_000 });
    expect(Object.isFrozen(grant)).toBe(true);
  });

  it('can be of every level but off', () => {
    for (const level of ['shape', 'timing', 'capture'] as const) {
      expect(verifier().verify(signToken({ ...claims, level }, key))?.level).toBe(level);
    }
  });

  it('may have its fields in any order', () => {
    expect(verifier().verify(signed('{"exp":600,"level":"shape","kid":"k1"}'))).not.toBeNull();
  });
});

describe('its time', () => {
  it('is over at the second it says', () => {
    expect(verifier(599_999).verify(token)).not.toBeNull();
    expect(verifier(600_000).verify(token)).toBeNull();
    expect(verifier(600_001).verify(token)).toBeNull();
  });

  it('is at most an hour ahead', () => {
    const at = (exp: number) => verifier(1_760_000_000_500).verify(signToken({ ...claims, exp }, key));
    expect(at(1_760_000_000 + 3600)).not.toBeNull();
    expect(at(1_760_000_000 + 3601)).toBeNull();
    expect(at(Number.MAX_SAFE_INTEGER)).toBeNull();
  });

  it('is never right by a clock that is not', () => {
    for (const nowMs of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(verifier(nowMs).verify(token)).toBeNull();
    }
  });
});

describe('an instance', () => {
  const bound = signToken({ ...claims, instance: 'one' }, key);

  it('takes what is bound to it, or to none', () => {
    expect(verifier(0, 'one').verify(bound)).not.toBeNull();
    expect(verifier(0, 'one').verify(token)).not.toBeNull();
  });

  it('does not take what is bound to another, nor without a name of its own', () => {
    for (const instance of ['two', 'One', '', undefined]) {
      expect(verifier(0, instance).verify(bound)).toBeNull();
    }
  });
});

describe('keys', () => {
  it('are tried one after another, and the token must name the one that fits', () => {
    const both = new TokenVerifier({ keys: { k0: 'the-older-shared-secret', k1: key }, now: () => 0 });
    expect(both.verify(token)).not.toBeNull();
    expect(both.verify(signToken({ ...claims, kid: 'k0' }, 'the-older-shared-secret'))).not.toBeNull();
    expect(both.verify(signToken({ ...claims, kid: 'k0' }, key))).toBeNull();
    expect(both.verify(signToken({ ...claims, kid: 'k2' }, key))).toBeNull();
    expect(both.verify(signToken({ ...claims, kid: 'toString' }, key))).toBeNull();
  });

  it('may be the same under two names while one is renamed', () => {
    const both = new TokenVerifier({ keys: { old: key, k1: key }, now: () => 0 });
    expect(both.verify(token)).not.toBeNull();
    expect(both.verify(signToken({ ...claims, kid: 'old' }, key))).not.toBeNull();
  });

  it('that are gone, or were never there, make every token void', () => {
    expect(
      new TokenVerifier({ keys: { k2: 'another-shared-secret' }, now: () => 0 }).verify(token),
    ).toBeNull();
    expect(new TokenVerifier({ keys: {}, now: () => 0 }).verify(token)).toBeNull();
    expect(new TokenVerifier({ now: () => 0 }).verify(token)).toBeNull();
    expect(new TokenVerifier().verify(signed(payload, ''))).toBeNull();
  });

  it('are copied', () => {
    const bytes = Buffer.from(key);
    const one = new TokenVerifier({ keys: { k1: bytes }, now: () => 0 });
    bytes.fill(0);
    expect(one.verify(token)).not.toBeNull();
  });

  const bad: unknown[] = ['', 'x'.repeat(15), new Uint8Array(15), null, undefined, 5, {}, ['x'.repeat(16)]];
  it.each(bad.map((value) => [value]))('must have 16 bytes: %j', (value) => {
    expect(() => new TokenVerifier({ keys: { good: key, 'bad one': value as TokenKey } })).toThrow(
      'keys["bad one"]',
    );
    expect(() => signToken(claims, value as TokenKey)).toThrow('key must');
  });

  it('count in bytes', () => {
    expect(() => signToken(claims, '\u{1F600}'.repeat(4))).not.toThrow();
  });

  it('are never shown', () => {
    const secret = 'do-not-show-this-secret';
    const tooShort = 'do-not-show-me';
    const one = new TokenVerifier({ keys: { k1: secret, k2: Buffer.from(secret) } });
    const shown = [
      inspect(one, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true }),
      JSON.stringify(one),
      String(one),
      `${Object.getOwnPropertyNames(one)}`,
    ];
    for (const call of [
      () => new TokenVerifier({ keys: { k1: tooShort } }),
      () => signToken(claims, tooShort),
      () => signToken({ ...claims, exp: -1 }, secret),
    ]) {
      try {
        call();
        throw new Error('nothing was thrown');
      } catch (error) {
        expect(error).toBeInstanceOf(AckgateError);
        shown.push(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true }));
      }
    }
    const all = shown.join('\n');
    for (const text of [
      secret,
      hex(secret),
      Buffer.from(secret).toString('base64'),
      tooShort,
      hex(tooShort),
    ]) {
      expect(all).not.toContain(text);
    }
    // Bytes as `inspect` shows them.
    expect(all).not.toContain('64 6f 2d 6e 6f 74');
  });
});

describe('a token that is none', () => {
  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number', 5],
    ['an object that pretends', { toString: () => token, length: token.length }],
    ['empty', ''],
    ['a dot', '.'],
    ['no payload', `.${signature}`],
    ['no signature', `${hex(payload)}.`],
    ['no dot', `${hex(payload)}${signature}`],
    ['two dots', `${token}.`],
    ['a dot before', `.${token}`],
    ['three parts', `${token}.${signature}`],
    ['a space before', ` ${token}`],
    ['a line break after', `${token}\n`],
    ['upper case', token.toUpperCase()],
    ['an upper case signature', `${hex(payload)}.${signature.toUpperCase()}`],
    ['an odd number of digits', `${hex(payload).slice(1)}.${signature}`],
    ['a digit that is none', `${hex(payload).slice(0, -1)}g.${signature}`],
    ['a short signature', `${hex(payload)}.${signature.slice(2)}`],
    ['a long signature', `${hex(payload)}.${signature}00`],
    ['an empty payload, signed', signed('')],
    ['a huge one', `${'00'.repeat(1 << 20)}.${signature}`],
    ['a huge one, signed', signed(`{"kid":"k1","level":"shape","exp":600,"instance":"${'x'.repeat(4096)}"}`)],
  ])('%s', (_, value) => {
    expect(verifier().verify(value)).toBeNull();
    expect(verifier(0, 'x'.repeat(4096)).verify(value)).toBeNull();
  });

  it('any single digit changed', () => {
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === '0' ? '1' : '0';
      expect(verifier().verify(token.slice(0, at) + other + token.slice(at + 1))).toBeNull();
    }
  });

  it.each([
    ['not JSON', 'x'],
    ['JSON cut short', payload.slice(0, -1)],
    ['JSON with a space', '{"kid":"k1", "level":"shape","exp":600}'],
    ['JSON with a line break', `${payload}\n`],
    ['a number written otherwise', '{"kid":"k1","level":"shape","exp":6e2}'],
    ['a letter written otherwise', '{"kid":"k\\u0031","level":"shape","exp":600}'],
    ['a field twice', '{"kid":"k1","level":"shape","level":"shape","exp":600}'],
    ['a field too many', '{"kid":"k1","level":"shape","exp":600,"admin":true}'],
    ['a field of JavaScript', '{"kid":"k1","level":"shape","exp":600,"__proto__":{}}'],
    ['no kid', '{"level":"shape","exp":600}'],
    ['no level', '{"kid":"k1","exp":600}'],
    ['no exp', '{"kid":"k1","level":"shape"}'],
    ['a kid that is a number', '{"kid":1,"level":"shape","exp":600}'],
    ['a kid that is a list', '{"kid":["k1"],"level":"shape","exp":600}'],
    ['no level at all', '{"kid":"k1","level":"off","exp":600}'],
    ['an unknown level', '{"kid":"k1","level":"all","exp":600}'],
    ['a level that is a number', '{"kid":"k1","level":1,"exp":600}'],
    ['an exp that is a text', '{"kid":"k1","level":"shape","exp":"600"}'],
    ['an exp with a fraction', '{"kid":"k1","level":"shape","exp":600.5}'],
    ['an exp that is null', '{"kid":"k1","level":"shape","exp":null}'],
    ['an exp below 0', '{"kid":"k1","level":"shape","exp":-600}'],
    ['an instance that is null', '{"kid":"k1","level":"shape","exp":600,"instance":null}'],
    ['an instance that is empty', '{"kid":"k1","level":"shape","exp":600,"instance":""}'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a text', '"k1"'],
    ['a list around it', `[${payload}]`],
    ['bytes that are not UTF-8', Uint8Array.of(0xff, 0xfe)],
    ['a byte order mark', `\ufeff${payload}`],
    ['deep nesting', '['.repeat(1500)],
  ])('rightly signed, but %s', (_, text) => {
    expect(verifier().verify(signed(text))).toBeNull();
    expect(verifier(0, '').verify(signed(text))).toBeNull();
  });

  it('whatever it is: never thrown at, never taken', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef.') }),
      fc.anything(),
    );
    fc.assert(
      fc.property(texts, fc.json(), (any, json) => {
        expect(verifier().verify(any)).toBeNull();
        expect(verifier().verify(signed(json))).toBeNull();
      }),
    );
  });
});

describe('signing', () => {
  it.each<[string, unknown]>([
    ['kid', { ...claims, kid: '' }],
    ['kid', { ...claims, kid: 5 }],
    ['kid', { ...claims, kid: 'x'.repeat(65) }],
    ['level', { ...claims, level: 'off' }],
    ['level', { ...claims, level: 'wat' }],
    ['exp', { ...claims, exp: 0 }],
    ['exp', { ...claims, exp: 1.5 }],
    ['exp', { ...claims, exp: Number.NaN }],
    ['exp', { ...claims, exp: '600' }],
    ['instance', { ...claims, instance: '' }],
    ['instance', { ...claims, instance: undefined }],
    ['unknown field', { ...claims, admin: true }],
    ['claims', null],
  ])('refuses claims that no verifier would take: %s', (names, bad) => {
    expect(() => signToken(bad as TokenClaims, key)).toThrow(names);
  });

  it('has room for the longest names', () => {
    const instance = '\u0001'.repeat(256);
    const longest: TokenClaims = { kid: '\u0001'.repeat(64), level: 'capture', exp: 3600, instance };
    const one = new TokenVerifier({ keys: { [longest.kid]: key }, instance, now: () => 0 });
    expect(one.verify(signToken(longest, key))).not.toBeNull();
  });

  it('makes what a verifier takes', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(name, name, fc.integer({ min: 1, max: 3600 }), (kid, instance, exp) => {
        const one = new TokenVerifier({ keys: Object.fromEntries([[kid, key]]), instance, now: () => 0 });
        const grant = one.verify(signToken({ kid, level: 'capture', exp, instance }, key));
        expect(grant).toEqual({ level: 'capture', expiresAt: exp * 1000 });
      }),
    );
  });
});
