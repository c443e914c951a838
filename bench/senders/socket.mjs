// What one would write today: `net.Socket`, a write per frame, or all of a round's frames between `cork` and `uncork`.
//
//   node bench/senders/socket.mjs CONNECTIONS frame|corked
import { once } from 'node:events';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { acceptConnections, framesInTurn, makeBodies, serveRounds } from '../support/sender.mjs';
import { threadCpuNs } from '../support/threads.mjs';

const connections = Number(process.argv[2]);
const corked = process.argv[3] === 'corked';
const sockets = await acceptConnections(connections);

function makeFrames(bytes) {
  return makeBodies(bytes).map((body) => {
    const frame = Buffer.alloc(4 + bytes);
    frame.writeUInt32LE(bytes);
    body.copy(frame, 4);
    return frame;
  });
}

let at = 0;
function round(sources, frames, grouped) {
  if (corked) for (const socket of sockets) socket.cork();
  if (grouped) {
    for (const socket of sockets) for (let i = 0; i < frames; i++) socket.write(sources[at++ % framesInTurn]);
  } else {
    for (let i = 0; i < frames; i++) for (const socket of sockets) socket.write(sources[at++ % framesInTurn]);
  }
  if (corked) for (const socket of sockets) socket.uncork();
}

await serveRounds(async (count, frames, bytes, grouped) => {
  const sources = makeFrames(bytes);
  await sleep(5); // The clock of a thread is exact after it has slept.
  const startCpuNs = threadCpuNs(process.pid);
  const startNs = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    round(sources, frames, grouped);
    await turn();
    for (const socket of sockets) if (socket.writableNeedDrain) await once(socket, 'drain');
  }
  const wallNs = Number(process.hrtime.bigint() - startNs);
  await sleep(5);
  return { responses: count * frames * connections, cpuNs: threadCpuNs(process.pid) - startCpuNs, wallNs };
});
