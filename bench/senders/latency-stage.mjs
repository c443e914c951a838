// The whole stage in its Worker; this thread is the matching engine that feeds it. The policy is `local`, and the
// primary's cursor moves right behind each batch that is published, so that the gate costs what it does and never waits.
//
//   node bench/senders/latency-stage.mjs CONNECTIONS FIFO IDLE
import { startStage } from 'ackgate';
import { acceptConnections } from '../support/sender.mjs';
import { serveStamped, stamp } from '../support/stamped-sender.mjs';
import { threadIds, threadSince } from '../support/threads.mjs';

const connections = Number(process.argv[2]);
const [fifo, idle] = process.argv.slice(3);
const threads = threadIds();
const stage = await startStage({
  policy: 'local',
  idle,
  heartbeatIntervalMs: 0,
  connections,
  ring: { capacity: 65_536, maxPayload: 64 },
});
stage.on('dropped', (event) => {
  throw new Error(`a connection was dropped: ${JSON.stringify(event)}`);
});
const ids = (await acceptConnections(connections)).map((socket) => stage.attach(socket));
const { producer, cursors } = stage;
const { buffer, byteOffset } = producer.bytes;
const view = new DataView(buffer, byteOffset);
let sequence = 0;

await serveStamped(
  {
    connections,
    thread: threadSince(threads),
    publish(index, ns, bytes) {
      const at = producer.claim(bytes);
      if (at < 0) return false;
      stamp(view, at, ns);
      producer.publish(ids[index], ++sequence);
      return true;
    },
    release() {
      cursors.primary.advance(sequence);
    },
    idle() {},
  },
  fifo,
);
