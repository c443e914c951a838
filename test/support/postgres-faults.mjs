import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgresCluster } from '#ackgate/local-cluster/postgres.js';

/** Longest wait for a standby to have what was acknowledged. */
const boundMs = 30_000;

/**
 * Faults of PostgreSQL under the example's server, for `faultRun`. Each makes the world that it needs of a cluster of one
 * primary and two standbys; `quick` ones are for every test run.
 */
export const postgresFaults = [
  {
    name: 'a standby stops in order',
    policy: 'hybrid',
    fault: ({ cluster }) =>
      leavesAndReturns(
        () => cluster.stop(1),
        () => cluster.start(1),
      ),
  },
  {
    name: 'a standby is killed',
    policy: 'durably-replicated',
    quick: true,
    fault: ({ cluster }) =>
      leavesAndReturns(
        () => cluster.kill(1),
        () => cluster.start(1),
      ),
  },
  {
    name: 'a standby hangs',
    policy: 'hybrid',
    fault: ({ cluster }) =>
      leavesAndReturns(
        () => cluster.freeze(1),
        () => cluster.thaw(1),
      ),
  },
  {
    name: 'both standbys are killed',
    policy: 'durably-replicated',
    quick: true,
    fault:
      ({ cluster }) =>
      async (trouble) => {
        await Promise.all([cluster.kill(1), cluster.kill(2)]);
        await gateCloses(trouble);
        await Promise.all([cluster.start(1), cluster.start(2)]);
      },
  },
  {
    name: 'both standbys hang',
    policy: 'hybrid',
    fault:
      ({ cluster }) =>
      async (trouble) => {
        for (const i of [1, 2]) cluster.freeze(i);
        await gateCloses(trouble);
        for (const i of [1, 2]) cluster.thaw(i);
      },
  },
  {
    name: 'both standbys are cut off',
    policy: 'durably-replicated',
    fault:
      ({ cluster }) =>
      async (trouble) => {
        for (const i of [1, 2]) cluster.cut(i);
        await gateCloses(trouble);
        for (const i of [1, 2]) cluster.mend(i);
      },
  },
  {
    name: 'the disk of a standby is full',
    policy: 'persisted>=3',
    needsSmallDisk: 1,
    fault:
      ({ cluster }) =>
      async (trouble) => {
        cluster.fillDisk();
        await gateCloses(trouble);
        cluster.freeDisk();
        if (!cluster.isRunning(1)) await cluster.start(1);
      },
  },
  {
    name: 'the primary is killed, the standby that has most is promoted',
    policy: 'durably-replicated',
    quick: true,
    fault: (world) => async (trouble) => {
      await world.cluster.kill(0);
      await trouble.serverEnds();
      return failover(world);
    },
  },
  {
    name: 'the primary is killed (hybrid)',
    policy: 'hybrid',
    fault: (world) => async (trouble) => {
      await world.cluster.kill(0);
      await trouble.serverEnds();
      return failover(world);
    },
  },
  {
    name: 'the primary stops in order, comes back as a standby',
    policy: 'durably-replicated',
    fault: (world) => async (trouble) => {
      await world.cluster.stop(0);
      await trouble.serverEnds();
      const next = await failover(world);
      await world.cluster.rejoin(0);
      return next;
    },
  },
  {
    name: 'the primary hangs, another takes over, it comes back',
    policy: 'durably-replicated',
    fault: (world) => async (trouble) => {
      world.cluster.freeze(0);
      await gateCloses(trouble);
      const next = await failover(world);
      return {
        ...next,
        storage: { ...next.storage, takeOver: true },
        oldStays: true,
        async afterwards(old) {
          world.cluster.thaw(0);
          if ((await old.serverEnds()) === 0)
            throw new Error('the server that was superseded ended as if all was well');
        },
      };
    },
  },
  {
    name: 'the matching engine is killed',
    policy: 'durably-replicated',
    fault: (world) => async (trouble) => {
      await trouble.killServer('SIGKILL');
      return world.place;
    },
  },
];

/** Servers, and how the example's server is told of them. */
export async function postgresWorld(fault) {
  const smallDisk = fault.needsSmallDisk === undefined ? {} : { smallDisk: { server: fault.needsSmallDisk } };
  const cluster = await startPostgresCluster({ standbys: 2, ...smallDisk });
  const world = {
    cluster,
    place: {
      directory: '/nonexistent',
      storage: {
        engine: 'postgres',
        servers: [...cluster.urls],
        standbys: ['standby0', 'standby1', 'standby2'],
        node: 'matching-engine',
      },
    },
    /** Every server that runs has everything up to there. */
    async check(lastSequence) {
      const wrong = [];
      for (const i of cluster.standbys) {
        if (!cluster.isRunning(i)) continue;
        const deadline = performance.now() + boundMs;
        const last = async () =>
          Number(await cluster.sql(i, 'select coalesce(max(last), 0) from ackgate.journal'));
        while ((await last()) < lastSequence && performance.now() < deadline) await sleep(50);
        const had = await last();
        if (had < lastSequence) wrong.push(`${cluster.names[i]} has ${had} of ${lastSequence} sequences`);
      }
      return wrong;
    },
    close: () => cluster.close(),
  };
  return world;
}

/** One of two goes away for a second, and is back in the end: the other one is enough for most policies. */
function leavesAndReturns(leave, comeBack) {
  return async (trouble) => {
    await leave();
    await sleep(1000);
    await comeBack();
    await trouble.until(({ connectedNodes }) => connectedNodes === 3, 'the standby is back in the view');
  };
}

async function gateCloses(trouble) {
  await trouble.until(({ policyDegraded }) => policyDegraded === 1, 'the policy is not met any more');
}

/** Promotes the standby that has received most. */
async function failover({ cluster, place }) {
  const received = {};
  for (const i of [1, 2]) {
    const lsn = await cluster.sql(i, "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')");
    received[i] = Number(lsn);
  }
  await cluster.promote(received[1] >= received[2] ? 1 : 2);
  return place;
}
