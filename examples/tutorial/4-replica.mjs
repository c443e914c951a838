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

const after = journal.lastSequence;
const [newest] = after === 0 ? [] : journal.replay(after);
const last = newest && Buffer.from(newest.payload).toString();
socket.write(`${JSON.stringify({ node, after, last })}\n`); // the primary looks whether it has the same order there
createInterface({ input: socket }).on('line', (line) => {
  const { sequence, order } = JSON.parse(line);
  const due = journal.lastSequence + 1;
  if (sequence !== due) throw new Error(`order ${sequence} came where ${due} was due`);
  journal.append(Buffer.from(order));
  report();
});
setInterval(report, 200); // also when nothing has moved: silence means that it is gone
report();
socket.on('connect', () =>
  console.log(`replica ${node} follows from ${journal.lastSequence} on, pid ${process.pid}`),
);
socket.on('close', () => {
  console.log('the primary is gone, or refuses this replica: it says so');
  process.exit();
});
