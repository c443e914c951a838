// PostgreSQL without Ackgate: the same client commits whatever has come since its last turn as one row, and a second
// connection asks again and again how far the standbys have the log.
import pg from 'pg';
import { parseLsn } from '#ackgate/postgres/lsn-map.js';
import { orderBytes } from './load.mjs';

const insertText = 'insert into bare.journal (first, last, records) values ($1, $2, $3)';
const lsnText = 'select pg_current_wal_flush_lsn()::text as lsn';
const pollText =
  'select application_name as name, write_lsn::text as written, flush_lsn::text as flushed from pg_stat_replication ' +
  'where application_name = any($1)';
const groupMax = 4096;

export async function startBarePostgres({ url, standbys }, moved) {
  const open = async () => {
    const client = new pg.Client({ connectionString: url, pipeline: true });
    client.on('error', fail);
    await client.connect();
    return client;
  };
  const [writer, poller] = [await open(), await open()];
  await writer.query('set synchronous_commit = local');
  await writer.query(`drop schema if exists bare cascade; create schema bare;
    create table bare.journal (first bigint primary key, last bigint not null, records bytea not null);
    alter table bare.journal alter column records set storage external`);
  const records = Buffer.alloc(groupMax * (orderBytes + 4), 0x2a);
  const positions = { primary: 0, replicas: standbys.map(() => ({ inMemory: 0, persisted: 0 })) };
  /** Sequences, and where the log ends that has them. */
  const ends = [];
  let pushed = 0;
  let groups = 0;
  let isCommitting = false;
  let isOver = false;
  let wake = () => {};

  async function commit() {
    isCommitting = true;
    while (positions.primary < pushed) {
      const orders = Math.min(groupMax, pushed - positions.primary);
      const last = positions.primary + orders;
      const values = [positions.primary + 1, last, records.subarray(0, orders * (orderBytes + 4))];
      const [, { rows }] = await Promise.all([
        writer.query({ name: 'insert', text: insertText, values }),
        writer.query({ name: 'lsn', text: lsnText }),
      ]);
      ends.push({ last, lsn: parseLsn(rows[0].lsn) });
      positions.primary = last;
      groups++;
      wake();
      moved(positions);
    }
    isCommitting = false;
  }

  async function poll() {
    while (!isOver) {
      const { rows } = await poller.query({ name: 'poll', text: pollText, values: [standbys] });
      for (const { name, written, flushed } of rows) {
        const replica = positions.replicas[standbys.indexOf(name)];
        replica.inMemory = upTo(written, replica.inMemory);
        replica.persisted = upTo(flushed, replica.persisted);
      }
      const least = Math.min(...positions.replicas.map(({ persisted }) => persisted));
      while (ends.length > 0 && ends[0].last <= least) ends.shift();
      moved(positions);
      if (ends.length > 0 || isOver) continue;
      await new Promise((woken) => {
        wake = woken;
      });
    }
  }
  const upTo = (lsn, known) => {
    if (lsn === null) return known;
    const position = parseLsn(lsn);
    let last = known;
    for (const end of ends) {
      if (end.lsn > position) break;
      last = Math.max(last, end.last);
    }
    return last;
  };
  const polling = poll();
  polling.catch(fail);
  return {
    push(orders) {
      pushed += orders;
      if (!isCommitting) commit().catch(fail);
    },
    groups: () => groups,
    async close() {
      isOver = true;
      wake();
      await polling;
      await writer.query('drop schema bare cascade');
      await Promise.all([writer.end(), poller.end()]);
    },
  };
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
