import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WrongCall } from './wrong-call.js';

export type EngineName = 'file' | 'postgres' | 'nats';

export interface EngineChoice {
  engine: EngineName;
  /** URLs; null: servers are brought up for this run. */
  servers: string[] | null;
  standbys: string[] | null;
  cluster: string;
  node: string | null;
  takeOver: boolean;
}

/** What the demo is to be told, and how to take down what was brought up for it. */
export interface EngineInUse {
  /** `StorageConfig` of the example, which is compiled on its own. */
  storage: Record<string, unknown> & { engine: EngineName };
  close(): Promise<void>;
}

const replicaReadyMs = 20_000;
const replicaNames = ['replica1', 'replica2'];

/** Brings up what the engine needs on loopback, unless its servers are named. */
export async function useEngine(choice: EngineChoice, say: (line: string) => void): Promise<EngineInUse> {
  const { engine, servers, standbys, takeOver, node: given } = choice;
  const node = given ?? `${hostname()}-demo`;
  switch (engine) {
    case 'file':
      return { storage: { engine }, close: async () => {} };
    case 'postgres': {
      if (servers !== null) {
        const storage = { engine, servers, standbys: standbys ?? ['standby1', 'standby2'], node, takeOver };
        return { storage, close: async () => {} };
      }
      const { startPostgresCluster } = await import('../local-cluster/postgres.js');
      say('bringing up PostgreSQL: a primary and two standbys on loopback');
      const cluster = await startPostgresCluster({ standbys: 2 });
      const storage = { engine, servers: [...cluster.urls], standbys: cluster.names.slice(1), node };
      return { storage, close: () => cluster.close() };
    }
    case 'nats': {
      if (servers !== null) {
        return {
          storage: { engine, servers, cluster: choice.cluster, node, takeOver },
          close: async () => {},
        };
      }
      const { startNatsServer } = await import('../local-cluster/nats.js');
      say('bringing up nats-server and two replicas on loopback');
      const server = await startNatsServer({ jetstream: true });
      const replicas = await startReplicas(server.url, choice.cluster).catch(async (error) => {
        await server.close();
        throw error;
      });
      const storage = {
        engine,
        servers: [server.url],
        cluster: choice.cluster,
        replicas: replicaNames,
        node,
      };
      return {
        storage,
        close: async () => {
          await replicas.close();
          await server.close();
        },
      };
    }
  }
}

async function startReplicas(url: string, cluster: string): Promise<{ close(): Promise<void> }> {
  const top = mkdtempSync(join(tmpdir(), 'ackgate-replicas-'));
  const children: ChildProcess[] = [];
  const close = async () => {
    await Promise.all(children.map(ended));
    rmSync(top, { recursive: true, force: true });
  };
  const kill = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', kill);
  try {
    for (const name of replicaNames) {
      const directory = join(top, name);
      const args = [
        'replica',
        '--name',
        name,
        '--directory',
        directory,
        '--servers',
        url,
        '--cluster',
        cluster,
      ];
      const main = fileURLToPath(new URL('./main.js', import.meta.url));
      children.push(fork(main, [...args, '--json'], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] }));
    }
    await Promise.all(children.map(firstLine));
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A replica prints a line once it is connected. */
function firstLine(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('a replica did not get ready in time')), replicaReadyMs);
    child.stdout?.once('data', () => {
      clearTimeout(late);
      resolve();
    });
    child.once('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`a replica ended with code ${code}`));
    });
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  const over = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), replicaReadyMs);
  return over.finally(() => clearTimeout(late));
}

/** Servers and names are for engines that have them. */
export function checkEngine(
  { engine, servers, standbys, takeOver }: EngineChoice,
  journal: string | null,
): void {
  const needless = (option: string) =>
    new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `${option} means nothing with --engine ${engine}`);
  if (engine === 'file' && servers !== null) throw needless('--servers');
  if (engine !== 'postgres' && standbys !== null) throw needless('--standbys');
  if (engine === 'file' && takeOver) throw needless('--take-over');
  if (engine === 'postgres' && journal !== null) throw needless('--journal');
}
