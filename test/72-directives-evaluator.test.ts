import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DiagnosisLevel,
  type Directive,
  DirectiveEvaluator,
  diagnosisLevels,
  InMemoryStore,
  sampleOf,
  type TrafficSlice,
} from '#ackgate/directives/index.js';

// How closely to look at a piece of traffic, for the application's own code.

const nowMs = 1_760_000_000_000;
const kinds = { order: 1, cancel: 2 };
const directive = (rest: Partial<Directive> = {}): Directive => ({
  id: 'a',
  level: 'timing',
  expiresAt: nowMs + 1000,
  ...rest,
});

function evaluatorOf(set: readonly Directive[], baseline?: DiagnosisLevel): DirectiveEvaluator {
  const evaluator = new DirectiveEvaluator({ kinds, ...(baseline && { baseline }) });
  evaluator.use({ revision: 1, directives: set });
  return evaluator;
}

const levelFor = (rest: Partial<Directive>, slice: TrafficSlice) =>
  evaluatorOf([directive(rest)]).levelOf(slice, nowMs);

describe('the level', () => {
  it('is off without directives, and never below the baseline', () => {
    expect(new DirectiveEvaluator().levelOf({}, nowMs)).toBe('off');
    for (const baseline of diagnosisLevels) {
      expect(evaluatorOf([], baseline).levelOf({}, nowMs)).toBe(baseline);
    }
    expect(evaluatorOf([directive({ level: 'shape' })], 'timing').levelOf({}, nowMs)).toBe('timing');
  });

  it('is the highest of those that apply', () => {
    const set = [
      directive({ level: 'shape' }),
      directive({ id: 'b', level: 'capture', tenant: 'acme' }),
      directive({ id: 'c', level: 'timing', connection: 7 }),
    ];
    const evaluator = evaluatorOf(set);
    expect(evaluator.levelOf({}, nowMs)).toBe('shape');
    expect(evaluator.levelOf({ connection: 7 }, nowMs)).toBe('timing');
    expect(evaluator.levelOf({ tenant: 'acme', connection: 7 }, nowMs)).toBe('capture');
  });

  it('ends at the instant it says', () => {
    const evaluator = evaluatorOf([directive({ expiresAt: nowMs })]);
    expect(evaluator.levelOf({}, nowMs - 1)).toBe('timing');
    expect(evaluator.levelOf({}, nowMs)).toBe('off');
    expect(evaluator.levelOf({}, nowMs + 1)).toBe('off');
  });
});

describe('a target', () => {
  it.each([
    ['tenant', { tenant: 'acme' }, { tenant: 'Acme' }],
    ['connection', { connection: 2 ** 40 }, { connection: 2 ** 40 + 1 }],
    ['kind', { kind: 'order' }, { kind: 'cancel' }],
  ])('%s must match, and be known', (_, same, other) => {
    expect(levelFor(same, same)).toBe('timing');
    expect(levelFor(same, other)).toBe('off');
    expect(levelFor(same, {})).toBe('off');
    const unknown = Object.fromEntries(Object.keys(same).map((name) => [name, undefined]));
    expect(levelFor(same, unknown)).toBe('off');
    expect(levelFor({}, other)).toBe('timing');
  });

  it('needs the others to match too', () => {
    const all = { tenant: 'acme', connection: 7, kind: 'order' };
    expect(levelFor(all, all)).toBe('timing');
    for (const name of ['tenant', 'connection', 'kind'] as const) {
      expect(levelFor(all, { ...all, [name]: undefined })).toBe('off');
    }
  });

  it('for a kind that means nothing here matches none, not even an unknown one', () => {
    for (const kind of ['nothing', '1', 'toString']) {
      for (const slice of [{ kind }, { kind: 'order' }, {}]) expect(levelFor({ kind }, slice)).toBe('off');
    }
  });

  it('calls kinds by their numbers where they have no names', () => {
    const evaluator = new DirectiveEvaluator();
    evaluator.use({ revision: 1, directives: [directive({ kind: '7' })] });
    expect(evaluator.levelOf({ kind: '7' }, nowMs)).toBe('timing');
    expect(evaluator.levelOf({ kind: '07' }, nowMs)).toBe('off');
    expect(evaluator.levelOf({ kind: '8' }, nowMs)).toBe('off');
  });
});

describe('sampling', () => {
  it('takes the requests that fall below the rate', () => {
    const sample = sampleOf('x', 'req-1');
    const at = (samplePerMille: number) => levelFor({ samplePerMille, salt: 'x' }, { requestId: 'req-1' });
    expect(at(sample)).toBe('off');
    expect(at(sample + 1)).toBe('timing');
    expect(at(0)).toBe('off');
    expect(at(1000)).toBe('timing');
  });

  it('does not take a request that is unknown, unless all are taken', () => {
    for (const slice of [{}, { requestId: undefined }, { requestId: 0 }]) {
      expect(levelFor({ samplePerMille: 999 }, slice)).toBe('off');
      expect(levelFor({ samplePerMille: 1000 }, slice)).toBe('timing');
      expect(levelFor({}, slice)).toBe('timing');
    }
  });
});

/** The same by the words of the rule. */
function levelBy(set: readonly Directive[], baseline: DiagnosisLevel, slice: TrafficSlice, now: number) {
  let highest = diagnosisLevels.indexOf(baseline);
  for (const one of set) {
    const { expiresAt, tenant, connection, kind, samplePerMille = 1000, salt = '' } = one;
    if (now >= expiresAt) continue;
    if (tenant !== undefined && tenant !== slice.tenant) continue;
    if (connection !== undefined && connection !== slice.connection) continue;
    if (kind !== undefined && (kind !== slice.kind || !Object.hasOwn(kinds, kind))) continue;
    const known = slice.requestId !== undefined;
    if (samplePerMille < 1000 && !(known && sampleOf(salt, slice.requestId ?? 0) < samplePerMille)) continue;
    highest = Math.max(highest, diagnosisLevels.indexOf(one.level));
  }
  return diagnosisLevels[highest];
}

it('follows the rule for any set and any traffic', () => {
  const tenant = fc.constantFrom('acme', 'other', 'constructor');
  const connection = fc.constantFrom(1, 2, 2 ** 40);
  const kind = fc.constantFrom('order', 'cancel', 'nothing', 'toString');
  const level = fc.constantFrom(...diagnosisLevels);
  const set = fc.uniqueArray(
    fc.record(
      {
        id: fc.string({ minLength: 1, maxLength: 4 }),
        level,
        expiresAt: fc.integer({ min: nowMs - 2, max: nowMs + 2 }),
        tenant,
        connection,
        kind,
        samplePerMille: fc.constantFrom(0, 1, 500, 999, 1000),
        salt: fc.constantFrom('', 'x', 'é'),
      },
      { requiredKeys: ['id', 'level', 'expiresAt'] },
    ),
    { selector: ({ id }) => id, maxLength: 12 },
  ) as fc.Arbitrary<Directive[]>;
  const slice = fc.record(
    { tenant, connection, kind, requestId: fc.oneof(fc.string(), fc.integer({ min: 1, max: 1e9 })) },
    { requiredKeys: [] },
  );
  const evaluators = new Map(
    diagnosisLevels.map((baseline) => [baseline, new DirectiveEvaluator({ kinds, baseline })]),
  );
  fc.assert(
    fc.property(set, level, fc.array(slice, { maxLength: 5 }), (directives, baseline, slices) => {
      // The same evaluator for all sets: nothing of an earlier one may be left.
      const evaluator = evaluators.get(baseline)!;
      evaluator.use({ revision: 1, directives });
      for (const one of slices) {
        expect(evaluator.levelOf(one, nowMs)).toBe(levelBy(directives, baseline, one, nowMs));
      }
    }),
    { numRuns: 3000 },
  );
});

describe('a set', () => {
  it('is the one of the last use', () => {
    const store = new InMemoryStore({ now: () => nowMs });
    const evaluator = new DirectiveEvaluator();
    store.publish([directive()]);
    evaluator.use(store.load());
    store.publish([]);
    expect(evaluator.levelOf({}, nowMs)).toBe('timing');
    evaluator.use(store.load());
    expect(evaluator.levelOf({}, nowMs)).toBe('off');
  });

  it('that is none leaves the one before in force', () => {
    const evaluator = evaluatorOf([directive()]);
    for (const directives of [
      null,
      [null],
      [{ ...directive(), tenant: null }],
      Array(257).fill(directive()),
    ]) {
      expect(() => evaluator.use({ revision: 2, directives: directives as Directive[] })).toThrow(
        'directives',
      );
      expect(evaluator.levelOf({}, nowMs)).toBe('timing');
    }
  });

  it('is not asked for with a baseline that is none', () => {
    expect(() => new DirectiveEvaluator({ baseline: 'wat' as DiagnosisLevel })).toThrow('baseline must be');
  });
});

it('evaluating allocates nothing', () => {
  const program = fileURLToPath(new URL('fixtures/directive-allocations.mjs', import.meta.url));
  const space = ['--min-semi-space-size=64', '--max-semi-space-size=64'];
  const args = ['--expose-gc', ...space, program];
  const bytes = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  // One number object per evaluation would be 32 MB, which the young generation has room for.
  expect(bytes).toBeGreaterThanOrEqual(0);
  expect(bytes).toBeLessThan(500_000);
});
