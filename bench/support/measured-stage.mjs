import { openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { Bytes, copyBytes } from '../../dist/shared/bytes.js';
import { framesInTurn, makeBodies } from './sender.mjs';
import { threadCpuNs, threadIds, threadSince } from './threads.mjs';

const frameHeaderBytes = 4;
const recordsPerBatchMax = 1024;
/**
 * So far the engine may get ahead of a client: the kernel takes that much for it, so that nobody's send buffer fills up, for
 * which the stage would drop him.
 */
const aheadBytesMax = 131_072;
/** Much longer than a client is ever behind; a bound against hanging. */
const behindMsMax = 20_000;

/**
 * The whole stage in its Worker, as users run it, and the thread that calls this as the matching engine that feeds it.
 * The policy is `local`, and the primary's cursor moves once a round: as a journal that commits in groups would do it.
 */
export async function startMeasuredStage({ connections, backend, bodyBytes, recordsPerRound, options = {} }) {
  const tick = new Int32Array(new SharedArrayBuffer(4));
  const others = threadIds();
  const stage = await startStage({
    backend,
    policy: 'local',
    heartbeatIntervalMs: 0,
    connections,
    // A batch is a round, as it is for the others, as far as batches go; several rounds may wait.
    recordsPerBatch: Math.min(recordsPerRound, recordsPerBatchMax),
    ring: {
      capacity: 2 ** Math.ceil(Math.log2(Math.min(65_536, 4 * Math.max(recordsPerRound, 512)))),
      maxPayload: bodyBytes,
    },
    ...options,
  });
  stage.on('dropped', (event) => {
    throw new Error(`a connection was dropped: ${JSON.stringify(event)}`);
  });
  const { producer, cursors } = stage;
  const bodies = new Bytes(Buffer.concat(makeBodies(bodyBytes)));
  const slots = new Bytes(producer.bytes);
  const frameBytes = frameHeaderBytes + bodyBytes;
  let sequence = 0;
  const clientsRead = openSync(process.env.BENCH_READ_FILE, 'r');
  const readBytes = new BigUint64Array(1);
  let turn = 0;

  /** Waits for `enough`, looking again and again; this thread has no turn to hear of a drop in an event. */
  function until(enough) {
    const lateMs = performance.now() + behindMsMax;
    while (!enough()) {
      const { state, recordsDiscarded, ...status } = stage.status();
      const drops = Object.keys(status).filter((name) => name.startsWith('drops') && status[name] > 0);
      if (state !== 'running' || recordsDiscarded > 0 || drops.length > 0) {
        throw new Error(`the stage is ${state} and has dropped connections: ${drops.join(', ')}`);
      }
      if (performance.now() > lateMs) throw new Error('the clients do not read, or the stage does not send');
      Atomics.wait(tick, 0, 0, 0.1);
    }
  }

  /** True when the clients are not too far behind. They are asked, for they are another process, in their file. */
  function keepsUp() {
    readSync(clientsRead, readBytes, 0, 8, 0);
    return sequence * frameBytes - Number(readBytes[0]) <= aheadBytesMax * connections;
  }

  /** The stage sleeps soon after its last byte; only then its clock is exact. */
  async function asleep() {
    let parks;
    do {
      ({ parks } = stage.status());
      await sleep(1);
    } while (stage.status().parks === parks && sequence * frameBytes > stage.status().bytesSent);
    await sleep(5);
  }

  await asleep();
  const thread = threadSince(others);
  return {
    stage,
    thread,
    /** Publishes a response of `bodyBytes`. */
    publish(id) {
      let at = producer.claim(bodyBytes);
      // The ring is full: the stage has more than enough to do.
      if (at < 0) {
        until(() => {
          at = producer.claim(bodyBytes);
          return at >= 0;
        });
      }
      // In words, as an engine writes its fields.
      copyBytes(slots, at, bodies, (turn++ % framesInTurn) * bodyBytes, bodyBytes);
      producer.publish(id, ++sequence);
    },
    /** Everything published so far is durable. Waits while the clients are too far behind. */
    commit() {
      cursors.primary.advance(sequence);
      until(keepsUp);
    },
    /** What the stage's thread uses to send the `responses` that `publishAll` publishes. */
    async measure(responses, publishAll) {
      await asleep();
      const before = stage.status();
      const startCpuNs = threadCpuNs(thread);
      const startNs = process.hrtime.bigint();
      publishAll();
      until(() => stage.status().bytesSent >= sequence * frameBytes);
      const wallNs = Number(process.hrtime.bigint() - startNs);
      await sleep(5); // for the stage to fall asleep
      const after = stage.status();
      return {
        responses,
        cpuNs: threadCpuNs(thread) - startCpuNs,
        wallNs,
        sends: after.sends - before.sends,
        flushes: after.flushes - before.flushes,
        rounds: after.rounds - before.rounds,
        parks: after.parks - before.parks,
      };
    },
  };
}
