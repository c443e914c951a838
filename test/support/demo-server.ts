import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServerConfig } from '#ackgate/demo/server.js';
import type { ServerCommand, ServerMessage } from '#ackgate/demo/server-process.js';

const file = fileURLToPath(new URL('../../dist/demo/server-process.js', import.meta.url));

export interface DemoServer {
  readonly port: number;
  /** Of the live page, if it was asked for. */
  readonly adminUrl: string | null;
  readonly process: ChildProcess;
  /** Resolves with exit code, signal and what the server said on its way out. */
  readonly ended: Promise<{ code: number | null; signal: string | null; stderr: string }>;
  tell(command: ServerCommand): void;
  close(): void;
}

/** Starts the example's server in a process of its own. `wrapper` is a command to run it under. */
export async function startDemoServer(
  config: Partial<ServerConfig> & { directory: string },
  wrapper: readonly string[] = [],
): Promise<DemoServer> {
  const command = [...wrapper, process.execPath, file, JSON.stringify({ port: 0, ...config })];
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stderr }));
  const listening = new Promise<Extract<ServerMessage, { type: 'listening' }>>((resolve) => {
    child.on('message', (message: ServerMessage) => {
      if (message.type === 'listening') resolve(message);
    });
  });
  const early = ended.then(({ code }) => {
    throw new Error(`the server ended with code ${code} before it listened: ${stderr}`);
  });
  early.catch(() => {});
  const { port, adminUrl } = await Promise.race([listening, early]);
  const tell = (command: ServerCommand) => {
    if (child.connected) child.send(command);
  };
  return { port, adminUrl, process: child, ended, tell, close: () => tell('close') };
}
