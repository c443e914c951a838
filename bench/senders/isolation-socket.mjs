// What one would write today: the engine on a thread of its own says what is due, and this thread writes it, one
// `socket.write` per frame. Its result is not looked at: who waits for `drain` in order waits with everybody behind, and
// who waits per socket keeps a queue for each, which is what `net.Socket` does by itself. So nobody waits for another,
// and the memory for the sick grows; it is reported.
//
//   node bench/senders/isolation-socket.mjs CLIENTS PATIENTS BYTES
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { stamp } from '../support/stamped-sender.mjs';
import { runTicks, serveWard, watched } from '../support/ward.mjs';

const headerBytes = 4;

function engine() {
  parentPort.on('message', (pace) => {
    const responses = runTicks(pace, (ns) => parentPort.postMessage(ns));
    parentPort.postMessage({ responses });
  });
}

async function server() {
  const bodyBytes = Number(process.argv[4]);
  const body = Buffer.alloc(bodyBytes, 7);
  const thread = new Worker(new URL(import.meta.url));

  function makeFrame(ns) {
    const frame = Buffer.allocUnsafe(headerBytes + bodyBytes);
    frame.writeUInt32LE(bodyBytes);
    frame.set(body, headerBytes);
    stamp(new DataView(frame.buffer, frame.byteOffset), headerBytes, ns);
    return frame;
  }

  let sockets = [];
  let turn = 0;
  let perTick = 0;
  let ended = () => {};
  thread.on('message', (message) => {
    if (typeof message !== 'number') return ended(message);
    for (let i = 0; i < perTick; i++) {
      const socket = sockets[turn];
      if (socket.writable) socket.write(makeFrame(message));
      turn = turn + 1 === sockets.length ? 0 : turn + 1;
    }
  });

  await serveWard({
    admit: (socket) => socket,
    async paced(clients, pace) {
      sockets = clients;
      turn = 0;
      ({ perTick } = pace);
      const result = await watched(() => {
        thread.postMessage(pace);
        return new Promise((resolve) => {
          ended = resolve;
        });
      });
      const queued = sockets.map((socket) => socket.writableLength);
      return {
        ...result,
        blocked: queued.filter((length) => length > 0).length,
        queuedBytes: queued.reduce((sum, length) => sum + length, 0),
        gone: [...sockets.keys()].filter((position) => sockets[position].destroyed),
        drops: {},
      };
    },
    async dismiss(patients) {
      const open = patients.filter((socket) => !socket.closed);
      const closed = Promise.all(open.map((socket) => once(socket, 'close')));
      for (const socket of open) socket.destroy();
      await closed;
    },
  });
}

if (isMainThread) await server();
else engine();
