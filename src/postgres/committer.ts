import type { Connection } from './connection.js';
import type { Group } from './group-reader.js';
import { parseLsn } from './lsn-map.js';

/** Writes groups, one at a time, and says where in the log each one ends. */
export class Committer {
  readonly #connection: Connection;
  readonly #generation: number;
  readonly #insertText: string;

  constructor(connection: Connection, schema: string, generation: number) {
    this.#connection = connection;
    this.#generation = generation;
    // The lock keeps whoever takes over waiting until this is committed: so it is either there for him to see, or not written.
    this.#insertText = `insert into "${schema}".journal (first, last, records)
      select $2::bigint, $3::bigint, $4::bytea
      from (select from "${schema}".generation where generation = $1::bigint for share) as mine`;
  }

  /**
   * Resolves, once the group is on the server's disk, to a position in its log at or past the end of the commit; null
   * when the generation is not in force any more: nothing was written. Whatever is thrown leaves open which it was.
   * How long it may take is for the caller to decide.
   */
  async commit(first: number, { count, records }: Group): Promise<number | null> {
    const values = [this.#generation, first, first + count - 1, records];
    // Two questions in one turn. The second is answered after the commit of the first: asked for inside of the
    // transaction, the position would be one before its commit record.
    const [inserted, log] = await Promise.all([
      this.#connection.prepared('insert', this.#insertText, values, 0),
      this.#connection.prepared('log', 'select pg_current_wal_flush_lsn()::text as position', [], 0),
    ]);
    return inserted.rowCount === 1 ? parseLsn(log.rows[0].position as string) : null;
  }
}
