import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FileJournal } from '#ackgate/journal/index.js';
import { startNatsServer } from '#ackgate/local-cluster/nats.js';
import { LoopbackProxy } from '#ackgate/local-cluster/proxy.js';
import { natsStandings } from '#ackgate/nats/index.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const clusterName = 'faults';
/** Longest wait for a replica to have what was acknowledged. */
const boundMs = 30_000;

/**
 * Faults of replicas behind NATS under the example's server, for `faultRun`; a world is a `nats-server`, two replicas, and
 * the primary's directory. `quick` ones are for every test run.
 */
export const natsFaults = [
  {
    name: 'a replica stops in order',
    policy: 'hybrid',
    fault: ({ replicas: [one] }) =>
      leavesAndReturns(
        () => one.end('SIGTERM'),
        () => one.start(),
      ),
  },
  {
    name: 'a replica is killed',
    policy: 'replicated',
    quick: true,
    fault: ({ replicas: [one] }) =>
      leavesAndReturns(
        () => one.end('SIGKILL'),
        () => one.start(),
      ),
  },
  {
    name: 'a replica hangs',
    policy: 'durably-replicated',
    fault: ({ replicas: [one] }) =>
      leavesAndReturns(
        () => one.signal('SIGSTOP'),
        () => one.signal('SIGCONT'),
      ),
  },
  {
    name: 'both replicas are killed',
    policy: 'durably-replicated',
    quick: true,
    fault:
      ({ replicas }) =>
      async (trouble) => {
        await Promise.all(replicas.map((replica) => replica.end('SIGKILL')));
        await gateCloses(trouble);
        await Promise.all(replicas.map((replica) => replica.start()));
      },
  },
  {
    name: 'both replicas hang',
    policy: 'replicated',
    fault:
      ({ replicas }) =>
      async (trouble) => {
        for (const replica of replicas) replica.signal('SIGSTOP');
        await gateCloses(trouble);
        for (const replica of replicas) replica.signal('SIGCONT');
      },
  },
  {
    name: 'both replicas are cut off',
    policy: 'hybrid',
    fault:
      ({ replicas }) =>
      async (trouble) => {
        for (const { proxy } of replicas) proxy.cut();
        await gateCloses(trouble);
        for (const { proxy } of replicas) proxy.mend();
      },
  },
  {
    name: 'nats-server is killed and started again',
    policy: 'hybrid',
    quick: true,
    fault:
      ({ server }) =>
      async (trouble) => {
        await server.kill();
        await gateCloses(trouble);
        await server.start();
      },
  },
  {
    name: 'nats-server hangs',
    policy: 'replicated',
    fault:
      ({ server }) =>
      async (trouble) => {
        server.freeze();
        await gateCloses(trouble);
        server.thaw();
      },
  },
  {
    name: 'nats-server restarts in order',
    policy: 'durably-replicated',
    fault:
      ({ server }) =>
      () =>
        server.restart(),
  },
  {
    name: 'the primary is killed, the replica that has most takes over',
    policy: 'replicated',
    quick: true,
    fault: (world) => async (trouble) => {
      await trouble.killServer('SIGKILL');
      return failover(world);
    },
  },
  {
    name: 'the primary is killed (durably-replicated)',
    policy: 'durably-replicated',
    fault: (world) => async (trouble) => {
      await trouble.killServer('SIGKILL');
      return failover(world);
    },
  },
  {
    name: 'the primary ends in order and is started again',
    policy: 'hybrid',
    // Killed, it would be refused on its own directory whenever a replica has a record more.
    fault: (world) => async (trouble) => {
      await trouble.killServer('SIGTERM');
      return world.place;
    },
  },
  {
    name: 'the primary hangs, a replica takes over, the primary comes back',
    policy: 'durably-replicated',
    fault: (world) => async (trouble) => {
      process.kill(trouble.serverPid, 'SIGSTOP');
      const next = await failover(world, { takeOver: true });
      return {
        ...next,
        oldStays: true,
        async afterwards(old) {
          process.kill(old.serverPid, 'SIGCONT');
          if ((await old.serverEnds()) === 0)
            throw new Error('the server that was superseded ended as if all was well');
        },
      };
    },
  },
];

/** Servers, and how the example's server is told of them. */
export async function natsWorld() {
  const top = mkdtempSync(join(tmpdir(), 'ackgate-nats-faults-'));
  const server = await startNatsServer({ jetstream: true });
  const replicas = [];
  const close = async () => {
    for (const replica of replicas) await replica.close();
    await server.close();
    rmSync(top, { recursive: true, force: true });
  };
  try {
    for (const name of ['replica1', 'replica2']) {
      const proxy = await LoopbackProxy.start(server.port);
      replicas.push(new ReplicaProcess(name, join(top, name), proxy));
    }
    await Promise.all(replicas.map((replica) => replica.start()));
  } catch (error) {
    await close();
    throw error;
  }
  const directory = join(top, 'primary');
  mkdirSync(directory);
  const names = replicas.map(({ name }) => name);
  const storage = {
    engine: 'nats',
    servers: [server.url],
    cluster: clusterName,
    node: 'primary',
    replicas: names,
  };
  const world = { server, replicas, top, close, place: { directory, storage } };
  return {
    ...world,
    /** Every replica that runs has everything up to there. */
    async check(lastSequence) {
      const wrong = [];
      await caughtUp(server, replicas.filter(({ running }) => running).length, lastSequence);
      for (const replica of replicas) {
        if (!replica.running) continue;
        await replica.end('SIGTERM');
        const journal = await FileJournal.open({ directory: replica.directory });
        let last = 0;
        for (const { sequence } of journal.replay()) {
          if (sequence !== last + 1) wrong.push(`${replica.name} has ${sequence} behind ${last}`);
          last = sequence;
        }
        if (last < lastSequence) wrong.push(`${replica.name} has ${last} of ${lastSequence} sequences`);
        await journal.close();
      }
      return wrong;
    },
  };
}

/** Waits until so many replicas have everything, or are late: which of them is told by who looks into their files. */
async function caughtUp(server, count, lastSequence) {
  const deadline = performance.now() + boundMs;
  const has = ({ last }) => last >= lastSequence;
  for (let ready = 0; ready < count && performance.now() < deadline; ) {
    const { replicas } = await natsStandings({ servers: [server.url], cluster: clusterName });
    ready = replicas.filter(has).length;
  }
}

class ReplicaProcess {
  running = false;
  #child = null;
  #ended = null;

  constructor(name, directory, proxy) {
    this.name = name;
    this.directory = directory;
    this.proxy = proxy;
  }

  async start() {
    const servers = `nats://127.0.0.1:${this.proxy.port}`;
    const args = ['replica', '--name', this.name, '--directory', this.directory, '--servers', servers];
    const child = fork(main, [...args, '--cluster', clusterName, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said = (said + chunk).slice(-4000);
    });
    this.#child = child;
    this.running = true;
    this.#ended = once(child, 'exit').then(() => {
      this.running = false;
    });
    const started = await Promise.race([
      once(child.stdout, 'data').then(() => true),
      this.#ended.then(() => false),
    ]);
    if (!started) throw new Error(`${this.name} did not start: ${said}`);
    child.stdout.resume();
  }

  signal(signal) {
    this.#child.kill(signal);
  }

  async end(signal) {
    if (this.running) this.signal(signal);
    await this.#ended;
  }

  async close() {
    await this.end('SIGKILL');
    await this.proxy.close();
  }
}

/** One of two goes away for a second, and is back in the end: the other one is enough for most policies. */
function leavesAndReturns(leave, comeBack) {
  return async (trouble) => {
    await leave();
    await sleep(1500);
    await comeBack();
    await trouble.until(({ connectedNodes }) => connectedNodes === 3, 'the replica is back in the view');
  };
}

async function gateCloses(trouble) {
  await trouble.until(({ policyDegraded }) => policyDegraded === 1, 'the policy is not met any more');
}

/** The replica that has most becomes the primary; the other one follows it. */
async function failover({ replicas, place, server }, options = {}) {
  const lasts = [];
  for (const replica of replicas) {
    await replica.end('SIGTERM');
    const journal = await FileJournal.open({ directory: replica.directory });
    lasts.push(journal.lastSequence);
    await journal.close();
  }
  const [next, other] = lasts[0] >= lasts[1] ? replicas : [replicas[1], replicas[0]];
  await other.start();
  const storage = {
    ...place.storage,
    servers: [server.url],
    node: next.name,
    replicas: [other.name],
    ...options,
  };
  return { directory: next.directory, storage };
}
