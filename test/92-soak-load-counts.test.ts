import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LossCounts } from '#ackgate/soak/samples.js';
import type { ScriptedConnection } from './support/soak-driver.js';
import { LoadRig, settledOf } from './support/soak-load.js';

type Step =
  | { do: 'wait'; ms: number }
  | { do: 'jump'; ms: number }
  | { do: 'answer' | 'twice' | 'wrong' | 'end' | 'cut' | 'deafen'; client: number; pick: number }
  | { do: 'disturb'; on: boolean }
  | { do: 'refuse'; on: boolean };

const act = fc.constantFrom('answer', 'answer', 'answer', 'twice', 'wrong', 'end', 'cut', 'deafen');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 120 }) }),
  fc.record({ do: fc.constant('jump' as const), ms: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ do: act, client: fc.nat(2), pick: fc.nat() }) as fc.Arbitrary<Step>,
  fc.record({ do: fc.constantFrom('disturb' as const, 'refuse' as const), on: fc.boolean() }),
);

const names = [
  'due',
  'expected',
  'unexpected',
  'timedOut',
  'lost',
  'unsent',
  'abandoned',
  'late',
  'duplicated',
] as const;

/** Of what this connection was asked, one that is not answered yet, if there is one. */
const someOpen = ({ unanswered }: ScriptedConnection, pick: number) =>
  [...unanswered.keys()][pick % Math.max(1, unanswered.size)];

it('every request that was due ends in exactly one of the counts, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(1000), async (steps, seed) => {
      const overrides = { clients: 3, requestsPerSecond: 400, requestTimeoutMs: 300 };
      const rig = await LoadRig.connected(overrides, { seed });
      const { clock, driver, load } = rig;
      rig.start();
      const answered = new Set<string>();
      let duplicated = 0;
      let before: LossCounts = load.losses();
      const check = () => {
        const reading = load.reading();
        const sums = load.losses();
        expect(reading.outstanding).toBeGreaterThanOrEqual(0);
        expect(sums.due).toBe(settledOf(sums) + reading.outstanding);
        for (const name of names) expect(sums[name], name).toBeGreaterThanOrEqual(before[name]);
        // What the samples say adds up to the sums.
        expect(reading.due).toBe(sums.due - before.due);
        before = sums;
      };
      for (const one of steps) {
        if (one.do === 'wait') await clock.advance(one.ms);
        else if (one.do === 'jump') clock.jump(one.ms);
        else if (one.do === 'disturb') load.disturb(one.on);
        else if (one.do === 'refuse') driver.onConnect = () => (one.on ? new Error('refused') : undefined);
        else if (one.do === 'cut') load.clients[one.client].cut(one.pick % 2 === 0);
        else {
          const connection = driver.of(one.client);
          const id = someOpen(connection, one.pick);
          if (one.do === 'deafen') connection.deaf = one.pick % 2 === 0;
          else if (one.do === 'end' && connection.open) connection.end();
          else if (id !== undefined && connection.open) {
            connection.answer(id, one.do === 'wrong' ? 'error' : undefined);
            answered.add(`${one.client}-${id}`);
            if (one.do === 'twice') {
              connection.events.answered(id, 'success');
              duplicated++;
            }
          }
        }
        check();
      }
      await clock.advance(100);
      check();
      const sums = await rig.finish();
      expect(load.reading().outstanding).toBe(0);
      expect(settledOf(sums)).toBe(sums.due);
      expect(sums.expected + sums.unexpected + sums.late).toBe(answered.size);
      expect(sums).toMatchObject({ duplicated, corrupted: 0, missing: 0 });
      expect(clock.sleeping).toBe(0);
    }),
    { numRuns: 60 },
  );
});
