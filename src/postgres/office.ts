import { setTimeout as passed } from 'node:timers/promises';
import { AckgateError } from '../errors.js';
import type { Connection } from './connection.js';
import { codeOf } from './fault.js';
import { lockClass, noGeneration } from './schema.js';

/** The journal as whoever took it has found it. */
export interface Office {
  readonly generation: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

export interface OfficeOptions {
  readonly schema: string;
  readonly node: string;
  readonly takeOver: boolean;
  /** Of a journal that is new. */
  readonly firstSequence: number;
  /** Highest generation that was seen anywhere: the one that is taken is higher. */
  readonly above: number;
  /** Looks at the journal's last sequence and throws when it must not be taken: nothing is changed then. */
  readonly check: (lastSequence: number) => void;
}

/** The session of a process that has just died may take a moment to be gone. */
const lockWaitMs = 1000;
const lockLookMs = 50;
/** Longer than any commit of a holder that is alive takes. */
const commitWaitMs = 5000;

/**
 * Takes the journal: counts the generation up, so that no other writer's commits go through any more. The connection
 * then holds an advisory lock that stands for the generation, by which others see that its holder is alive.
 *
 * @throws ERR_ACKGATE_JOURNAL_LOCKED, whatever `check` throws
 */
export async function takeOffice(connection: Connection, options: OfficeOptions): Promise<Office> {
  const { schema } = options;
  for (;;) {
    const seen = await generationOf(connection, schema);
    const isFree = await tryLock(connection, schema, seen.generation, options.takeOver ? 0 : lockWaitMs);
    if (!isFree && !options.takeOver) throw locked(connection, seen.node);
    // Whoever fails has his connection ended, and with it the lock.
    const office = await begin(connection, options, seen.generation);
    if (isFree) await connection.query(`select pg_advisory_unlock(${lockOf(schema, seen.generation)})`);
    if (office !== null) return office;
  }
}

/** Null: somebody else took it in the meantime. */
async function begin(connection: Connection, options: OfficeOptions, seen: number): Promise<Office | null> {
  const { schema, node, check } = options;
  await connection.query('begin');
  try {
    await connection.query(`set local lock_timeout = '${commitWaitMs}ms'`);
    // Waits for a commit of the holder that is under way, and holds up any later one, which then finds another generation.
    const { generation } = await generationOf(connection, schema, 'for update');
    const { first, last } = await bounds(connection, options);
    check(last);
    const mine = Math.max(generation, options.above) + 1;
    if (generation === seen) {
      await connection.query(`select pg_advisory_lock(${lockOf(schema, mine)})`);
      const text = `update "${schema}".generation set generation = $1, node = $2, taken_at = clock_timestamp()`;
      await connection.query(text, [mine, node]);
    }
    await connection.query('commit');
    return generation === seen ? { generation: mine, firstSequence: first, lastSequence: last } : null;
  } catch (error) {
    await connection.query('rollback').catch(() => {});
    throw codeOf(error) === '55P03' ? stuck(connection, schema) : error;
  }
}

async function generationOf(connection: Connection, schema: string, clause = '') {
  const { rows } = await connection.query(
    `select generation, node from "${schema}".generation ${clause}`,
    [],
    2 * commitWaitMs,
  );
  if (rows.length === 0) throw noGeneration(connection, schema);
  const { generation, node } = rows[0] as { generation: string; node: string };
  return { generation: Number(generation), node };
}

async function bounds(connection: Connection, { schema, firstSequence }: OfficeOptions) {
  const { rows } = await connection.query(
    `select min(first) as first, (select last from "${schema}".journal order by first desc limit 1) as last
      from "${schema}".journal`,
  );
  const { first, last } = rows[0] as { first: string | null; last: string | null };
  return { first: Number(first ?? firstSequence), last: Number(last ?? firstSequence - 1) };
}

async function tryLock(connection: Connection, schema: string, generation: number, waitMs: number) {
  const giveUpAt = performance.now() + waitMs;
  for (;;) {
    const { rows } = await connection.query(
      `select pg_try_advisory_lock(${lockOf(schema, generation)}) as taken`,
    );
    if (rows[0].taken === true) return true;
    if (performance.now() >= giveUpAt) return false;
    await passed(lockLookMs);
  }
}

const lockOf = (schema: string, generation: number): string =>
  `${lockClass(schema)}, ${1 + (generation % 0x7fffffff)}`;

function locked(connection: Connection, holder: string): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_JOURNAL_LOCKED',
    `the journal on ${connection.server.label} is open in "${holder}"; end that one, or set takeOver to supersede it`,
  );
}

function stuck(connection: Connection, schema: string): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_JOURNAL_LOCKED',
    `a session on ${connection.server.label} holds the row of "${schema}".generation and does not end: look for it in ` +
      'pg_locks, and end it with pg_terminate_backend',
  );
}
