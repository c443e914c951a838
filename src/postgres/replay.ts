import { AckgateError } from '../errors.js';
import type { JournalRecord } from '../journal/journal.js';
import type { ServerSettings } from './client.js';
import type { Connection } from './connection.js';
import { connectError } from './fault.js';
import { unpack } from './group-reader.js';
import { openSame } from './identity.js';

/** So many rows are held at once, and none but the first beyond so many bytes: a row has a MiB, or one batch. */
const rowsAtOnce = 8;
const bytesAtOnce = 4 * 1024 * 1024;
/** For a row that is as large as they get. */
const answerTimeoutMs = 60_000;

interface JournalRow {
  first: string;
  last: string;
  records: Buffer;
}

/** The records from `from` to `last`, read a few rows at a time on a connection of its own. */
export async function* replay(
  server: ServerSettings,
  identity: string,
  schema: string,
  from: number,
  last: number,
): AsyncIterableIterator<JournalRecord> {
  if (from > last) return;
  const connection = await open(server, identity);
  try {
    let next = from;
    while (next <= last) {
      const rows = await rowsFrom(connection, schema, next, last).catch((error) => {
        throw connectError(error, server);
      });
      if (rows.length === 0) throw damaged(server, `sequence ${next} is missing`);
      for (const { first, last: rowLast, records } of rows) {
        if (Number(first) > next)
          throw damaged(server, `sequences ${next} to ${Number(first) - 1} are missing`);
        for (const record of recordsOf(server, Number(first), Number(rowLast), records)) {
          if (record.sequence < next) continue;
          if (record.sequence > last) return;
          next = record.sequence + 1;
          yield record;
        }
      }
    }
  } finally {
    await connection.end();
  }
}

async function open(server: ServerSettings, identity: string): Promise<Connection> {
  try {
    return await openSame(server, identity, { applicationName: 'ackgate replay' });
  } catch (error) {
    throw connectError(error, server);
  }
}

async function rowsFrom(connection: Connection, schema: string, next: number, last: number) {
  const { rows } = await connection.prepared(
    'replay',
    `select first, last, records from (
        select *, sum(octet_length(records)) over (order by first) - octet_length(records) as before from (
          select first, last, records from "${schema}".journal
      where first >= coalesce((select max(first) from "${schema}".journal where first <= $1::bigint), $1::bigint)
        and first <= $2::bigint and last >= $1::bigint
      order by first limit ${rowsAtOnce}) rows) rows
      where before < ${bytesAtOnce} order by first`,
    [next, last],
    answerTimeoutMs,
  );
  return rows as unknown as JournalRow[];
}

function* recordsOf(server: ServerSettings, first: number, last: number, records: Buffer) {
  try {
    yield* unpack(first, last, records);
  } catch (error) {
    throw damaged(server, (error as Error).message);
  }
}

function damaged(server: ServerSettings, what: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_JOURNAL_DAMAGED', `journal on ${server.label}: ${what}`);
}
