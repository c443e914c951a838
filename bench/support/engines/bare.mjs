// An engine without Ackgate: orders at the same drawn times, committed in groups by a plain loop, no clients and no gate.
// An order's time runs from the moment it was sent to this thread to the moment when this thread knows that the mode is met.
import { monotonicNow } from '#ackgate/shared/clock.js';
import { percentilesUs } from './figures.mjs';
import { drawOrders, startPacer, timesOf, windowOrders } from './load.mjs';

const answersWithinMs = 20_000;

/** Up to which order each mode may answer, with what the primary has on disk and the replicas say. */
export const released = {
  local: ({ primary }) => primary,
  replicated: ({ replicas }) => Math.max(...replicas.map(({ inMemory }) => inMemory)),
  hybrid: ({ primary, replicas }) => Math.min(primary, Math.max(...replicas.map(({ inMemory }) => inMemory))),
  'durably-replicated': ({ primary, replicas }) =>
    [primary, ...replicas.map(({ persisted }) => persisted)].sort((a, b) => b - a)[1],
};

/**
 * @param start begins an engine: gets `moved(positions)`, to be called whenever a position changes, and gives
 *   `push(orders)`, `groups()` (so far), `replica()` (what its first replica measured, if it measures) and `close()`
 */
export async function startBare(start) {
  let moved = () => {};
  const engine = await start((positions) => moved(positions));
  let pushed = 0;
  const push = (orders) => {
    pushed += orders;
    engine.push(orders);
  };
  return {
    /** Every mode in one go: what an engine does is the same for all of them. */
    async paced(modes, load) {
      const memory = drawOrders(load);
      const times = timesOf(memory);
      const base = pushed;
      const done = Object.fromEntries(modes.map((mode) => [mode, new Float64Array(times.length)]));
      const counts = Object.fromEntries(modes.map((mode) => [mode, 0]));
      const replica = { inMemory: [], persisted: [] };
      const groups = engine.groups();
      moved = (positions) => {
        const nowNs = monotonicNow();
        for (const mode of modes) {
          const upTo = Math.min(times.length, released[mode](positions) - base);
          for (; counts[mode] < upTo; counts[mode]++) done[mode][counts[mode]] = nowNs;
        }
        const [first] = positions.replicas;
        for (const [level, seen] of Object.entries(replica)) {
          for (const upTo = first[level] - base; seen.length < upTo && seen.length < times.length; )
            seen.push(nowNs);
        }
      };
      const pacer = startPacer(memory);
      const failed = new Promise((_, fail) => pacer.once('error', fail));
      pacer.on('message', () => push(1));
      await Promise.race([failed, new Promise((ended) => pacer.once('exit', ended))]);
      // The first replica to the last order, too: its times are what is predicted from.
      await until(() =>
        [...Object.values(counts), replica.persisted.length].every((n) => n === times.length),
      );
      const us = (mode) => percentilesUs(done[mode].map((ns, i) => ns - times[i]));
      return {
        us: Object.fromEntries(modes.map((mode) => [mode, us(mode)])),
        group: times.length / (engine.groups() - groups),
        sentNs: times,
        replica,
        measured: (await engine.replica?.()) ?? null,
      };
    },
    async closed(mode, { seconds, warmSeconds }) {
      let count = 0;
      let isOver = false;
      const base = pushed;
      const groups = engine.groups();
      moved = (positions) => {
        const more = released[mode](positions) - base - count;
        if (more <= 0) return;
        count += more;
        if (!isOver) push(more);
      };
      push(windowOrders);
      const passed = (s) => new Promise((over) => setTimeout(over, s * 1000));
      await passed(warmSeconds);
      const [from, fromNs] = [count, monotonicNow()];
      await passed(seconds);
      const perSecond = ((count - from) / (monotonicNow() - fromNs)) * 1e9;
      isOver = true;
      await until(() => base + count === pushed);
      return { perSecond, group: count / (engine.groups() - groups) };
    },
    close: () => engine.close(),
  };
}

async function until(isDone) {
  for (const endAt = performance.now() + answersWithinMs; !isDone(); ) {
    if (performance.now() > endAt) throw new Error('the bare engine did not finish its orders');
    await new Promise((again) => setTimeout(again, 5));
  }
}
