// node --test 4-policy.test.mjs
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Policy } from 'ackgate/policy';

const policy = Policy.parse('persisted>=1 && in_memory>=2');
const primary = { inMemory: null, persisted: 500 };

test('an answer waits for a second node', () => {
  const replica = { inMemory: 480, persisted: 470 };
  assert.deepEqual(policy.evaluate([primary, replica]), { durablePos: 480, degraded: false });
  assert.equal(policy.blocker([primary, replica]), 'replication');
});

test('without a second node nothing is released', () => {
  assert.deepEqual(policy.evaluate([primary]), { durablePos: 0, degraded: true });
});
