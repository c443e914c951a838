import { expect, test } from 'vitest';
import { Generation } from '#ackgate/supervisor/generation.js';
import { FakeTimers, settled } from './support/fake-timers.js';

function create() {
  const timers = new FakeTimers();
  const changes = new Generation(timers);
  /** Notes the time at which a wait is over. */
  const wait = (seen: number, timeoutMs: number) => {
    const state = { at: null as number | null };
    changes.wait(seen, timeoutMs).then(() => {
      state.at = timers.now();
    });
    return state;
  };
  return { timers, changes, wait };
}

/** Nothing is left behind. */
function expectEmpty({ timers, changes }: ReturnType<typeof create>): void {
  expect(changes.waiting).toBe(0);
  expect(timers.pending).toBe(0);
}

test('a change between looking and waiting is seen at once', async () => {
  const world = create();
  const seen = world.changes.value;
  world.changes.bump();
  const one = world.wait(seen, Number.POSITIVE_INFINITY);
  await settled();
  expect(one.at).toBe(0);
  expectEmpty(world);
});

test('a change wakes who waits, long before the time is over', async () => {
  const world = create();
  const one = world.wait(world.changes.value, 30_000);
  await world.timers.advance(7);
  expect(one.at).toBeNull();
  expect(world.changes.waiting).toBe(1);
  world.changes.bump();
  await settled();
  expect(one.at).toBe(7);
  expectEmpty(world);
});

test('without a change the time ends the wait', async () => {
  const world = create();
  const one = world.wait(world.changes.value, 50);
  await world.timers.advance(49);
  expect(one.at).toBeNull();
  await world.timers.advance(1);
  expect(one.at).toBe(50);
  expect(world.changes.value).toBe(0);
  expectEmpty(world);
});

test('a wait without end sets no timer', async () => {
  const world = create();
  const one = world.wait(world.changes.value, Number.POSITIVE_INFINITY);
  expect(world.timers.pending).toBe(0);
  await world.timers.advance(1e12);
  expect(one.at).toBeNull();
  world.changes.bump();
  await settled();
  expect(one.at).toBe(1e12);
  expectEmpty(world);
});

test.each([0, -1, Number.NEGATIVE_INFINITY, Number.NaN])('a time of %d is no wait at all', async (ms) => {
  const world = create();
  const one = world.wait(world.changes.value, ms);
  await settled();
  expect(one.at).toBe(0);
  expectEmpty(world);
});

test('one change wakes all, each of whom cancels its own timer only', async () => {
  const world = create();
  const waits = Array.from({ length: 1000 }, (_, index) => world.wait(world.changes.value, index + 1));
  await world.timers.advance(500);
  expect(world.changes.waiting).toBe(500);
  expect(world.timers.pending).toBe(500);
  world.changes.bump();
  await settled();
  expect(waits.map(({ at }) => at)).toEqual(waits.map((_, index) => Math.min(index + 1, 500)));
  expectEmpty(world);
});

test('a change made by who was woken wakes those that wait by then, and no one twice', async () => {
  const world = create();
  const { changes } = world;
  const order: string[] = [];
  changes.wait(0, 1000).then(() => {
    order.push(`first ${changes.value}`);
    changes.bump();
  });
  changes.wait(0, 1000).then(async () => {
    const seen = changes.value;
    order.push(`second ${seen}`);
    await changes.wait(seen, 1000);
    order.push(`second again ${changes.value}`);
  });
  changes.bump();
  await settled();
  expect(order).toEqual(['first 1', 'second 2']);
  changes.bump();
  await settled();
  expect(order).toEqual(['first 1', 'second 2', 'second again 3']);
  expectEmpty(world);
});

test('a loop that looks, then waits, misses none of the changes, whenever they come', async () => {
  const world = create();
  const { changes } = world;
  const target = 10_000;
  const loop = (async () => {
    for (;;) {
      const seen = changes.value;
      if (seen >= target) return;
      // Work between looking and waiting, in which changes come.
      for (let turn = 0; turn < seen % 4; turn++) await null;
      await changes.wait(seen, Number.POSITIVE_INFINITY);
    }
  })();
  for (let count = 0; count < target; count++) {
    for (let turn = 0; turn < (count * 7) % 5; turn++) await null;
    changes.bump();
  }
  await loop;
  expectEmpty(world);
});
