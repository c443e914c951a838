// A file without Ackgate: one thread that writes whatever has been sent since its last turn, and syncs it.
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicNow } from '#ackgate/shared/clock.js';
import { percentilesUs } from './figures.mjs';
import { drawOrders, orderBytes, PacerWord, startPacer, timesOf, windowOrders, wordsOf } from './load.mjs';

/** What the journal's record has besides the order, as far as bytes go. */
const headerBytes = 16;

export function startBareFile(directory) {
  const fd = openSync(join(directory, `bare-${process.hrtime.bigint()}`), 'w');
  const records = Buffer.alloc(4096 * (orderBytes + headerBytes), 0x2a);
  const commit = (orders) => {
    writeSync(fd, records, 0, orders * (orderBytes + headerBytes));
    fdatasyncSync(fd);
  };
  return {
    async paced(modes, load) {
      const memory = drawOrders(load);
      const times = timesOf(memory);
      const words = wordsOf(memory);
      const latencies = new Float64Array(times.length);
      const pacer = startPacer(memory);
      await new Promise((online) => pacer.once('online', online));
      let groups = 0;
      // It blocks, as a program that does nothing else may.
      for (let done = 0; done < times.length; groups++) {
        while (Atomics.load(words, PacerWord.sent) === done) Atomics.wait(words, PacerWord.sent, done, 1000);
        const sent = Atomics.load(words, PacerWord.sent);
        commit(sent - done);
        const nowNs = monotonicNow();
        for (; done < sent; done++) latencies[done] = nowNs - times[done];
      }
      await new Promise((ended) => pacer.once('exit', ended));
      return {
        us: Object.fromEntries(modes.map((mode) => [mode, percentilesUs(latencies)])),
        group: times.length / groups,
      };
    },
    async closed(_mode, { seconds, warmSeconds }) {
      const spin = (s) => {
        let groups = 0;
        const fromNs = monotonicNow();
        for (; monotonicNow() - fromNs < s * 1e9; groups++) commit(windowOrders);
        return (groups * windowOrders * 1e9) / (monotonicNow() - fromNs);
      };
      spin(warmSeconds);
      return { perSecond: spin(seconds), group: windowOrders };
    },
    close: () => closeSync(fd),
  };
}
