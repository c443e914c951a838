import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicNow } from '../../shared/clock.js';
import { Random } from '../random.js';
import { orderBytes } from './record-wire.js';

/** One thread full of clients: sends orders at drawn times, whatever comes back, and reads the answers. */
export interface ClientInput {
  port: number;
  connections: number;
  ordersPerSecond: number;
  seconds: number;
  seed: number;
}

const input = workerData as ClientInput;
const random = new Random(input.seed);

function open(): Promise<Socket> {
  return new Promise((opened, failed) => {
    const socket = connect({ port: input.port, host: '127.0.0.1', noDelay: true }, () => opened(socket));
    socket.on('error', failed);
    socket.resume();
  });
}

async function run(): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: input.connections }, open));
  for (const socket of sockets) socket.on('error', () => {});
  parentPort?.postMessage('ready');
  await new Promise((go) => parentPort?.once('message', go));
  const order = Buffer.alloc(orderBytes);
  const meanNs = 1e9 / input.ordersPerSecond;
  const startNs = monotonicNow();
  const endNs = startNs + input.seconds * 1e9;
  let dueNs = startNs;
  let sent = 0;
  const tick = () => {
    const nowNs = monotonicNow();
    while (dueNs <= nowNs && dueNs < endNs) {
      sockets[sent % sockets.length].write(order);
      sent++;
      dueNs += random.exponential(meanNs);
    }
    if (dueNs < endNs) {
      // A timer is a millisecond late: short waits are turns of the loop.
      if (dueNs - monotonicNow() > 3e6) setTimeout(tick, 1);
      else setImmediate(tick);
    } else {
      parentPort?.postMessage({ sent });
    }
  };
  tick();
}

await run();
