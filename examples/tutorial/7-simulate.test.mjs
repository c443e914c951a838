// node --test 7-simulate.test.mjs
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from 'ackgate/sim';

test('nothing leaves early while replicas come and go, the disk stalls and sends are cut short', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { failure, records, fired } = simulate({
      seed,
      policy: 'hybrid',
      nodes: [{ frames: true }],
      clients: 8,
      orders: 300,
      faults: { 'replica-flap': 0.2, 'journal-stall': 0.1, 'short-send': 0.3 },
    });
    assert.equal(failure, null, `seed ${seed}: ${failure?.message}`);
    const { 'replica-flap': flaps = 0, 'short-send': short = 0 } = fired;
    console.log(`seed ${seed}: ${records} answers, ${flaps} replica losses, ${short} short sends`);
  }
});
