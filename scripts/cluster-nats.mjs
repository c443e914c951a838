// A NATS server on loopback with two replicas of the demo's journal that go on running: `npm run cluster:nats`, and
// with `-- status` or `-- down`.
import './support/node-version.mjs';
import { clusterCommand, localCluster, recorded } from './support/cluster-command.mjs';

const cluster = 'demo';
const names = ['replica1', 'replica2'];

await clusterCommand({
  engine: 'nats',
  async up() {
    const { startNatsServer } = await localCluster('nats.js');
    const { startNatsReplicas } = await localCluster('nats-replicas.js');
    const server = await startNatsServer({ jetstream: true, detached: true });
    const replicas = await startNatsReplicas({ url: server.url, cluster, names });
    return {
      directories: [server.directory, replicas.directory],
      processes: [
        ...replicas.processes.map(({ id }, i) => recorded(names[i], id, 'SIGTERM')),
        recorded('nats-server', server.process, 'SIGTERM'),
      ],
      lines: [`  ${server.url}`, `  what the replicas say: ${replicas.directory}`],
      // The journal is named, so that it can be run again: replicas follow nobody who has less than they have.
      next: `npx ackgate demo --engine nats --servers ${server.url} --cluster ${cluster} --journal ${replicas.directory}/primary`,
      leave() {
        replicas.leave();
        server.leave();
      },
    };
  },
});
