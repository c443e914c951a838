// NATS without Ackgate: orders are published as they come, replicas append them to a journal of their own and publish how far
// they have them. The primary has a journal on disk, too.
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { FileJournal } from '#ackgate/journal/index.js';
import { startChild } from './child.mjs';
import { appendTo, orderBytes } from './load.mjs';

const orders = Buffer.alloc(1024 * orderBytes, 0x2a);

/** Two processes; they stay while primaries come and go. */
export async function startBareReplicas(url, directory) {
  const children = [0, 1].map(() => startChild('./bare-nats-replica.mjs'));
  try {
    for (const [i, child] of children.entries()) {
      await child.ask('open', { url, index: i, directory: join(directory, `bare-replica-${i}`) });
    }
  } catch (error) {
    await Promise.all(children.map((child) => child.close()));
    throw error;
  }
  return {
    first: children[0],
    close: () => Promise.all(children.map((child) => child.close())),
  };
}

export async function startBareNats({ url, directory, replicas, run }, moved) {
  const connection = await connect({ servers: url });
  const journal = await FileJournal.open({ directory: join(directory, `bare-primary-${run}`) });
  const positions = { primary: 0, replicas: [0, 1].map(() => ({ inMemory: 0, persisted: 0 })) };
  // What replicas count from is what they had when this primary came.
  const bases = await Promise.all(
    [0, 1].map(async (i) => (await connection.request(`bare.base.${i}`)).json()),
  );
  let isPersisting = false;
  let pushed = 0;
  let groups = 0;
  const payload = orders.subarray(0, orderBytes);
  connection.subscribe('bare.ack', {
    callback(_, { data }) {
      const view = new DataView(data.buffer, data.byteOffset, data.length);
      const [index, inMemory, persisted] = [0, 8, 16].map((at) => view.getFloat64(at, true));
      const replica = positions.replicas[index];
      replica.inMemory = Math.max(replica.inMemory, inMemory - bases[index]);
      replica.persisted = Math.max(replica.persisted, persisted - bases[index]);
      moved(positions);
    },
  });
  async function persist() {
    isPersisting = true;
    while (positions.primary < pushed) {
      await journal.whenPersisted(positions.primary + 1);
      positions.primary = journal.primaryCursor;
      groups++;
      moved(positions);
    }
    isPersisting = false;
  }
  await connection.flush();
  return {
    push(count) {
      for (let i = 0; i < count; i++) appendTo(journal, payload);
      pushed += count;
      connection.publish('bare.batch', orders.subarray(0, count * orderBytes));
      if (!isPersisting) persist().catch(fail);
    },
    groups: () => groups,
    replica: () => replicas.first.ask('measured'),
    async close() {
      await connection.close();
      await journal.close();
    },
  };
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
