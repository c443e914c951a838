// An order server as one writes it: lines in, lines out, and an empty line behind each answer.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Engine } from './engine.mjs';

const engine = new Engine();
const server = createServer((socket) => {
  const lines = createInterface({ input: socket });
  lines.on('line', (request) => {
    if (request === 'quit') {
      socket.end('bye\n\n');
    } else if (request === 'last') {
      socket.cork();
      for (const order of engine.last()) socket.write(`${order}\n`);
      socket.write('\n');
      socket.uncork();
    } else {
      const more = socket.write(`${engine.accept(request)}\n\n`);
      if (more) return;
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  });
  socket.setTimeout(60_000, () => socket.destroy());
  socket.on('error', () => {});
});
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () => console.log('listening'));
