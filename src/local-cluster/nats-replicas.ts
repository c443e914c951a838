import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guardAtEnd } from './guard.js';
import { ServerProcess } from './server-process.js';

const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));

export interface NatsReplicasOptions {
  /** Address of the NATS server. */
  readonly url: string;
  readonly cluster: string;
  /** A process for each. */
  readonly names: readonly string[];
}

/** `ackgate replica` processes on this machine, with journals in a temporary folder. Signals of our terminal don't reach them. */
export class NatsReplicas {
  readonly directory: string;
  readonly processes: readonly ServerProcess[];
  readonly #release: () => void;

  /** Use `startNatsReplicas`. */
  constructor(directory: string, processes: readonly ServerProcess[], release: () => void) {
    this.directory = directory;
    this.processes = processes;
    this.#release = release;
  }

  /** From now on they outlive this process. */
  leave(): void {
    for (const replica of this.processes) replica.leave();
    this.#release();
  }

  /** Ends them and removes their journals. */
  async close(): Promise<void> {
    await Promise.all(this.processes.map((replica) => replica.end('SIGTERM')));
    rmSync(this.directory, { recursive: true, force: true });
    this.#release();
  }
}

/** Starts them, and resolves when all answer who asks for them. Nothing of a failed start stays. */
export async function startNatsReplicas({ url, cluster, names }: NatsReplicasOptions): Promise<NatsReplicas> {
  const { natsStandings } = await import('../nats/standings.js');
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-replicas-'));
  const release = guardAtEnd({ kind: 'folder', path: directory });
  const processes: ServerProcess[] = [];
  const replicas = new NatsReplicas(directory, processes, release);
  const answer = async () => {
    const found = await natsStandings({ servers: [url], cluster });
    return names.every((name) => found.replicas.some(({ node }) => node === name));
  };
  try {
    for (const name of names) {
      const where = ['--directory', join(directory, name), '--servers', url, '--cluster', cluster];
      const replica = await ServerProcess.start({
        name: `replica ${name}`,
        program: process.execPath,
        args: [main, 'replica', '--name', name, ...where],
        account: null,
        folder: directory,
        log: join(directory, `${name}.log`),
        detached: true,
      });
      processes.push(replica);
    }
    await Promise.all(processes.map((replica) => replica.ready(answer)));
    return replicas;
  } catch (error) {
    await Promise.all(processes.map((replica) => replica.kill()));
    await replicas.close();
    throw error;
  }
}
