import { createServer } from 'node:net';
import { LengthPrefixDecoder } from 'ackgate/supervisor';
import { frame } from './frames.mjs';
import { accept } from './orders.mjs';

let sequence = 0;
const server = createServer((socket) => {
  const frames = new LengthPrefixDecoder(65_536);
  socket.on('data', (chunk) => {
    frames.push(chunk);
    for (let order = frames.next(); order !== null; order = frames.next()) {
      sequence += 1;
      socket.write(frame(accept(sequence, order)));
    }
  });
  socket.on('error', () => {});
});
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () =>
  console.log(`listening, pid ${process.pid}`),
);
