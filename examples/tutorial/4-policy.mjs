import { createServer } from 'node:net';
import { startStage } from 'ackgate';
import { FileJournal } from 'ackgate/journal';
import { LengthPrefixDecoder } from 'ackgate/supervisor';
import { logger } from './logger.mjs';
import { accept } from './orders.mjs';
import { serveReplicas } from './replicas.mjs';

const journal = await FileJournal.open({ directory: process.argv[2] ?? 'journal' });
const stage = await startStage({ policy: process.env.POLICY ?? 'hybrid', connections: 320, logger });
await journal.drive(stage);
const replicas = serveReplicas(Number(process.env.REPLICA_PORT ?? 7001), stage, journal);

const server = createServer((socket) => {
  let connectionId = 0;
  try {
    connectionId = stage.attach(socket);
  } catch {
    return void socket.destroy(); // no room for one more: it ends, and nobody else does
  }
  const frames = new LengthPrefixDecoder(65_536);
  socket.on('data', (chunk) => {
    frames.push(chunk);
    for (let order = frames.next(); order !== null; order = frames.next()) {
      const wireSeq = journal.append(order);
      replicas.send(wireSeq, order);
      const payload = accept(wireSeq, order);
      const published = stage.producer.tryPublish({ connectionId, wireSeq, payload, lastInRequest: true });
      if (published !== 'ok') socket.destroy();
    }
  });
  socket.on('end', () => stage.disconnect(connectionId));
});
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () =>
  console.log(`listening, pid ${process.pid}`),
);
