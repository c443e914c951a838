// A process of clients, on sockets: an open loop of drawn times, and a closed one with a window. Answers of a connection come
// in the order of its questions, so counting them is enough to know which one it is.
import { connect } from 'node:net';
import { monotonicNow } from '#ackgate/shared/clock.js';
import { percentilesUs } from './figures.mjs';
import {
  answerBytes,
  connections,
  drawOrders,
  orderBytes,
  startPacer,
  timesOf,
  windowOrders,
} from './load.mjs';

/** Bounds what would hang. */
const answersWithinMs = 20_000;
let sockets = [];
/** Called with the socket's number and how many more answers have come. */
let answered = () => {};

async function open(port) {
  sockets = await Promise.all(
    Array.from({ length: connections }, (_, c) => {
      let rest = Buffer.alloc(0);
      return new Promise((opened, failed) => {
        const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => opened(socket));
        socket.on('error', failed);
        socket.on('close', () => process.exit(1));
        socket.on('data', (chunk) => {
          rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
          let whole = 0;
          let at = 0;
          // A frame of another size ends the answers to a request, and is none.
          for (let next; at + 4 <= rest.length; at = next) {
            const bodyBytes = rest.readUInt32LE(at);
            next = at + 4 + bodyBytes;
            if (next > rest.length) break;
            if (bodyBytes === answerBytes) whole++;
          }
          rest = rest.subarray(at);
          if (whole > 0) answered(c, whole);
        });
      });
    }),
  );
}

async function until(isDone) {
  for (const endAt = performance.now() + answersWithinMs; !isDone(); ) {
    if (performance.now() > endAt) throw new Error('not all orders were answered');
    await new Promise((again) => setTimeout(again, 5));
  }
}

async function paced(load) {
  const memory = drawOrders(load);
  const times = timesOf(memory);
  const latencies = new Float64Array(times.length);
  const seen = new Array(connections).fill(0);
  let count = 0;
  answered = (c, more) => {
    const nowNs = monotonicNow();
    count += more;
    for (; more > 0; more--) {
      const i = seen[c]++ * connections + c;
      latencies[i] = nowNs - times[i];
    }
  };
  const pacer = startPacer(
    memory,
    sockets.map((socket) => socket._handle.fd),
  );
  pacer.on('error', fail);
  await new Promise((ended) => pacer.once('exit', ended));
  await until(() => count === times.length);
  return { orders: count, us: percentilesUs(latencies) };
}

async function closed({ seconds, warmSeconds }) {
  const orders = Buffer.alloc(windowOrders * orderBytes, 0x2a);
  let underWay = 0;
  let count = 0;
  let isOver = false;
  const send = (c, some) => {
    underWay += some;
    sockets[c].write(orders.subarray(0, some * orderBytes));
  };
  answered = (c, more) => {
    underWay -= more;
    count += more;
    if (!isOver) send(c, more);
  };
  for (let c = 0; c < connections; c++) send(c, windowOrders / connections);
  const passed = (s) => new Promise((over) => setTimeout(over, s * 1000));
  await passed(warmSeconds);
  const [from, fromNs] = [count, monotonicNow()];
  await passed(seconds);
  const perSecond = ((count - from) / (monotonicNow() - fromNs)) * 1e9;
  isOver = true;
  await until(() => underWay === 0);
  return { perSecond };
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

const commands = { open: ({ port }) => open(port), paced, closed };
process.on('message', ({ command, ...values }) => {
  commands[command](values).then((answer) => process.send(answer ?? {}), fail);
});
process.on('disconnect', () => process.exit(0));
