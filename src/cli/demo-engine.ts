import { hostname } from 'node:os';
import { WrongCall } from './wrong-call.js';

export type EngineName = 'file' | 'postgres' | 'nats';

export interface EngineChoice {
  engine: EngineName;
  /** URLs; null: servers are brought up for this run. */
  servers: string[] | null;
  standbys: string[] | null;
  cluster: string | null;
  node: string | null;
  takeOver: boolean;
}

/** What the demo is to be told, and how to take down what was brought up for it. */
export interface EngineInUse {
  /** `StorageConfig` of the example, which is compiled on its own. */
  storage: Record<string, unknown> & { engine: EngineName };
  close(): Promise<void>;
}

const replicaNames = ['replica1', 'replica2'];

/**
 * Brings up what the engine needs on loopback, unless its servers are named. A Ctrl-C is for the demo, which ends them in
 * order afterwards: they are in groups of their own.
 */
export async function useEngine(choice: EngineChoice, say: (line: string) => void): Promise<EngineInUse> {
  const { engine, servers, standbys, takeOver, node: given } = choice;
  const cluster = choice.cluster ?? 'demo';
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
      const cluster = await startPostgresCluster({ standbys: 2, detached: true });
      const storage = { engine, servers: [...cluster.urls], standbys: cluster.names.slice(1), node };
      return { storage, close: () => cluster.close() };
    }
    case 'nats': {
      if (servers !== null) {
        return {
          storage: { engine, servers, cluster, node, takeOver },
          close: async () => {},
        };
      }
      const { startNatsServer } = await import('../local-cluster/nats.js');
      const { startNatsReplicas } = await import('../local-cluster/nats-replicas.js');
      say('bringing up nats-server and two replicas on loopback');
      const server = await startNatsServer({ jetstream: true, detached: true });
      const parts = { url: server.url, cluster, names: replicaNames };
      const replicas = await startNatsReplicas(parts).catch(async (error) => {
        await server.close();
        throw error;
      });
      const storage = { engine, servers: [server.url], cluster, replicas: replicaNames, node };
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

/** What is meant for another engine, or can't be meant, is a wrong call. */
export function checkEngine(choice: EngineChoice, journal: string | null): void {
  const { engine, servers, standbys, cluster, node, takeOver } = choice;
  const given: [option: string, isGiven: boolean, engines: EngineName[]][] = [
    ['--servers', servers !== null, ['postgres', 'nats']],
    ['--standbys', standbys !== null, ['postgres']],
    ['--cluster', cluster !== null, ['nats']],
    ['--node', node !== null, ['postgres', 'nats']],
    ['--take-over', takeOver, ['postgres', 'nats']],
    ['--journal', journal !== null, ['file', 'nats']],
  ];
  for (const [option, isGiven, engines] of given) {
    if (!isGiven || engines.includes(engine)) continue;
    throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `${option} means nothing with --engine ${engine}`);
  }
  const scheme = engine === 'nats' ? /^(nats|tls):\/\/./ : /^postgres(ql)?:\/\/./;
  // The text itself may have a password in it.
  if (servers !== null && !servers.every((url) => scheme.test(url))) {
    const example = engine === 'nats' ? 'nats://10.0.0.5:4222' : 'postgres://ackgate@10.0.0.5/orders';
    throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `--servers: write addresses such as ${example}`);
  }
}
