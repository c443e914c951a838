import { AckgateError } from '../errors.js';
import type { Connection } from './connection.js';
import { codeOf } from './fault.js';

/** Of the tables; a server that has another one is left alone. */
const schemaFormat = 1;

/** Tells about changes of `kept_text`; the payload is the row's name. */
export const channelOf = (schema: string): string => `${schema}_kept_text`;

/** A number that stands for the schema in advisory locks, which belong to the database. */
export const lockClass = (schema: string): string => `hashtext('ackgate journal ${schema}')`;

/** Longer than it takes to make the tables. */
const makingMs = 5000;

/**
 * Makes the tables, or finds them made.
 *
 * @throws ERR_ACKGATE_POSTGRES_SCHEMA when what is there is not ours, or of another format;
 *   ERR_ACKGATE_POSTGRES_CREDENTIALS when the role may not make them; ERR_ACKGATE_JOURNAL_LOCKED when another session is at
 *   it and does not end
 */
export async function ensureSchema(connection: Connection, schema: string): Promise<void> {
  if (await isMade(connection, schema)) return;
  // Of two that find nothing, the second one waits here and then finds what the first has made.
  await connection.query('begin');
  try {
    await connection.query(`set local lock_timeout = '${makingMs}ms'`);
    await connection.query(`select pg_advisory_xact_lock(${lockClass(schema)}, 0)`, [], 2 * makingMs);
    if (!(await isMade(connection, schema))) await connection.query(createText(schema), [], 3 * makingMs);
    await connection.query('commit');
  } catch (error) {
    await connection.query('rollback').catch(() => {});
    const code = codeOf(error);
    if (code === '42501') throw await mayNotMake(connection, schema);
    throw code === '55P03' ? beingMade(connection, schema) : error;
  }
}

async function mayNotMake(connection: Connection, schema: string): Promise<AckgateError> {
  const { rows } = await connection.query('select current_user as who, current_database() as database');
  const { who, database } = rows[0];
  return new AckgateError(
    'ERR_ACKGATE_POSTGRES_CREDENTIALS',
    `the role ${who} may not make the tables in schema "${schema}" on ${connection.server.label}: grant create on ` +
      `database "${database}" to "${who}", or make the schema with "${who}" as its owner`,
  );
}

function beingMade(connection: Connection, schema: string): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_JOURNAL_LOCKED',
    `another session makes the tables in schema "${schema}" on ${connection.server.label} and does not end: look for ` +
      'it in pg_locks, and end it with pg_terminate_backend',
  );
}

/** The row is made with the table; without it, nobody can tell which generation is in force. */
export function noGeneration(connection: Connection, schema: string): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_POSTGRES_SCHEMA',
    `the table "${schema}".generation on ${connection.server.label} has lost its row: restore it, with a generation ` +
      'that is higher than any before',
  );
}

/** Whether our tables are there; throws when others are. */
export async function isMade(connection: Connection, schema: string): Promise<boolean> {
  const { rows } = await connection.query(
    `select to_regclass('"${schema}".meta') is not null as meta,
      exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1) as others`,
    [schema],
  );
  const { meta, others } = rows[0] as { meta: boolean; others: boolean };
  if (!meta && !others) return false;
  const format = meta ? await formatOf(connection, schema) : null;
  if (format === schemaFormat) return true;
  const found =
    format === 'none'
      ? 'a table "meta" without its row'
      : format === null
        ? "tables that are not Ackgate's"
        : `tables of format ${format}`;
  throw new AckgateError(
    'ERR_ACKGATE_POSTGRES_SCHEMA',
    `schema "${schema}" on ${connection.server.label} has ${found}; this version needs format ${schemaFormat}: ` +
      'name another schema, or use the version that made them',
  );
}

async function formatOf(connection: Connection, schema: string): Promise<number | 'none' | null> {
  try {
    const { rows } = await connection.query(`select format from "${schema}".meta`);
    return rows.length === 0 ? 'none' : Number(rows[0].format);
  } catch {
    // A table `meta` of somebody else's.
    return null;
  }
}

function createText(schema: string): string {
  const s = `"${schema}"`;
  return `
do $do$ begin
  if not exists (select from pg_catalog.pg_namespace where nspname = '${schema}') then create schema ${s}; end if;
end $do$;
create table ${s}.meta (format int not null);
insert into ${s}.meta values (${schemaFormat});
create table ${s}.generation (
  only_row boolean primary key default true check (only_row),
  generation bigint not null, node text not null, taken_at timestamptz not null default now());
insert into ${s}.generation (generation, node) values (0, '');
create table ${s}.journal (
  first bigint primary key, last bigint not null check (last >= first), records bytea not null);
alter table ${s}.journal alter column records set storage external;
comment on table ${s}.journal is 'A row for each group; the view "records" has a row for each record.';
create function ${s}.unpack(first bigint, records bytea)
  returns table (sequence bigint, goes_on boolean, payload bytea) language plpgsql immutable strict as $f$
declare
  at int := 1;
  size int;
begin
  sequence := first;
  while at <= length(records) loop
    size := ((get_byte(records, at - 1) & 127) << 24) | (get_byte(records, at) << 16)
      | (get_byte(records, at + 1) << 8) | get_byte(records, at + 2);
    goes_on := get_byte(records, at - 1) > 127;
    payload := substring(records from at + 4 for size);
    return next;
    sequence := sequence + 1;
    at := at + 4 + size;
  end loop;
end $f$;
create view ${s}.records as
  select r.sequence, r.goes_on, r.payload from ${s}.journal g cross join lateral ${s}.unpack(g.first, g.records) r;
create table ${s}.kept_text (name text primary key, revision bigint not null, text text not null);
create function ${s}.tell_kept_text() returns trigger language plpgsql as $f$
begin
  perform pg_notify('${channelOf(schema)}', coalesce(new.name, old.name));
  return null;
end $f$;
create trigger tell after insert or update or delete on ${s}.kept_text
  for each row execute function ${s}.tell_kept_text();`;
}
