// The part of a sending program that is the same for the stage and for `net.Socket`; bench/reference/server.c is its
// counterpart in C.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** Frames in turn, so that they are not always the same line of the cache. */
export const framesInTurn = 1024;

/** Bodies as the C programs make them. */
export function makeBodies(bytes) {
  return Array.from({ length: framesInTurn }, (_, i) => Buffer.alloc(bytes, i & 0xff));
}

/** Listens, prints the port, and resolves with `count` connections. */
export async function acceptConnections(count) {
  const sockets = [];
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {}); // A client that went away shows as missing bytes.
    if (sockets.length === count) server.emit('complete');
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  const complete = once(server, 'complete');
  console.log(JSON.stringify({ port: server.address().port }));
  await complete;
  return sockets;
}

/** Says that it is ready and answers each `rounds` command with what `rounds(count, frames, bytes, grouped)` gives. */
export async function serveRounds(rounds, thread = process.pid) {
  console.log(JSON.stringify({ ready: true, thread: Number(thread) }));
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, count, frames, bytes, order] = line.split(' ');
    if (command !== 'rounds') throw new Error(`unknown command: ${line}`);
    console.log(
      JSON.stringify(await rounds(Number(count), Number(frames), Number(bytes), order === 'grouped')),
    );
  }
  process.exit(0);
}
