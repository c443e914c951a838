import { readFileSync } from 'node:fs';

/** A socket in the table of connections that the kernel shows. Addresses are with their port, as the kernel writes them. */
export interface TcpRow {
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  /** `0` when no process has it: it has been closed, or was not accepted yet. */
  readonly inode: string;
}

export const tcpState = { established: '01', closeWait: '08', listen: '0A' } as const;

/** All sockets of this network namespace; null when the kernel does not say. */
export function readTcpTable(): TcpRow[] | null {
  try {
    return [...parseTcpTable(readFileSync('/proc/net/tcp', 'utf8')), ...parseTcpTable(tcp6())];
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

/** Out of `/proc/net/tcp` or `tcp6`. */
export function parseTcpTable(text: string): TcpRow[] {
  const rows: TcpRow[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
    if (inode !== undefined) rows.push({ local: plain(local), remote: plain(remote), state, inode });
  }
  return rows;
}

/** An IPv4 address within IPv6 as the IPv4 one: the two ends of a connection may be in different tables. */
const plain = (address: string): string => address.replace(/^0{16}(FFFF0000|0000FFFF)/, '');

export const hasPort = (address: string, port: number): boolean =>
  address.endsWith(`:${port.toString(16).toUpperCase().padStart(4, '0')}`);
