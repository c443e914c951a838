import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** States in which a socket is a connection that this side has not closed: ESTABLISHED and CLOSE_WAIT. */
const openStates = ['01', '08'];

/**
 * How many connections the side that listens on a port has and has not closed, those that it has not accepted yet
 * included. Null when the kernel does not say.
 */
export function serverConnections(port: number): number | null {
  try {
    return countConnections(readFileSync('/proc/net/tcp', 'utf8'), port) + countConnections(tcp6(), port);
  } catch {
    return null;
  }
}

function tcp6(): string {
  try {
    return readFileSync('/proc/net/tcp6', 'utf8');
  } catch (error) {
    // A kernel without IPv6.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Out of `/proc/net/tcp` or `tcp6`. By the local port: the client's side has it as the remote one. */
export function countConnections(text: string, port: number): number {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let count = 0;
  for (const line of text.split('\n').slice(1)) {
    const [, local, , state] = line.trim().split(/\s+/);
    if (local?.endsWith(ending) && openStates.includes(state)) count++;
  }
  return count;
}

/** A port that nobody listens on, for now. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
