import { connect, createServer } from 'node:net';
import type { Clock } from '../clock.js';
import { familyOf } from './process.js';
import { networkOf, socketInodes } from './socket-inodes.js';
import { hasPort, readTcpTable, type TcpRow, tcpState } from './tcp-table.js';

/** States in which a socket is a connection that this side has not closed. */
const openStates: readonly string[] = [tcpState.established, tcpState.closeWait];

const settleMs = 50;
const answerTimeoutMs = 1000;

/**
 * How many connections the side that listens on a port has and has not closed, those that it has not accepted yet
 * included, and those left out that this very process has open: they are none of the server's doing. One that this process
 * has closed, or half closed, counts. Null when the kernel does not say.
 */
export function serverConnections(port: number): number | null {
  const rows = readTcpTable();
  const own = socketInodes('self');
  return rows === null || own === null ? null : countConnections(rows, port, own);
}

/** By the local port: the client's side has it as the remote one. */
export function countConnections(rows: readonly TcpRow[], port: number, own: ReadonlySet<string>): number {
  const held = new Set<string>();
  for (const { local, remote, state, inode } of rows) {
    if (hasPort(remote, port) && state === tcpState.established && own.has(inode))
      held.add(`${remote} ${local}`);
  }
  const left = ({ local, remote, state }: TcpRow) =>
    hasPort(local, port) && openStates.includes(state) && !held.has(`${local} ${remote}`);
  return rows.filter(left).length;
}

/** The connections of a server once there are none, and otherwise those that are left when the time is over. */
export async function settledConnections(
  port: number,
  withinMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<number | null> {
  const untilMs = clock.nowMs() + withinMs;
  for (;;) {
    const count = serverConnections(port);
    const leftMs = untilMs - clock.nowMs();
    if (count === null || count === 0 || leftMs <= 0 || signal.aborted) return count;
    await clock.sleep(Math.min(settleMs, leftMs), signal);
  }
}

/**
 * Whether somebody takes connections there. It connects, and closes the connection at once. Who listens but is too busy to
 * answer has the port, too.
 */
export function portTaken(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: answerTimeoutMs });
    const told = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', () => {
      // The kernel may give the very port that nobody listens on to the connection itself.
      const { localAddress, localPort, remoteAddress, remotePort } = socket;
      told(localPort !== remotePort || localAddress !== remoteAddress);
    });
    socket.once('timeout', () => told(listeners(port).length > 0));
    socket.once('error', () => told(false));
  });
}

/**
 * Whether a process, or any of its group or its descendants, listens on a port. Null when it can't be known: nobody is seen
 * to listen there, it runs in another network, or what it has open is not ours to see. Goes through all processes.
 */
export function listensItself(pid: number, port: number): boolean | null {
  const sought = listeners(port);
  const family = familyOf(pid);
  if (sought.length === 0 || family.length === 0) return null;
  const network = networkOf('self');
  let known = true;
  for (const member of family) {
    const inodes = socketInodes(member);
    if (inodes !== null && sought.some(({ inode }) => inodes.has(inode))) return true;
    if (inodes === null || networkOf(member) !== network) known = false;
  }
  return known ? false : null;
}

function listeners(port: number): TcpRow[] {
  const rows = readTcpTable() ?? [];
  return rows.filter(({ local, state }) => state === tcpState.listen && hasPort(local, port));
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
