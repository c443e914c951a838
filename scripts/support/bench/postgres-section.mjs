import { list, paragraphs, spread, table } from './format.mjs';

/** What the page says about the clients that the journal on PostgreSQL could use. */
export function postgres(result) {
  const figures = new Map(list(result.results).map((one) => [one.name, one]));
  const commits = [1, 64, 1024].flatMap((size) =>
    [
      ['rows', 'a row for each record'],
      ['group', 'a row for the group'],
    ].map(([shape, words]) => [
      `commit of ${size} ${size === 1 ? 'record' : 'records'}, ${words}`,
      ...['pg', 'postgres'].map((client) => spread(figures.get(`${client}, ${shape}, ${size}`))),
    ]),
  );
  const polls = ['pg', 'postgres'].map((client) => spread(figures.get(`${client}, poll`)));
  return paragraphs(
    'The two clients for PostgreSQL, and the two ways to lay a group out, in µs: records of 64 bytes, committed with `synchronous_commit = local` and the position in the log asked for in the same turn; and one question about the standbys. The journal uses `pg`, and a row for each group.',
    table(['what', '>`pg`', '>`postgres`'], [...commits, ['asking how far the standbys are', ...polls]]),
  );
}
