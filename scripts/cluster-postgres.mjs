// A PostgreSQL primary with two standbys on loopback that go on running: `npm run cluster:postgres`, and with
// `-- status` or `-- down`.
import './support/node-version.mjs';
import { clusterCommand, localCluster, recorded } from './support/cluster-command.mjs';

await clusterCommand({
  engine: 'postgres',
  async up() {
    const { startPostgresCluster } = await localCluster('postgres.js');
    const cluster = await startPostgresCluster({ detached: true });
    const { directory, names, processes, urls } = cluster;
    const standbys = names.slice(1);
    return {
      directories: [directory],
      processes: processes.map((id, i) => recorded(i === 0 ? 'primary' : names[i], id, 'SIGINT')),
      lines: [...urls.map((url) => `  ${url}`), `  their data and logs: ${directory}`],
      next: `npx ackgate demo --engine postgres --servers ${urls.join(',')} --standbys ${standbys.join(',')}`,
      leave: () => cluster.leave(),
    };
  },
});
