import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { Bytes, copyBytes } from '../../dist/shared/bytes.js';
import { framesInTurn, makeBodies } from './sender.mjs';
import { threadCpuNs, threadIds } from './threads.mjs';

const frameHeaderBytes = 4;
const recordsPerBatchMax = 1024;
/** Half a send buffer: so far the engine may get ahead of a client, whom the stage would drop when the buffer is full. */
const aheadBytesMax = 32_768;

/**
 * The whole stage in its Worker, as users run it, and the thread that calls this as the matching engine that feeds it.
 * The policy is `local`, and the primary's cursor moves once a round: as a journal that commits in groups would do it.
 */
export async function startMeasuredStage({ connections, backend, bodyBytes, recordsPerRound, options = {} }) {
  const tick = new Int32Array(new SharedArrayBuffer(4));
  const others = new Set(threadIds());
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
  let sentBytes = 0;
  let turn = 0;

  /** Waits until no more than `ahead` of the bytes published so far are not sent. */
  function untilSent(ahead) {
    while (sequence * frameBytes - sentBytes > ahead) {
      const { bytesSent, recordsDiscarded } = stage.status();
      // This thread has no turn to hear of it in an event.
      if (recordsDiscarded > 0) throw new Error('the stage has dropped a connection');
      if (bytesSent === sentBytes) Atomics.wait(tick, 0, 0, 0.1);
      sentBytes = bytesSent;
    }
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

  /** The thread that the stage runs on: of those that came with it, the one that has used most. */
  function stageThread() {
    const came = threadIds().filter((id) => !others.has(id));
    return came.reduce((most, id) => (threadCpuNs(id) > threadCpuNs(most) ? id : most));
  }

  await asleep();
  const thread = stageThread();
  return {
    stage,
    thread,
    /** Publishes a response of `bodyBytes`. */
    publish(id) {
      for (;;) {
        const at = producer.claim(bodyBytes);
        if (at >= 0) {
          // In words, as an engine writes its fields.
          copyBytes(slots, at, bodies, (turn++ % framesInTurn) * bodyBytes, bodyBytes);
          producer.publish(id, ++sequence);
          return;
        }
        // The ring is full: the stage has more than enough to do.
        Atomics.wait(tick, 0, 0, 0.1);
      }
    },
    /** Everything published so far is durable. Waits while the clients are too far behind. */
    commit() {
      cursors.primary.advance(sequence);
      untilSent(aheadBytesMax * connections);
    },
    /** What the stage's thread uses to send the `responses` that `publishAll` publishes. */
    async measure(responses, publishAll) {
      await asleep();
      const before = stage.status();
      const startCpuNs = threadCpuNs(thread);
      const startNs = process.hrtime.bigint();
      publishAll();
      untilSent(0);
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
