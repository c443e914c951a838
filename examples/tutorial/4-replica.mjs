// A second node: keeps a journal of its own, and says how far it is. node 4-replica.mjs b journal-b
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { FileJournal } from 'ackgate/journal';

const [node = 'b', directory = `journal-${node}`] = process.argv.slice(2);
const journal = await FileJournal.open({ directory });
const socket = connect(Number(process.env.REPLICA_PORT ?? 7001), '127.0.0.1');
const epoch = Date.now(); // higher at each start, for what was only in memory is gone

function report() {
  const { lastSequence: inMemory, primaryCursor: persisted } = journal;
  socket.write(`${JSON.stringify({ node, epoch, inMemory, persisted, at: Date.now() })}\n`);
}

socket.write(`${JSON.stringify({ after: journal.lastSequence })}\n`);
createInterface({ input: socket }).on('line', (line) => {
  const { sequence, order } = JSON.parse(line);
  const mine = journal.append(Buffer.from(order));
  if (mine !== sequence) throw new Error(`order ${sequence} came where ${mine} was due`);
  report();
});
setInterval(report, 200); // also when nothing has moved: silence means that it is gone
report();
socket.on('connect', () =>
  console.log(`replica ${node} follows from ${journal.lastSequence} on, pid ${process.pid}`),
);
socket.on('close', () => process.exit());
