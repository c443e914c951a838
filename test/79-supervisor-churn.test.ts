import { expect, test } from 'vitest';
import { balances, openChurn } from '../bench/support/churn.mjs';

const staying = 100;
const atOnce = 64;
const churned = 5000;
const warmUp = 500;
/** No figure of this machine, but no client is to be forgotten: a bound even for one that is busy with other things. */
const gapMsMax = 5000;

test('10,000 connections come and go while 100 steady clients get every answer', async () => {
  const churn = await openChurn(staying);
  try {
    await churn.churn(warmUp, atOnce, 1);
    const before = await churn.measure();
    const balance = Object.fromEntries(balances.map((name) => [name, before[name]]));
    expect(balance).toMatchObject({ slots: staying, active: staying, permits: staying });
    expect(balance).toMatchObject({ pendingPushes: 0, handling: 0 });

    const quiet = await churn.quiet(1000);
    // Whatever is not the answer to a steady client's latest request fails its section, and so does one that never comes.
    const first = await churn.churn(churned, atOnce, 2);
    const afterFirst = await churn.measure();
    expect(afterFirst).toMatchObject(balance);
    const second = await churn.churn(churned, atOnce, 3);
    const afterSecond = await churn.measure();
    expect(afterSecond).toMatchObject(balance);

    const gapMs = Math.max(first.gapMs, second.gapMs);
    console.info(
      `gap ${quiet.gapMs.toFixed(0)} ms without churn, ${gapMs.toFixed(0)} ms with it; ` +
        `${first.result.perSecond.toFixed(0)} connections a second; ` +
        `RSS ${[before, afterFirst, afterSecond].map(({ rss }) => (rss / 2 ** 20).toFixed(1)).join(', ')} MiB`,
    );
    expect(gapMs).toBeLessThan(gapMsMax);
    // A client that was left out altogether would have none.
    for (const { answers } of [first, second]) expect(answers).toBeGreaterThan(staying);

    expect(afterSecond.spawned).toBe(staying + warmUp + 2 * churned);
    expect(Object.values(afterSecond.refused)).toEqual(Object.values(afterSecond.refused).map(() => 0));
    const ended = Object.values<number>(afterSecond.ended).reduce((sum, count) => sum + count, 0);
    expect(ended).toBe(warmUp + 2 * churned);
    for (const way of ['end-of-stream', 'client-disconnect', 'read-error', 'oversize-frame']) {
      expect(afterSecond.ended[way], way).toBeGreaterThan(0);
    }
    // Every push was told, and none of those that were cut off as anything else.
    expect(afterSecond.pushes).toMatchObject({ replied: 0, failed: 0 });
    expect(afterSecond.pushes.disconnected).toBeGreaterThan(churned);

    // What 5,000 connections leave behind, if they do: 64 MiB would be some 13 KB of each.
    expect(afterSecond.rss).toBeLessThan(afterFirst.rss + 64 * 2 ** 20);
    expect(afterSecond.heap).toBeLessThan(afterFirst.heap * 1.5 + 4 * 2 ** 20);
    await churn.stop();
  } finally {
    await churn.close();
  }
}, 120_000);
