// What one would write today: `net.Socket`, a write per frame. It returns to its event loop after each batch, as it must.
//
//   node bench/senders/latency-socket.mjs CONNECTIONS FIFO
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { acceptConnections } from '../support/sender.mjs';
import { serveStamped, stamp } from '../support/stamped-sender.mjs';

const headerBytes = 4;
const connections = Number(process.argv[2]);
const fifo = process.argv[3];
const sockets = await acceptConnections(connections);
// Enough frames that none is written again while an earlier write of it may be queued.
const frameBytesMax = headerBytes + 64;
const framesInTurn = 65_536;
const pool = Buffer.alloc(framesInTurn * frameBytesMax);
const view = new DataView(pool.buffer, pool.byteOffset);
let frame = 0;

await serveStamped(
  {
    connections,
    publish(index, ns, bytes) {
      const at = (frame++ % framesInTurn) * frameBytesMax;
      view.setUint32(at, bytes, true);
      stamp(view, at + headerBytes, ns);
      sockets[index].write(pool.subarray(at, at + headerBytes + bytes));
      return true;
    },
    release() {},
    async idle() {
      await turn();
      for (const socket of sockets) if (socket.writableNeedDrain) await once(socket, 'drain');
    },
  },
  fifo,
);
