// An engine behind Ackgate: this thread reads orders from sockets, journals them and publishes their answers; the stage
// releases these. The clients are another process.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { startStage } from '#ackgate/index.js';
import { createTurnLog, readTurns } from '#ackgate/journal/index.js';
import { monotonicNow } from '#ackgate/shared/clock.js';
import { recordDistributions } from '#ackgate/sim/index.js';
import { startChild } from './child.mjs';
import { answerBytes, appendTo, connections, orderBytes } from './load.mjs';

const turnsMax = 400_000;
const us = (ns) => Math.round(ns / 10) / 100;

/**
 * @param openJournal gets the turns, gives a journal
 * @returns `warmUp(seconds)`, `paced(mode, load)`, `closed(mode, times)`, `close()`
 */
export async function startServed(openJournal) {
  const turns = createTurnLog(turnsMax);
  const ending = [];
  const end = async () => {
    for (const one of ending.splice(0).reverse()) await one();
  };
  try {
    const journal = await openJournal(turns);
    ending.push(() => journal.close());
    const ring = { maxPayload: answerBytes };
    const stage = await startStage({
      policy: 'local',
      epoch: journal.epoch,
      connections,
      heartbeatIntervalMs: 0,
      ring,
    });
    ending.push(() => stage.close({ drainMs: 1000 }));
    await journal.drive(stage);
    stage.diagnosis.setBaseline('timing');
    const client = startChild('./client.mjs');
    ending.push(() => client.close());
    const server = await serve(stage, journal);
    ending.push(() => server.close());
    await client.ask('open', { port: server.port });
    return { ...measures({ stage, journal, server, client, turns }), close: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function serve(stage, journal) {
  const { producer } = stage;
  const order = Buffer.alloc(orderBytes, 0x2a);
  const sockets = [];
  // Takes down what happens to orders while there is one.
  const state = { recorder: null, taken: 0 };
  const take = (id, readNs) => {
    const seq = appendTo(journal, order);
    if (producer.claim(answerBytes) < 0) throw new Error('there was no room for an order');
    producer.publish(id, seq, 1, 0, readNs);
    state.taken++;
    state.recorder?.appended(seq, readNs, monotonicNow());
  };
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    const id = stage.attach(socket);
    let bytes = 0;
    socket.on('data', (chunk) => {
      const readNs = monotonicNow();
      bytes += chunk.length;
      for (; bytes >= orderBytes; bytes -= orderBytes) take(id, readNs);
    });
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { state, port: server.address().port, close };
}

function measures({ stage, journal, server, client, turns }) {
  const { serverEndToEnd, flush } = stage.timings;
  /** Sequences from `from` on, per turn of the journal. */
  const group = (from) => {
    const own = readTurns(turns).filter(({ lastSequence }) => lastSequence > from);
    return own.length === 0 ? null : (journal.lastSequence - from) / own.length;
  };
  return {
    async paced(mode, load, warmSeconds) {
      stage.setMode(mode);
      await client.ask('paced', { ...load, seconds: warmSeconds, seed: load.seed + 1000 });
      await settled(stage, server.state.taken);
      serverEndToEnd.reset();
      flush.reset();
      server.state.taken = 0;
      const from = journal.lastSequence;
      const about = `${load.perSecond} orders/s under ${mode}`;
      server.state.recorder = recordDistributions({ about, timings: stage.timings, turns });
      const answer = await client.ask('paced', load);
      const { recorder } = server.state;
      server.state.recorder = null;
      await settled(stage, answer.orders);
      // At once: until then it wakes a thread of its own every 2 ms.
      const recorded = recorder.finish();
      const at = (percent) => us(serverEndToEnd.percentile(percent));
      return {
        orders: answer.orders,
        us: { p50: at(50), p99: at(99), p999: at(99.9) },
        clientUs: answer.us,
        group: group(from),
        recorded,
      };
    },
    /** All threads behind the journal are new, and new code runs slowly; a bare loop's thread has been there before. */
    async warmUp(seconds) {
      await client.ask('closed', { seconds, warmSeconds: 0 });
    },
    async closed(mode, times) {
      stage.setMode(mode);
      const from = journal.lastSequence;
      const { perSecond } = await client.ask('closed', times);
      return { perSecond, group: group(from) };
    },
  };
}

/** The stage's histogram has every order in it; it is written just after the client has its answer. */
async function settled(stage, orders) {
  for (const endAt = performance.now() + 5000; performance.now() < endAt; ) {
    if (stage.timings.serverEndToEnd.count >= orders) return;
    await new Promise((again) => setTimeout(again, 5));
  }
}
