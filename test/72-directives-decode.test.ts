import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeKept } from '#ackgate/directives/decode.js';
import {
  type Directive,
  type DirectiveSlug,
  decodeDirectives,
  directiveSlugs,
  encodeDirectives,
  encodeKeptDirectives,
} from '#ackgate/directives/index.js';

// A body is taken whole or not at all; of its faults the first one is told, by a word of a fixed list.

const nowMs = 1_760_000_000_000;
const dayMs = 86_400_000;
const kinds = { order: 1, cancel: 2 };
const good = { id: 'a', level: 'timing', ttlSecs: 60 };

const decoded = (value: unknown, options = { nowMs, kinds }) =>
  decodeDirectives(JSON.stringify(value), options);
const one = (directive: unknown) => decoded({ directives: [directive] });
const slugOf = (directive: unknown) => {
  const answer = one(directive);
  return 'slug' in answer ? answer.slug : 'taken';
};
const slugOfText = (text: string | Uint8Array) => {
  const answer = decodeDirectives(text, { nowMs, kinds });
  return 'slug' in answer ? answer.slug : 'taken';
};
const taken = (answer: ReturnType<typeof decodeDirectives>) => {
  if ('slug' in answer) throw new Error(`refused: ${answer.slug}`);
  return answer.directives;
};
/** With a field of JSON that `JSON.stringify` can't write. */
const raw = (field: string) => `{"directives":[{"id":"a","level":"shape",${field}}]}`;

describe('a body that is right', () => {
  it('is taken with every field, the time made absolute', () => {
    const full = {
      id: 'why',
      level: 'capture',
      ttlSecs: 60,
      tenant: 'acme',
      connection: 7,
      kind: 'order',
      samplePerMille: 10,
      salt: 'x',
    };
    const { ttlSecs: _, ...rest } = full;
    expect(taken(one(full))).toEqual([{ ...rest, expiresAt: nowMs + 60_000 }]);
  });

  it('clears with an empty list', () => {
    expect(decoded({ directives: [] })).toEqual({ directives: [] });
  });

  it('gives a set that nobody can change', () => {
    const set = taken(one(good));
    expect(Object.isFrozen(set)).toBe(true);
    expect(Object.isFrozen(set[0])).toBe(true);
  });

  it.each(['off', 'shape', 'timing', 'capture'])('may have the level %s', (level) => {
    expect(taken(one({ ...good, level }))[0].level).toBe(level);
  });

  it('may be at the limits', () => {
    const long = 'x'.repeat(64);
    for (const directive of [
      { ...good, id: long, tenant: long, salt: long, connection: 1, samplePerMille: 0 },
      { ...good, id: '\u{1F600}', tenant: ' ', salt: '', connection: 2 ** 53 - 1, samplePerMille: 1000 },
      { ...good, ttlSecs: 1 },
      { ...good, ttlSecs: 86_400 },
    ]) {
      expect(slugOf(directive)).toBe('taken');
    }
    const many = Array.from({ length: 256 }, (_, i) => ({ ...good, id: `d${i}` }));
    expect(taken(decoded({ directives: many }))).toHaveLength(256);
  });

  it('may give its end as an absolute time, from the next millisecond to a day ahead', () => {
    const { ttlSecs: _, ...rest } = good;
    for (const expiresAt of [nowMs + 1, nowMs + dayMs]) {
      expect(taken(one({ ...rest, expiresAt }))[0].expiresAt).toBe(expiresAt);
    }
  });

  it('ends at the earlier of two times', () => {
    expect(taken(one({ ...good, ttlSecs: 60, expiresAt: nowMs + 5 }))[0].expiresAt).toBe(nowMs + 5);
    expect(taken(one({ ...good, ttlSecs: 1, expiresAt: nowMs + dayMs }))[0].expiresAt).toBe(nowMs + 1000);
  });

  it('may come as bytes', () => {
    const bytes = new TextEncoder().encode(JSON.stringify({ directives: [{ ...good, tenant: 'Ärger' }] }));
    expect(taken(decodeDirectives(bytes, { nowMs, kinds }))[0].tenant).toBe('Ärger');
  });

  it('may escape and space its JSON as it likes', () => {
    const text = ' {\n"directives" : [ {"\\u0069d":"a\\"b{[:","level":"shape","ttlSecs":6e1} ] } ';
    expect(taken(decodeDirectives(text, { nowMs }))[0]).toMatchObject({
      id: 'a"b{[:',
      expiresAt: nowMs + 60_000,
    });
  });
});

describe('a fault of the body', () => {
  const cases: [DirectiveSlug, string, string | Uint8Array][] = [
    ['invalid_json', 'nothing', ''],
    ['invalid_json', 'a cut body', '{"directives":['],
    ['invalid_json', 'a comma too many', '{"directives":[],}'],
    ['invalid_json', 'NaN', raw('"ttlSecs":NaN')],
    ['invalid_json', 'a byte order mark', '\ufeff{"directives":[]}'],
    ['invalid_json', 'bytes that are not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['invalid_json', 'two lists', '{"directives":[],"directives":[]}'],
    ['invalid_json', 'two targets of one name', raw('"ttlSecs":1,"tenant":"a","tenant":"b"')],
    ['invalid_json', 'the same name written differently', raw('"ttlSecs":1,"tenant":"a","\\u0074enant":"b"')],
    ['not_an_object', 'null', 'null'],
    ['not_an_object', 'a number', '5'],
    ['not_an_object', 'a bare list', '[]'],
    ['not_an_object', 'a text', '"{}"'],
    ['not_an_object', 'a directive that is null', '{"directives":[null]}'],
    ['not_an_object', 'a directive that is a list', '{"directives":[[]]}'],
    ['not_an_object', 'a directive that is a text', '{"directives":["a"]}'],
    ['unknown_field', 'one in the frame', '{"directives":[],"revision":1}'],
    ['unknown_field', 'one in a directive', raw('"ttlSecs":1,"tenants":"a"')],
    [
      'unknown_field',
      'one that means something to JavaScript',
      raw('"ttlSecs":1,"__proto__":{"tenant":"a"}'),
    ],
    ['unknown_field', 'another one of that sort', raw('"ttlSecs":1,"constructor":1')],
    ['unknown_field', '__proto__ in the frame', '{"__proto__":{"directives":[]}}'],
    ['missing_directives', 'an empty object', '{}'],
    ['missing_directives', 'null', '{"directives":null}'],
    ['missing_directives', 'an object', '{"directives":{"length":0}}'],
    ['ttl_too_long', 'a number beyond all numbers', raw('"ttlSecs":1e999')],
    ['ttl_too_long', 'an end beyond all numbers', raw('"expiresAt":1e999')],
    ['bad_sample_rate', 'a rate beyond all numbers', raw('"ttlSecs":1,"samplePerMille":1e999')],
    ['bad_target', 'a connection beyond all numbers', raw('"ttlSecs":1,"connection":1e999')],
    ['bad_target', 'half a surrogate pair', raw('"ttlSecs":1,"tenant":"\\ud800"')],
    ['missing_id', 'half a surrogate pair', '{"directives":[{"id":"\\udc00","level":"shape","ttlSecs":1}]}'],
    ['too_many', 'more than 1 Mi characters', ' '.repeat(1 << 20).concat('{"directives":[]}')],
  ];
  it.each(cases)('%s: %s', (slug, _, text) => {
    expect(slugOfText(text)).toBe(slug);
  });

  it('too_many: 257 directives', () => {
    const directives = Array.from({ length: 257 }, (_, i) => ({ ...good, id: `d${i}` }));
    expect(decoded({ directives })).toEqual({ slug: 'too_many' });
  });

  it('is found in texts that are nested deeply', () => {
    const deep = 400_000;
    expect(slugOfText('['.repeat(deep) + ']'.repeat(deep))).toBe('not_an_object');
    const inside = `{"a":`.repeat(150_000).concat('1', '}'.repeat(150_000));
    expect(slugOfText(raw(`"ttlSecs":1,"tenant":${inside}`))).toBe('bad_target');
    expect(slugOfText(raw(`"ttlSecs":1,"salt":{"a":1,"a":2}`))).toBe('bad_sample_rate');
  });

  it('never throws for anything else that is no text', () => {
    for (const value of [undefined, null, 5, {}, []]) {
      expect(decodeDirectives(value as never, { nowMs })).toHaveProperty('slug');
    }
  });
});

describe('a fault of a directive', () => {
  const without = (name: keyof typeof good) => {
    const { [name]: _, ...rest } = good;
    return rest;
  };
  const cases: [DirectiveSlug, unknown[]][] = [
    ['missing_id', [without('id'), ...[null, '', 5, {}, 'x'.repeat(65)].map((id) => ({ ...good, id }))]],
    ['missing_level', [without('level')]],
    [
      'unknown_level',
      ['', 'all', 'Shape', 'toString', '__proto__', 1, null, ['shape'], {}].map((level) => ({
        ...good,
        level,
      })),
    ],
    [
      'missing_ttl',
      [without('ttlSecs'), ...[null, '60', 1.5, true, {}].map((ttlSecs) => ({ ...good, ttlSecs }))],
    ],
    [
      'missing_ttl',
      [null, `${nowMs + 5}`, nowMs + 0.5, []].map((expiresAt) => ({ ...without('ttlSecs'), expiresAt })),
    ],
    ['zero_ttl', [0, -0, -1, -(2 ** 60)].map((ttlSecs) => ({ ...good, ttlSecs }))],
    ['zero_ttl', [nowMs, nowMs - 1, 0, -5].map((expiresAt) => ({ ...without('ttlSecs'), expiresAt }))],
    [
      'zero_ttl',
      [
        { ...good, ttlSecs: 0, expiresAt: nowMs + 5 },
        { ...good, expiresAt: nowMs },
      ],
    ],
    ['ttl_too_long', [86_401, 1e15, 1e300].map((ttlSecs) => ({ ...good, ttlSecs }))],
    [
      'ttl_too_long',
      [nowMs + dayMs + 1, nowMs * 1000, 1e300].map((expiresAt) => ({ ...without('ttlSecs'), expiresAt })),
    ],
    [
      'ttl_too_long',
      [
        { ...good, expiresAt: nowMs + dayMs + 1 },
        { ...good, ttlSecs: 86_401, expiresAt: nowMs + 5 },
      ],
    ],
    [
      'bad_sample_rate',
      [-1, 1001, 0.5, '10', null, true, []].map((samplePerMille) => ({ ...good, samplePerMille })),
    ],
    ['bad_sample_rate', [5, null, {}, 'x'.repeat(65)].map((salt) => ({ ...good, salt }))],
    ['bad_target', [null, 5, '', [], {}, true, 'x'.repeat(65)].map((tenant) => ({ ...good, tenant }))],
    ['bad_target', [null, 0, -1, 1.5, '7', [], {}, 2 ** 53].map((connection) => ({ ...good, connection }))],
    ['bad_target', [null, 1, [], {}, false].map((kind) => ({ ...good, kind }))],
    [
      'unknown_kind',
      ['', 'Order', '1', '__proto__', 'constructor', 'toString', 'x'.repeat(99)].map((kind) => ({
        ...good,
        kind,
      })),
    ],
  ];
  it.each(cases)('%s', (slug, directives) => {
    for (const directive of directives) expect([directive, slugOf(directive)]).toEqual([directive, slug]);
  });

  it('duplicate_id', () => {
    expect(decoded({ directives: [good, { ...good, id: 'b' }, good] })).toEqual({ slug: 'duplicate_id' });
  });

  it('every word of the list has been told above', () => {
    const tested = new Set([...cases.map(([slug]) => slug), 'duplicate_id', 'too_many']);
    const ofBody = ['invalid_json', 'not_an_object', 'unknown_field', 'missing_directives'];
    expect([...tested, ...ofBody].sort()).toEqual([...directiveSlugs].sort());
  });
});

describe('of several faults', () => {
  it('the one of the frame is told, then the one of the first directive', () => {
    expect(decoded({ x: 1, directives: null })).toEqual({ slug: 'unknown_field' });
    expect(decoded({ x: 1, directives: [{ ...good, id: '' }] })).toEqual({ slug: 'unknown_field' });
    const directives = [good, { ...good, id: 'b', tenant: null }, { ...good, id: '' }];
    expect(decoded({ directives })).toEqual({ slug: 'bad_target' });
    const many = Array.from({ length: 257 }, () => null);
    expect(decoded({ directives: many })).toEqual({ slug: 'too_many' });
  });

  it('of one directive the one that comes first in the list is told', () => {
    const worst = {
      x: 1,
      id: 5,
      level: 'wat',
      ttlSecs: null,
      samplePerMille: -1,
      tenant: null,
      kind: 'nothing',
    };
    const seen: string[] = [];
    const repaired: Record<string, unknown> = { ...worst };
    const repairs = [
      { x: undefined },
      { id: 'a' },
      { id: 'b' },
      { level: 'shape' },
      { ttlSecs: 0 },
      { ttlSecs: 1 },
      { samplePerMille: 1 },
      { tenant: 'a' },
    ];
    for (const repair of [{}, ...repairs]) {
      Object.assign(repaired, repair);
      const answer = decoded({ directives: [good, repaired] });
      seen.push('slug' in answer ? answer.slug : 'taken');
    }
    expect(seen).toEqual([
      'unknown_field',
      'missing_id',
      'duplicate_id',
      'unknown_level',
      'missing_ttl',
      'zero_ttl',
      'bad_sample_rate',
      'bad_target',
      'unknown_kind',
    ]);
  });

  it('only the word is told, never the value', () => {
    expect(one({ ...good, tenant: ['secret'] })).toEqual({ slug: 'bad_target' });
  });
});

describe('kinds', () => {
  const kindIs = (kind: string, table?: Record<string, number>) =>
    decodeDirectives(JSON.stringify({ directives: [{ ...good, kind }] }), {
      nowMs,
      ...(table && { kinds: table }),
    });

  it('are numbers where the application gave them no names', () => {
    for (const table of [undefined, {}]) {
      for (const kind of ['0', '7', '65535']) expect(taken(kindIs(kind, table))[0].kind).toBe(kind);
      for (const kind of ['65536', '01', '+1', '-1', '1.0', '1e1', ' 1', '', 'order', 'toString']) {
        expect(kindIs(kind, table)).toEqual({ slug: 'unknown_kind' });
      }
    }
  });

  it('may have names that mean something to JavaScript', () => {
    const table = JSON.parse('{"__proto__":3,"constructor":4}') as Record<string, number>;
    expect(taken(kindIs('__proto__', table))[0].kind).toBe('__proto__');
    expect(taken(kindIs('constructor', table))[0].kind).toBe('constructor');
    expect(kindIs('toString', table)).toEqual({ slug: 'unknown_kind' });
  });
});

// Sets as the decoder takes them, for properties.
const words = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => text.length <= 64);
const optional = { requiredKeys: ['id', 'level', 'expiresAt'] as ('id' | 'level' | 'expiresAt')[] };
const directives = fc.uniqueArray(
  fc.record(
    {
      id: words,
      level: fc.constantFrom('off', 'shape', 'timing', 'capture'),
      expiresAt: fc.integer({ min: nowMs + 2, max: nowMs + dayMs }),
      tenant: words,
      connection: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      kind: fc.constantFrom('order', 'cancel'),
      samplePerMille: fc.integer({ min: 0, max: 1000 }),
      salt: words,
    },
    optional,
  ),
  { selector: ({ id }) => id, maxLength: 8 },
) as fc.Arbitrary<Directive[]>;

describe('what was listed', () => {
  it('can be published as it is, now or later, and ends when it did', () => {
    fc.assert(
      fc.property(directives, fc.nat(2000), (set, laterMs) => {
        const text = encodeDirectives({ directives: set }, nowMs);
        expect(taken(decodeDirectives(text, { nowMs, kinds }))).toEqual(set);
        const later = nowMs + laterMs;
        const on = set.filter(({ expiresAt }) => later < expiresAt);
        const again = decodeDirectives(encodeDirectives({ directives: set }, later), { nowMs: later, kinds });
        expect(taken(again)).toEqual(on);
      }),
    );
  });

  it('tells the remaining time, and only what is on', () => {
    const set: Directive[] = [
      { id: 'a', level: 'shape', expiresAt: nowMs + 1 },
      { id: 'b', level: 'shape', expiresAt: nowMs },
      { id: 'c', level: 'shape', expiresAt: nowMs + dayMs, tenant: 't' },
    ];
    expect(JSON.parse(encodeDirectives({ directives: set }, nowMs))).toEqual({
      directives: [
        { id: 'a', level: 'shape', ttlSecs: 1, expiresAt: nowMs + 1 },
        { id: 'c', level: 'shape', ttlSecs: 86_400, expiresAt: nowMs + dayMs, tenant: 't' },
      ],
    });
  });
});

describe('what a distributed store keeps', () => {
  const kept = (value: unknown) => decodeKept(JSON.stringify(value), { nowMs, kinds });

  it('comes back as it was, also when all of it is over', () => {
    fc.assert(
      fc.property(directives, fc.integer({ min: 0, max: 10 * dayMs }), (set, laterMs) => {
        const answer = decodeKept(encodeKeptDirectives(set), { nowMs: nowMs + laterMs, kinds });
        expect(answer).toEqual({ directives: set });
      }),
    );
  });

  it('has no relative times: they would begin anew with each reading', () => {
    expect(kept({ directives: [good] })).toEqual({ slug: 'unknown_field', index: 0 });
    expect(kept({ directives: [{ ...good, expiresAt: nowMs + 5 }] })).toEqual({
      slug: 'unknown_field',
      index: 0,
    });
    expect(kept({ directives: [{ id: 'a', level: 'shape' }] })).toEqual({ slug: 'missing_ttl', index: 0 });
  });

  it('still ends within a day', () => {
    const over = { id: 'a', level: 'shape', expiresAt: 0 };
    const tooLong = { id: 'b', level: 'shape', expiresAt: nowMs + dayMs + 1 };
    expect(kept({ directives: [over, tooLong] })).toEqual({ slug: 'ttl_too_long', index: 1 });
  });
});

describe('whatever comes', () => {
  it('is answered, never thrown at', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.anything().map((value) => `{"directives":[${JSON.stringify(value) ?? ''}]}`),
      directives.chain((set) => {
        const text = encodeDirectives({ directives: set }, nowMs);
        return fc
          .tuple(fc.nat(text.length), fc.nat(5), fc.string({ maxLength: 3 }))
          .map(([at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut));
      }),
    );
    fc.assert(
      fc.property(fc.oneof(anything, fc.uint8Array()), (text) => {
        const answer = decodeDirectives(text, { nowMs, kinds });
        if ('slug' in answer) {
          expect(Object.keys(answer)).toEqual(['slug']);
          expect(directiveSlugs).toContain(answer.slug);
        } else {
          for (const { expiresAt } of answer.directives) {
            expect(expiresAt).toBeGreaterThan(nowMs);
            expect(expiresAt).toBeLessThanOrEqual(nowMs + dayMs);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('a target of the wrong type never widens a directive', () => {
    const isString = (value: unknown) => typeof value === 'string';
    const jsonOf = (value: unknown) => JSON.stringify(value) as string | undefined;
    const wrong = fc
      .record({ field: fc.constantFrom('tenant', 'connection', 'kind'), value: fc.jsonValue() })
      .filter(({ field, value }) =>
        field === 'connection'
          ? !(Number.isSafeInteger(value) && (value as number) >= 1)
          : field === 'kind'
            ? !isString(value)
            : !isString(value) || (value as string).length > 64 || value === '',
      );
    fc.assert(
      fc.property(wrong, fc.boolean(), ({ field, value }, others) => {
        const targets = others ? { tenant: 'a', connection: 1, kind: 'order' } : {};
        const directive = { ...good, ...targets, [field]: value };
        expect(jsonOf(directive)).toContain(`"${field}"`);
        expect(slugOf(directive)).toBe('bad_target');
      }),
      { numRuns: 2000 },
    );
  });
});
