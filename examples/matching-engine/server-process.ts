/**
 * Entry of the server process: `node server-process.js '{"directory":"…","port":7000,…}'`. Started by another
 * program with an IPC channel it reports there, and ends when the channel does; by hand it prints lines. The admin
 * token and what keeps the orders may come in the environment, where other users of the machine can't read them:
 * ACKGATE_ADMIN_TOKEN, and ACKGATE_STORAGE as JSON.
 */
import { watchSignals } from 'ackgate/supervisor';
import pino from 'pino';
import type { ClientFigures } from './operations.js';
import { MatchingServer, type ServerConfig, type ServerStatus } from './server.js';

export type ServerCommand =
  | 'status'
  /** The same, with an id that tells the answers apart. */
  | { type: 'status'; id: number }
  | 'close'
  | 'pause journal'
  | 'resume journal'
  | { type: 'clients'; figures: ClientFigures };
export type ServerMessage =
  | { type: 'listening'; port: number; adminUrl: string | null; status: ServerStatus }
  | { type: 'status'; id?: number; status: ServerStatus }
  /** The reason for an exit code other than 0. */
  | { type: 'failed'; message: string };

const defaults: ServerConfig = {
  directory: 'journal',
  port: 7000,
  policy: 'local',
  backend: 'auto',
  connections: 1024,
  adminToken: process.env.ACKGATE_ADMIN_TOKEN,
  storage: JSON.parse(process.env.ACKGATE_STORAGE ?? '{"engine":"file"}'),
};
const managed = process.send !== undefined;
/** A parent that shows how things go has no use for lines about it, unless it asks for them. */
const level = process.env.ACKGATE_LOG_LEVEL ?? (managed ? 'error' : 'info');
// Synchronous, so that the last line is written before the process ends.
const logger = pino({ name: 'matching-engine', level }, pino.destination({ fd: 2, sync: true }));

let server: MatchingServer | null = null;
let ending = false;

async function main(): Promise<void> {
  const config: ServerConfig = { ...defaults, ...JSON.parse(process.argv[2] ?? '{}') };
  watchSignals(
    { start: () => end(0), hurry: () => server?.hurry() },
    { signals: managed ? ['SIGTERM'] : ['SIGTERM', 'SIGINT'] },
  );
  // A Ctrl-C reaches the whole group of processes; under a parent it is the parent who ends this one in order.
  if (managed) process.on('SIGINT', () => {});
  process.on('disconnect', () => end(0));
  process.on('message', (command: ServerCommand) => {
    if (command === 'close') end(0);
    else if (server !== null) obey(server, command);
  });
  server = await MatchingServer.start(config, fail, logger);
  // A signal that came meanwhile found no server to end.
  if (ending) return server.close();
  const { port, adminUrl } = server;
  tell({ type: 'listening', port, adminUrl, status: server.status() });
  if (!managed) logger.info({ port, adminUrl, policy: config.policy }, 'listening');
}

function obey(running: MatchingServer, command: Exclude<ServerCommand, 'close'>): void {
  if (command === 'status') {
    tell({ type: 'status', status: running.status() });
  } else if (command === 'pause journal') {
    logger.warn('journal paused: nothing becomes durable');
    // Rejects when the journal has failed or is closed; both are told elsewhere.
    running.pauseJournal().catch(() => {});
  } else if (command === 'resume journal') {
    running.resumeJournal();
    logger.warn('journal resumed');
  } else if (command.type === 'status') {
    tell({ type: 'status', id: command.id, status: running.status() });
  } else {
    running.showClients(command.figures);
  }
}

function tell(message: ServerMessage): void {
  if (process.connected) process.send?.(message);
}

function fail(error: unknown): void {
  const message = explain(error);
  tell({ type: 'failed', message });
  process.stderr.write(`matching engine: ${message}\n`);
  end(1);
}

async function end(exitCode: number): Promise<void> {
  if (ending) return;
  ending = true;
  process.exitCode = exitCode;
  try {
    await server?.close();
  } catch (error) {
    // A journal that failed says so once more when it is closed.
    if (exitCode === 0) process.stderr.write(`matching engine: ${explain(error)}\n`);
    process.exitCode = 1;
  }
  if (process.connected) process.disconnect();
}

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `the port is in use: ${message}`;
  if (code === 'EACCES') return `no permission: ${message}`;
  return code === undefined ? message : `${message} (${code})`;
}

main().catch(fail);
