// The commands `windowed`, `paced`, `answer` and `twice` for the Node senders of bench/72-latency.mjs;
// bench/reference/server.c says what each means, and is their counterpart in C.
import { openSync, readSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';
import { monotonicNow } from '../../dist/shared/clock.js';

const windows = 2;
const never = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread, as an engine without work does. */
export function sleepMs(ms) {
  Atomics.wait(never, 0, 0, ms);
}

/** Writes a time into the first 8 bytes of a body, as little-endian u64. */
export function stamp(view, at, ns) {
  view.setUint32(at, ns % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(ns / 2 ** 32), true);
}

/**
 * @param {object} sender
 * @param {number} sender.connections
 * @param {string} [sender.thread] the thread that calls the kernel (default: this one)
 * @param {(index: number, ns: number, bytes: number) => boolean} sender.publish one frame, stamped; false: no room
 * @param {() => void} sender.release after a batch of frames: lets them go
 * @param {() => Promise<void> | void} sender.idle after a batch, when the engine has time: lets the sender keep house
 * @param {string} fifo path of the FIFO that requests come from
 */
export async function serveStamped({ connections, thread = process.pid, publish, release, idle }, fifo) {
  const request = Buffer.alloc(1);
  const fd = openSync(fifo, 'r+'); // For writing too, so that opening it waits for nobody.
  let next = 0;

  function awaitByte() {
    if (readSync(fd, request, 0, 1, null) !== 1) throw new Error('the FIFO has ended');
  }

  async function publishNext(ns, bytes) {
    while (!publish(next, ns, bytes)) {
      release();
      await idle();
      sleepMs(0.05);
    }
    next = next + 1 === connections ? 0 : next + 1;
  }

  function publishNow(bytes) {
    if (!publish(0, monotonicNow(), bytes)) throw new Error('no room for one frame');
    release();
  }

  async function answer(count, bytes, gapNs) {
    for (let i = 0; i < count; i++) {
      awaitByte();
      const untilNs = monotonicNow() + gapNs;
      publishNow(bytes);
      if (gapNs > 0) {
        while (monotonicNow() < untilNs);
        publishNow(bytes);
      }
      const kept = idle();
      if (kept) await kept;
    }
  }

  const commands = {
    async windowed(count, frames, bytes) {
      for (let round = 0; round < count; round++) {
        if (round >= windows) awaitByte();
        for (let i = 0; i < frames * connections; i++) {
          if (publish(next, 0, bytes)) next = next + 1 === connections ? 0 : next + 1;
          else await publishNext(0, bytes);
        }
        release();
        await idle();
      }
      for (let left = Math.min(count, windows); left > 0; left--) awaitByte();
      return count * frames * connections;
    },

    async paced(rate, perTick, seconds, bytes) {
      const tickNs = (perTick * 1e9) / rate;
      const ticks = Math.floor((seconds * 1e9) / tickNs);
      const startNs = monotonicNow() + 1e6;
      for (let tick = 0; tick < ticks; ) {
        const nowNs = monotonicNow();
        let meantNs = startNs + tick * tickNs;
        if (meantNs > nowNs) {
          sleepMs((meantNs - nowNs) / 1e6);
          continue;
        }
        for (; tick < ticks && meantNs <= nowNs; meantNs = startNs + ++tick * tickNs) {
          const ns = Math.floor(meantNs);
          for (let i = 0; i < perTick; i++) {
            if (publish(next, ns, bytes)) next = next + 1 === connections ? 0 : next + 1;
            else await publishNext(ns, bytes);
          }
        }
        release();
        const kept = idle();
        if (kept) await kept;
      }
      return ticks * perTick;
    },

    async answer(count, bytes) {
      await answer(count, bytes, 0);
      return count;
    },

    async twice(count, bytes, gapUs) {
      await answer(count, bytes, gapUs * 1000);
      return 2 * count;
    },
  };

  console.log(JSON.stringify({ ready: true, thread: Number(thread) }));
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, ...words] = line.split(' ');
    if (!Object.hasOwn(commands, name)) throw new Error(`unknown command: ${line}`);
    next = 0;
    const responses = await commands[name](...words.map(Number));
    await turn();
    console.log(JSON.stringify({ responses }));
  }
  process.exit(0);
}
