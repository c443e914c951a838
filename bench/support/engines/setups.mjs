// The engines: how each is set up, opened behind Ackgate, and run bare.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileJournal } from '#ackgate/journal/index.js';
import { findNats, findPostgres } from '#ackgate/local-cluster/find-programs.js';
import { startBare } from './bare.mjs';
import { startBareFile } from './bare-file.mjs';
import { startServed } from './served.mjs';

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const cluster = 'bench';

function file(directory) {
  mkdirSync(join(directory, 'file'));
  return {
    served: () =>
      startServed((turns) => FileJournal.open({ directory: join(directory, 'file', 'journal'), turns })),
    bare: () => startBareFile(join(directory, 'file')),
    close() {},
  };
}

async function postgres(directory) {
  const { startPostgresCluster } = await import('#ackgate/local-cluster/postgres.js');
  const { PostgresJournal } = await import('#ackgate/postgres/index.js');
  const { startBarePostgres } = await import('./bare-postgres.mjs');
  // Not through a proxy in this process: it would be measured, too.
  const servers = await startPostgresCluster({
    directory: join(directory, 'postgres'),
    standbys: 2,
    proxied: false,
  });
  const url = servers.urls[servers.primary];
  const standbys = servers.names.slice(1);
  const open = (turns) => PostgresJournal.open({ servers: servers.urls, node: 'bench', standbys, turns });
  return {
    served: () => startServed(open),
    bare: () => startBare((moved) => startBarePostgres({ url, standbys }, moved)),
    close: () => servers.close(),
  };
}

async function nats(directory) {
  const { startNatsServer } = await import('#ackgate/local-cluster/nats.js');
  const { NatsJournal } = await import('#ackgate/nats/index.js');
  const { startBareNats, startBareReplicas } = await import('./bare-nats.mjs');
  const top = join(directory, 'nats');
  mkdirSync(top);
  const ending = [];
  const close = async () => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    const server = await startNatsServer();
    ending.push(() => server.close());
    for (const name of ['r1', 'r2']) {
      const child = startReplicaCommand(server.url, name, join(top, name));
      ending.push(child);
    }
    const replicas = await startBareReplicas(server.url, top);
    ending.push(() => replicas.close());
    const options = { servers: server.url, cluster, node: 'primary', directory: join(top, 'primary') };
    let run = 0;
    return {
      served: () =>
        startServed((turns) =>
          openWith(() => NatsJournal.open({ ...options, replicas: ['r1', 'r2'], turns })),
        ),
      bare: () =>
        startBare((moved) => startBareNats({ url: server.url, directory: top, replicas, run: run++ }, moved)),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function startReplicaCommand(servers, name, directory) {
  const where = ['--servers', servers, '--cluster', cluster, '--name', name, '--directory', directory];
  const child = spawn(process.execPath, [main, 'replica', ...where], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const exited = once(child, 'exit');
  // Also when this process ends where nobody expected it.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  return async () => {
    process.off('exit', kill);
    child.kill('SIGTERM');
    const timer = setTimeout(kill, 5000);
    await exited;
    clearTimeout(timer);
  };
}

/** Until the replicas have started. */
async function openWith(open) {
  for (const endAt = performance.now() + 20_000; ; ) {
    try {
      return await open();
    } catch (error) {
      if (error.code !== 'ERR_ACKGATE_NATS_UNREACHABLE' || performance.now() > endAt) throw error;
    }
  }
}

/** By name: the modes that make sense on it, why it can't be measured here (null: it can), and how it is set up. */
export const engines = {
  file: { modes: ['local'], hasReplicas: false, missing: () => null, start: file },
  postgres: {
    modes: ['local', 'hybrid', 'durably-replicated'],
    hasReplicas: true,
    missing: () => reason(findPostgres()),
    start: postgres,
  },
  nats: {
    modes: ['local', 'hybrid', 'durably-replicated', 'replicated'],
    hasReplicas: true,
    missing: () => reason(findNats()),
    start: nats,
  },
};

const reason = (found) => (found.found ? null : found.reason);
