// The whole stage in its Worker, with the options that it has by itself. This thread is the server: it accepts, attaches,
// and hears who was dropped. The matching engine is a third thread that opened the stage; the policy is `local`, and the
// primary's cursor moves once a tick, as a journal that commits in groups would do it.
//
//   node bench/senders/isolation-stage.mjs CLIENTS PATIENTS BYTES
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openStage, startStage } from 'ackgate';
import { stamp } from '../support/stamped-sender.mjs';
import { runTicks, serveWard, watched } from '../support/ward.mjs';

function engine() {
  const { producer, cursors } = openStage(workerData.handle);
  const { buffer } = producer.bytes;
  const view = new DataView(buffer, producer.bytes.byteOffset);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const body = new Uint8Array(workerData.bytes).fill(7);
  let sequence = 0;

  function publish(id, ns) {
    let at = producer.claim(body.length);
    while (at < 0) {
      cursors.primary.advance(sequence);
      Atomics.wait(pause, 0, 0, 0.05);
      at = producer.claim(body.length);
    }
    producer.bytes.set(body, at);
    stamp(view, at, ns);
    producer.publish(id, ++sequence);
  }

  parentPort.on('message', ({ ids, pace }) => {
    let turn = 0;
    const responses = runTicks(pace, (ns) => {
      for (let i = 0; i < pace.perTick; i++) {
        publish(ids[turn], ns);
        turn = turn + 1 === ids.length ? 0 : turn + 1;
      }
      cursors.primary.advance(sequence);
    });
    parentPort.postMessage(responses);
  });
}

async function server() {
  const bytes = Number(process.argv[4]);
  const stage = await startStage({
    ring: { maxPayload: bytes },
    // While other servers are measured, this one waits, and is to be silent.
    heartbeatIntervalMs: 0,
  });
  const thread = new Worker(new URL(import.meta.url), { workerData: { handle: stage.share(), bytes } });
  let gone = [];
  stage.on('dropped', ({ connectionId }) => gone.push(connectionId));
  stage.on('closed', ({ connectionId }) => gone.push(connectionId));

  await serveWard({
    admit: (socket) => stage.attach(socket),
    async paced(ids, pace) {
      gone = [];
      let blocked = 0;
      const before = stage.status();
      const result = await watched(
        async () => {
          thread.postMessage({ ids, pace });
          const [responses] = await once(thread, 'message');
          return { responses };
        },
        () => {
          blocked = Math.max(blocked, stage.status().blockedNow);
        },
      );
      const after = stage.status();
      const reasons = Object.keys(after).filter(
        (name) => name.startsWith('drops') && after[name] > before[name],
      );
      return {
        ...result,
        blocked,
        gone: gone.map((id) => ids.indexOf(id)).filter((position) => position >= 0),
        drops: Object.fromEntries(
          reasons.map((name) => [name.slice(5).toLowerCase(), after[name] - before[name]]),
        ),
        backend: after.backend,
      };
    },
    dismiss(ids) {
      for (const id of ids) stage.disconnect(id, { when: 'now' });
    },
  });
}

if (isMainThread) await server();
else engine();
