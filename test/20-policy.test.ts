import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AckgateError } from '#ackgate/errors.js';
import {
  Blocker,
  type Clause,
  createNodeTable,
  customModeByte,
  faultPosition,
  fillNodeTable,
  MAX_CLUSTER_SIZE,
  modeFromByte,
  modeToByte,
  modeToPolicy,
  type NodeCursor,
  Policy,
  PolicyEvaluator,
  parseMode,
  resolvePolicy,
} from '#ackgate/policy/index.js';
import { naiveEvaluate } from './fixtures/naive-policy.js';

interface Vectors {
  cases: {
    name: string;
    policy: string;
    view: [number | null, number, string?][];
    durablePos: number | 'unbounded';
    degraded: boolean;
    blocker: 'journal' | 'replication' | null;
    replicaCursor: number | null;
  }[];
  invalid: string[];
}

const vectors: Vectors = JSON.parse(readFileSync(new URL('vectors/policy.json', import.meta.url), 'utf8'));

/** The error that `call` throws; fails the test when it throws none. */
function errorOf(call: () => unknown): AckgateError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(AckgateError);
    return error as AckgateError;
  }
  throw new Error('expected an error');
}

function node(inMemory: number | null, persisted: number, zone?: string): NodeCursor {
  return zone === undefined ? { inMemory, persisted } : { inMemory, persisted, zone };
}

describe('vectors', () => {
  test('there are some', () => {
    expect(vectors.cases.length).toBeGreaterThan(20);
    expect(vectors.invalid.length).toBeGreaterThan(10);
  });

  test.each(vectors.cases)('$name', (vector) => {
    const policy = Policy.parse(vector.policy);
    const view = vector.view.map((cursor) => node(...cursor));
    const durablePos = vector.durablePos === 'unbounded' ? Number.POSITIVE_INFINITY : vector.durablePos;
    expect(policy.evaluate(view)).toEqual({ durablePos, degraded: vector.degraded });
    expect(policy.blocker(view)).toBe(vector.blocker);
    expect(policy.replicaCursor(view)).toBe(vector.replicaCursor);
    // The model that the property test relies on has to agree as well.
    expect(naiveEvaluate(policy.clauses, view)).toMatchObject({
      durablePos,
      degraded: vector.degraded,
      blocker: vector.blocker,
      replicaCursor: vector.replicaCursor,
    });
  });

  test.each(vectors.invalid)('refuses %j', (text) => {
    const error = errorOf(() => Policy.parse(text));
    expect(error.code).toMatch(/^ERR_ACKGATE_POLICY_/);
    expect(faultPosition(error)).not.toBeNull();
  });
});

describe('texts', () => {
  test.each([
    ['', 'EMPTY', 0],
    ['  ', 'EMPTY', 0],
    ['persisted', 'SYNTAX', 9],
    ['persisted>=0', 'ZERO_COUNT', 11],
    ['persisted>=00', 'ZERO_COUNT', 11],
    ['persisted>=x', 'BAD_COUNT', 11],
    ['persisted>=-1', 'BAD_COUNT', 11],
    ['persisted>=+1', 'BAD_COUNT', 11],
    ['persisted>=1.5', 'BAD_COUNT', 11],
    ['persisted>=1e1', 'BAD_COUNT', 11],
    ['persisted>=0x1', 'BAD_COUNT', 11],
    ['persisted>=2zones', 'BAD_COUNT', 11],
    ['persisted>=٢', 'BAD_COUNT', 11],
    ['persisted>=17', 'COUNT_TOO_LARGE', 11],
    ['persisted>=256', 'COUNT_TOO_LARGE', 11],
    [`persisted>=${'9'.repeat(400)}`, 'COUNT_TOO_LARGE', 11],
    ['persisted>=', 'SYNTAX', 11],
    ['persisted>2', 'SYNTAX', 9],
    ['persisted > = 2', 'SYNTAX', 10],
    ['persisted=>2', 'SYNTAX', 9],
    ['>=2', 'SYNTAX', 0],
    ['disk>=1', 'UNKNOWN_LEVEL', 0],
    ['Persisted>=1', 'UNKNOWN_LEVEL', 0],
    ['persisted>=1 && disk>=1', 'UNKNOWN_LEVEL', 16],
    ['persisted>=1 &&', 'SYNTAX', 15],
    ['persisted>=1 && ', 'SYNTAX', 16],
    ['&& persisted>=1', 'SYNTAX', 0],
    ['persisted>=1 && && in_memory>=2', 'SYNTAX', 16],
    ['persisted>=1 &&& in_memory>=2', 'SYNTAX', 15],
    ['persisted>=1 & in_memory>=2', 'SYNTAX', 13],
    ['persisted>=1 || in_memory>=2', 'SYNTAX', 13],
    ['persisted>=1 in_memory>=2', 'UNKNOWN_SCOPE', 13],
    ['persisted>=2 racks', 'UNKNOWN_SCOPE', 13],
    ['persisted>=2 zones zones', 'SYNTAX', 19],
    ['persisted>=2;', 'SYNTAX', 12],
  ])('%j: %s at position %i', (text, code, position) => {
    const error = errorOf(() => Policy.parse(text));
    expect(error.code).toBe(`ERR_ACKGATE_POLICY_${code}`);
    expect(faultPosition(error)).toBe(position);
    expect(error.message).toContain(`at position ${position}`);
    if (code !== 'EMPTY') expect(error.message).toMatch(/clause \d/);
  });

  test('name the clause at fault', () => {
    const error = errorOf(() => Policy.parse('persisted>=1 && in_memory >= 0'));
    expect(error.message).toContain('clause 2 "in_memory >= 0"');
  });

  test.each([
    ['  persisted  >=\t2\n', 'persisted>=2'],
    ['persisted>=1&&in_memory>=2', 'persisted>=1 && in_memory>=2'],
    ['persisted>=02   zones&&in_memory>=16', 'persisted>=2 zones && in_memory>=16'],
    ['persisted>=3 nodes', 'persisted>=3'],
  ])('%j reads as %j', (text, canonical) => {
    expect(Policy.parse(text).toString()).toBe(canonical);
  });

  test.each([undefined, null, 5, {}, ['persisted>=1']])('%j is not a text', (value) => {
    expect(errorOf(() => Policy.parse(value as string)).code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  });

  test('print and read back to the same policy, however they are spaced', () => {
    const space = fc.stringMatching(/^[ \t\n]{0,3}$/);
    fc.assert(
      fc.property(
        fc.array(clauses, { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(space),
        (list, spaces) => {
          const policy = new Policy(list);
          const read = Policy.parse(policy.toString());
          expect(read.clauses).toEqual(policy.clauses);
          expect(read.toString()).toBe(policy.toString());
          const pad = () => spaces.next().value;
          const loose = policy.clauses
            .map(
              ({ level, count, across }) =>
                `${pad()}${level}${pad()}>=${pad()}${count} ${pad()}${across ?? ''}${pad()}`,
            )
            .join('&&');
          expect(Policy.parse(loose).toString()).toBe(policy.toString());
        },
      ),
    );
  });

  test('any text is either a policy or a typed error with a position inside it', () => {
    const pieces = fc.constantFrom(
      'persisted',
      'in_memory',
      '>=',
      '&&',
      '1',
      '0',
      '99',
      'zones',
      ' ',
      '&',
      'x',
      '-',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(pieces).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        try {
          Policy.parse(candidate);
        } catch (error) {
          expect(error).toBeInstanceOf(AckgateError);
          expect((error as AckgateError).code).toMatch(/^ERR_ACKGATE_POLICY_/);
          expect(faultPosition(error)).toBeGreaterThanOrEqual(0);
          expect(faultPosition(error)).toBeLessThanOrEqual(candidate.length);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the constructor', () => {
  const bad = (clause: unknown) =>
    errorOf(() => new Policy([{ level: 'persisted', count: 1 }, clause as Clause]));

  test.each([
    [{ level: 'disk', count: 1 }, 'UNKNOWN_LEVEL'],
    [{ count: 1 }, 'UNKNOWN_LEVEL'],
    [{ level: 'toString', count: 1 }, 'UNKNOWN_LEVEL'],
    [{ level: Symbol('persisted'), count: 1 }, 'UNKNOWN_LEVEL'],
    [{ level: 'persisted' }, 'BAD_COUNT'],
    [{ level: 'persisted', count: Number.NaN }, 'BAD_COUNT'],
    [{ level: 'persisted', count: 1.5 }, 'BAD_COUNT'],
    [{ level: 'persisted', count: -1 }, 'BAD_COUNT'],
    [{ level: 'persisted', count: Number.POSITIVE_INFINITY }, 'BAD_COUNT'],
    [{ level: 'persisted', count: '2' }, 'BAD_COUNT'],
    [{ level: 'persisted', count: 2n }, 'BAD_COUNT'],
    [{ level: 'persisted', count: 0 }, 'ZERO_COUNT'],
    [{ level: 'persisted', count: -0 }, 'ZERO_COUNT'],
    [{ level: 'persisted', count: MAX_CLUSTER_SIZE + 1 }, 'COUNT_TOO_LARGE'],
    [{ level: 'persisted', count: 2, across: 'racks' }, 'UNKNOWN_SCOPE'],
    [{ level: 'persisted', count: 2, across: null }, 'UNKNOWN_SCOPE'],
  ])('refuses %o: %s', (clause, code) => {
    const error = bad(clause);
    expect(error.code).toBe(`ERR_ACKGATE_POLICY_${code}`);
    expect(error.message).toContain('clause 2 "');
    expect(faultPosition(error)).toBeNull();
  });

  test.each([null, undefined, 'persisted>=1', 7])('refuses the clause %o', (clause) => {
    const error = bad(clause);
    expect(error.code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
    expect(error.message).toContain('clauses[1]');
  });

  test.each([null, undefined, 'persisted>=1', {}])('refuses %o for the list', (list) => {
    expect(errorOf(() => new Policy(list as unknown as Clause[])).code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  });

  test('refuses no clause', () => {
    expect(errorOf(() => new Policy([])).code).toBe('ERR_ACKGATE_POLICY_EMPTY');
  });

  test('freezes a copy of the clauses', () => {
    const given = { level: 'persisted' as const, count: 2, across: 'nodes' as const };
    const list = [given];
    const policy = new Policy(list);
    list.length = 0;
    given.count = 1;
    expect(policy.clauses).toEqual([{ level: 'persisted', count: 2 }]);
    expect(Object.isFrozen(policy.clauses)).toBe(true);
    expect(Object.isFrozen(policy.clauses[0])).toBe(true);
  });
});

describe('views', () => {
  const policy = Policy.parse('persisted>=1');

  test('an empty view reads 0', () => {
    expect(policy.evaluate([])).toEqual({ durablePos: 0, degraded: true });
    expect(policy.blocker([])).toBeNull();
    expect(policy.replicaCursor([])).toBeNull();
    expect(Policy.parse('in_memory>=1').evaluate([])).toEqual({ durablePos: 0, degraded: true });
  });

  test('one unmet clause closes the gate whatever the others say', () => {
    const strict = Policy.parse('in_memory>=1 && persisted>=1 && persisted>=3');
    const view = [node(null, 100), node(200, 200)];
    expect(strict.evaluate(view)).toEqual({ durablePos: 0, degraded: true });
    expect(strict.blocker(view)).toBeNull();
    expect(strict.replicaCursor(view)).toBe(200);
  });

  test('the primary in-memory cursor is not looked at', () => {
    const memory = Policy.parse('in_memory>=2');
    for (const inMemory of [null, 0, 5, Number.NaN, undefined]) {
      expect(memory.evaluate([node(inMemory as number, 0), node(7, 3)]).durablePos).toBe(7);
    }
  });

  test('the largest cluster and the largest sequences', () => {
    const max = Number.MAX_SAFE_INTEGER;
    const full = Array.from({ length: MAX_CLUSTER_SIZE }, (_, index) => node(max, max - index));
    expect(Policy.parse('persisted>=16').evaluate(full).durablePos).toBe(max - 15);
    const error = errorOf(() => policy.evaluate([...full, node(1, 1)]));
    expect(error.code).toBe('ERR_ACKGATE_CLUSTER_FULL');
  });

  test.each([Number.NaN, -1, 1.5, 2 ** 53, Number.POSITIVE_INFINITY, '5', undefined, 5n])(
    'the cursor %o is refused',
    (value) => {
      for (const view of [
        [node(null, value as number)],
        [node(null, 1), node(1, value as number)],
        [node(null, 1), node(value as number, 1)],
      ]) {
        const error = errorOf(() => policy.evaluate(view));
        expect(error.code).toBe('ERR_ACKGATE_SEQUENCE');
        expect(error).toBeInstanceOf(RangeError);
        expect(error.message).toMatch(/view\[\d\]\.(persisted|inMemory)/);
      }
    },
  );

  test.each(['', 5, null])('the zone %o is refused', (zone) => {
    const view = [{ inMemory: null, persisted: 1, zone: zone as string }];
    expect(errorOf(() => policy.evaluate(view)).code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  });

  test.each([null, undefined, 'x', {}, [null], [5]])('the view %o is refused', (view) => {
    const error = errorOf(() => policy.evaluate(view as unknown as NodeCursor[]));
    expect(error.code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  });
});

describe('modes', () => {
  test.each([
    ['local', 'disk', 0, 'persisted>=1'],
    ['hybrid', 'disk+ram', 1, 'persisted>=1 && in_memory>=2'],
    ['durably-replicated', 'two-disks', 2, 'persisted>=2'],
    ['replicated', 'ram', 3, 'in_memory>=2'],
  ] as const)('%s, also %s, is byte %i and %s', (mode, otherName, byte, text) => {
    expect(modeToByte(mode)).toBe(byte);
    expect(modeFromByte(byte)).toBe(mode);
    expect(modeToPolicy(mode).toString()).toBe(text);
    expect(parseMode(mode)).toBe(mode);
    expect(parseMode(otherName)).toBe(mode);
    expect(resolvePolicy(otherName)).toMatchObject({ mode, byte, policy: modeToPolicy(mode) });
    expect(resolvePolicy(` ${mode}\n`).byte).toBe(byte);
  });

  test('every other byte is no mode', () => {
    expect(customModeByte).toBe(255);
    for (let byte = 4; byte < 256; byte++) expect(modeFromByte(byte)).toBeNull();
    for (const byte of [-1, 0.5, Number.NaN, '0', undefined]) expect(modeFromByte(byte as number)).toBeNull();
  });

  test.each(['Local', '', 'custom', 'constructor', undefined, 0])('%o is no mode', (value) => {
    expect(parseMode(value as string)).toBeNull();
    expect(errorOf(() => modeToByte(value as 'local')).code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
    expect(errorOf(() => modeToPolicy(value as 'local')).code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  });

  test('a text of its own is custom, a misspelt mode names the modes', () => {
    const { mode, byte, policy } = resolvePolicy('persisted>=2');
    expect([mode, byte, policy.toString()]).toEqual(['custom', 255, 'persisted>=2']);
    const error = errorOf(() => resolvePolicy('hybird'));
    expect(error.code).toBe('ERR_ACKGATE_POLICY_UNKNOWN_LEVEL');
    expect(error.message).toContain('hybrid');
    expect(faultPosition(error)).toBe(0);
    expect(errorOf(() => resolvePolicy('persisted')).code).toBe('ERR_ACKGATE_POLICY_SYNTAX');
    expect(errorOf(() => resolvePolicy(5 as never)).code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
  });
});

// Small numbers make ties and zeros frequent, which is where rankings go wrong.
const cursors = fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 1000 }), fc.maxSafeNat());
const zones = fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined });
const nodes = fc
  .record({ inMemory: fc.option(cursors), persisted: cursors, zone: zones })
  .map(({ inMemory, persisted, zone }) => node(inMemory, persisted, zone));
const clauses: fc.Arbitrary<Clause> = fc.record(
  {
    level: fc.constantFrom('in_memory', 'persisted'),
    count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: MAX_CLUSTER_SIZE })),
    across: fc.constantFrom('nodes', 'zones'),
  },
  { requiredKeys: ['level', 'count'] },
);

test('any cluster: the same as sorting says', () => {
  fc.assert(
    fc.property(
      fc.array(clauses, { minLength: 1, maxLength: 6 }),
      // One evaluator sees several views: nothing of the last one may linger.
      fc.array(fc.array(nodes, { maxLength: 15 }), { minLength: 1, maxLength: 4 }),
      (list, views) => {
        const policy = new Policy(list);
        const evaluator = new PolicyEvaluator(policy);
        const table = createNodeTable();
        for (const view of views) {
          const expected = naiveEvaluate(list, view);
          const { durablePos, degraded, blocker, replicaCursor } = expected;
          expect(policy.evaluate(view)).toEqual({ durablePos, degraded });
          expect(policy.blocker(view)).toBe(blocker);
          expect(policy.replicaCursor(view)).toBe(replicaCursor);

          fillNodeTable(table, view);
          evaluator.evaluate(table);
          const blockerNumber = blocker === null ? Blocker.none : Blocker[blocker];
          expect({ ...evaluator }).toEqual({
            ...expected,
            blocker: blockerNumber,
            replicaCursor: replicaCursor ?? -1,
          });
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('evaluating allocates nothing', () => {
  const program = fileURLToPath(new URL('fixtures/allocations.mjs', import.meta.url));
  const args = ['--max-semi-space-size=1', program, 'evaluating'];
  expect(Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))).toBeLessThan(10);
});

test('a table larger than the largest cluster is refused', () => {
  const table = createNodeTable();
  table.count = MAX_CLUSTER_SIZE + 1;
  const evaluator = new PolicyEvaluator(modeToPolicy('local'));
  expect(errorOf(() => evaluator.evaluate(table)).code).toBe('ERR_ACKGATE_CLUSTER_FULL');
});

describe('the folder', () => {
  const folder = new URL('../src/policy/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));

  test('imports nothing from outside but the errors, which import nothing', () => {
    expect(files).toContain('index.ts');
    const specifiers = /(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*['"]([^'"]+)['"]/g;
    for (const name of files) {
      const source = readFileSync(new URL(name, folder), 'utf8');
      for (const [, specifier] of source.matchAll(specifiers)) {
        if (specifier !== '../errors.js') expect(specifier, name).toMatch(/^\.\/[a-z-]+\.js$/);
      }
    }
    expect(readFileSync(new URL('../errors.ts', folder), 'utf8')).not.toMatch(specifiers);
  });

  test('runs where there is nothing but the language', () => {
    const program = fileURLToPath(new URL('fixtures/bare-realm.mjs', import.meta.url));
    const module = new URL('../dist/policy/index.js', import.meta.url).href;
    const output = execFileSync(
      process.execPath,
      ['--experimental-vm-modules', '--no-warnings', program, module],
      {
        encoding: 'utf8',
      },
    );
    const outcome = JSON.parse(output);
    expect(outcome).toMatchObject({
      durablePos: 480,
      degraded: false,
      hybrid: 'persisted>=1 && in_memory>=2',
    });
    expect(outcome.modules.length).toBeGreaterThan(files.length / 2);
  });
});
