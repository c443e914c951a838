// Which client the PostgreSQL journal is built on, and how it lays out its rows: what the commit of one group takes
// (1, 64 and 1024 records of 64 bytes, a row for each record or one for the group, the position in the write-ahead log
// asked for in the same turn), and how often `pg_stat_replication` can be asked. Needs PostgreSQL; starts servers of its
// own on loopback unless it is given one.
//
//   node bench/26-postgres-clients.mjs [--json] [--smoke] [--url postgres://…]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import postgres from 'postgres';
import { machine, spread } from './support/rounds.mjs';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const rounds = smoke ? 2 : 15;
const sizes = [1, 64, 1024];
const commitsOf = { 1: smoke ? 20 : 200, 64: smoke ? 10 : 100, 1024: smoke ? 3 : 30 };
const polls = smoke ? 50 : 500;
const schema = 'ackgate_bench';

const pollText =
  'select pid, backend_start::text as started, application_name, state, write_lsn, flush_lsn, reply_time::text ' +
  'as replied, (select generation from ackgate_bench.generation) from pg_stat_replication';
const guard = 'from (select from ackgate_bench.generation where generation = $1::bigint for share) as mine';
const rowsText = `insert into ackgate_bench.per_record (sequence, payload) select rows.* ${guard}, unnest($2::bigint[], $3::bytea[]) as rows`;
const groupText = `insert into ackgate_bench.per_group (first, last, records) select $2::bigint, $3::bigint, $4::bytea ${guard}`;
const lsnText = 'select pg_current_wal_flush_lsn() as lsn';

const payload = Buffer.alloc(64, 0x2a);
let sequence = 0;

function records(count) {
  const first = sequence + 1;
  sequence += count;
  return { first, count, payloads: Array.from({ length: count }, () => payload) };
}

function packed({ payloads }) {
  const bytes = Buffer.allocUnsafe(payloads.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = 0;
  for (const one of payloads) {
    bytes.writeUInt32BE(one.length, at);
    bytes.set(one, at + 4);
    at += 4 + one.length;
  }
  return bytes;
}

const sequencesOf = ({ first, count }) => Array.from({ length: count }, (_, i) => first + i);

// This client takes an array of buffers only as text.
const arrayText = (values) => `{${values.join(',')}}`;
const hexText = (bytes) => `"\\\\x${bytes.toString('hex')}"`;

async function clientPg(url) {
  const client = new pg.Client({ connectionString: url, pipeline: true });
  await client.connect();
  await client.query('set synchronous_commit = local');
  const both = async (name, text, values) => {
    const insert = client.query({ name, text, values });
    const [done, lsn] = await Promise.all([insert, client.query({ name: 'lsn', text: lsnText })]);
    if (done.rowCount < 1 || !/^[0-9A-F]+\/[0-9A-F]+$/.test(lsn.rows[0].lsn))
      throw new Error('nothing was written');
  };
  return {
    rows: (r) => both('rows', rowsText, [1, sequencesOf(r), r.payloads]),
    group: (r) => both('group', groupText, [1, r.first, r.first + r.count - 1, packed(r)]),
    poll: async () => (await client.query({ name: 'poll', text: pollText })).rows.length,
    run: (text) => client.query(text),
    end: () => client.end(),
  };
}

async function clientPostgres(url) {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { synchronous_commit: 'local' } });
  const both = async (text, values) => {
    const insert = sql.unsafe(text, values, { prepare: true });
    const [done, lsn] = await Promise.all([insert, sql.unsafe(lsnText, [], { prepare: true })]);
    if (done.count < 1 || !/^[0-9A-F]+\/[0-9A-F]+$/.test(lsn[0].lsn)) throw new Error('nothing was written');
  };
  return {
    rows: (r) => both(rowsText, [1, arrayText(sequencesOf(r)), arrayText(r.payloads.map(hexText))]),
    group: (r) => both(groupText, [1, r.first, r.first + r.count - 1, packed(r)]),
    poll: async () => (await sql.unsafe(pollText, [], { prepare: true })).length,
    run: (text) => sql.unsafe(text),
    end: () => sql.end(),
  };
}

async function timed(times, run) {
  const began = performance.now();
  for (let i = 0; i < times; i++) await run();
  return ((performance.now() - began) * 1000) / times;
}

async function measure(url) {
  const clients = { pg: await clientPg(url), postgres: await clientPostgres(url) };
  const samples = {};
  try {
    await clients.pg.run(`drop schema if exists ${schema} cascade; create schema ${schema};
      create table ${schema}.generation (generation bigint not null); insert into ${schema}.generation values (1);
      create table ${schema}.per_record (sequence bigint primary key, payload bytea not null);
      create table ${schema}.per_group (first bigint primary key, last bigint not null, records bytea not null);
      alter table ${schema}.per_group alter column records set storage external`);
    const variants = {};
    for (const [name, client] of Object.entries(clients)) {
      for (const size of sizes) {
        for (const shape of ['rows', 'group']) {
          variants[`${name}, ${shape}, ${size}`] = () =>
            timed(commitsOf[size], () => client[shape](records(size)));
        }
      }
      variants[`${name}, poll`] = () => timed(polls, client.poll);
    }
    // In turn, so that what else the machine does falls on all of them alike; the first round only warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [name, run] of Object.entries(variants)) {
        const us = await run();
        if (round > 0) samples[name] = [...(samples[name] ?? []), us];
      }
    }
    await clients.pg.run(`drop schema ${schema} cascade`);
  } finally {
    await Promise.all(Object.values(clients).map((client) => client.end()));
  }
  return Object.entries(samples).map(([name, us]) => ({ name, unit: 'us', ...spread(us) }));
}

async function withServers(use) {
  const at = process.argv.indexOf('--url');
  if (at !== -1) return use(process.argv[at + 1]);
  const { startPostgresCluster } = await import('../dist/local-cluster/postgres.js');
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-bench-'));
  const cluster = await startPostgresCluster({ directory, standbys: 2 });
  try {
    return await use(cluster.urls[0]);
  } finally {
    await cluster.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const results = await withServers(measure);
if (json) {
  console.log(JSON.stringify({ bench: 'postgres', machine: machine(), smoke, rounds, results }));
} else {
  const { node, kernel, cpu, cpus } = machine();
  console.log(`${rounds} rounds in turn: median (quartiles), microseconds`);
  console.log(`Node ${node}, Linux ${kernel}, ${cpu}, ${cpus} CPUs\n`);
  for (const { name, median, low, high } of results) {
    console.log(
      `${name.padEnd(26)}${median.toFixed(0).padStart(8)} (${low.toFixed(0)} – ${high.toFixed(0)})`,
    );
  }
}
