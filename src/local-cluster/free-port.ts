import { createServer, type Server } from 'node:net';
import { fail } from './fail.js';

// Below the range that the kernel takes ports for outgoing connections from: a client that tries again and again to
// reach a stopped server could otherwise be given the server's port, and be connected with itself.
const first = 20_000;
const count = 10_000;

/** Has a server listen on a free port of the loopback interface, and returns the port. */
export async function listenAnywhere(server: Server): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = first + Math.floor(Math.random() * count);
    const listening = await new Promise<boolean>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => {
        server.off('listening', succeeded);
        if (error.code === 'EADDRINUSE') resolve(false);
        else reject(error);
      };
      const succeeded = () => {
        server.off('error', failed);
        resolve(true);
      };
      server.once('error', failed).once('listening', succeeded).listen(port, '127.0.0.1');
    });
    if (listening) return port;
  }
  throw fail(`no free port found from ${first} to ${first + count - 1}`);
}

/** A port of the loopback interface that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenAnywhere(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
