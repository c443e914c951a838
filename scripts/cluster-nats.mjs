// A NATS server on loopback with two replicas of the demo's journal that go on running: `npm run cluster:nats`, and
// with `-- status` or `-- down`.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import './support/node-version.mjs';
import { clusterCommand, localCluster, main, recorded } from './support/cluster-command.mjs';

/** Whether all replicas answer who asks for them. */
async function answer(url) {
  const { natsStandings } = await import('../dist/nats/standings.js');
  const found = await natsStandings({ servers: [url], cluster });
  return replicas.every((name) => found.replicas.some(({ node }) => node === name));
}

const cluster = 'demo';
const replicas = ['replica1', 'replica2'];

await clusterCommand({
  engine: 'nats',
  async up() {
    const { startNatsServer } = await localCluster('nats.js');
    const { ServerProcess } = await localCluster('server-process.js');
    const { guardAtEnd } = await localCluster('guard.js');
    const server = await startNatsServer({ jetstream: true, detached: true });
    const folder = mkdtempSync(join(tmpdir(), 'ackgate-replicas-'));
    const release = guardAtEnd({ kind: 'folder', path: folder });
    const started = [];
    for (const name of replicas) {
      const where = ['--directory', join(folder, name), '--servers', server.url, '--cluster', cluster];
      const replica = await ServerProcess.start({
        name: `replica ${name}`,
        program: process.execPath,
        args: [main, 'replica', '--name', name, ...where],
        account: null,
        folder,
        log: join(folder, `${name}.log`),
        detached: true,
      });
      started.push(replica);
    }
    await Promise.all(started.map((replica) => replica.ready(() => answer(server.url))));
    return {
      directories: [server.directory, folder],
      processes: [
        ...started.map(({ id }, i) => recorded(replicas[i], id, 'SIGTERM')),
        recorded('nats-server', server.process, 'SIGTERM'),
      ],
      lines: [`  ${server.url}`, `  what the replicas say: ${folder}`],
      next: `npx ackgate demo --engine nats --servers ${server.url} --cluster ${cluster}`,
      leave() {
        for (const replica of started) replica.leave();
        server.leave();
        release();
      },
    };
  },
});
