import { createServer } from 'node:net';
import { startStage } from 'ackgate';
import { FileJournal } from 'ackgate/journal';
import { LengthPrefixDecoder } from 'ackgate/supervisor';
import { logger } from './logger.mjs';
import { accept } from './orders.mjs';

const journal = await FileJournal.open({ directory: process.argv[2] ?? 'journal' });
const stage = await startStage({ policy: 'local', connections: 320, logger });
await journal.drive(stage); // moves the stage's cursor as records become durable

const server = createServer((socket) => {
  let connectionId = 0;
  try {
    connectionId = stage.attach(socket); // from here on only the stage writes to it
  } catch {
    return void socket.destroy(); // no room for one more: it ends, and nobody else does
  }
  const frames = new LengthPrefixDecoder(65_536);
  socket.on('data', (chunk) => {
    frames.push(chunk);
    for (let order = frames.next(); order !== null; order = frames.next()) {
      const wireSeq = journal.append(order); // first the journal …
      console.log(`order ${wireSeq} taken`);
      const payload = accept(wireSeq, order);
      const published = stage.producer.tryPublish({ connectionId, wireSeq, payload, lastInRequest: true });
      if (published !== 'ok') socket.destroy(); // too large, or no room: this client will not hear of its order
    }
  });
  socket.on('end', () => stage.disconnect(connectionId)); // behind the answers that are still due
});
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () =>
  console.log(`listening, pid ${process.pid}`),
);

// To see the gate at work: kill -USR2 PID makes the disk stand still, and goes on at the next one.
let paused = false;
process.on('SIGUSR2', async () => {
  paused = !paused;
  if (paused) await journal.pause();
  else journal.resume();
  console.log(paused ? 'journal paused' : 'journal goes on');
});
