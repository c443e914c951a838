import { AckgateError } from '../errors.js';
import type { AskedServer, PostgresStanding } from './standing.js';

/** What decides between several servers that take writes: the one promoted last; of one history, the one taken last. */
export interface Claim {
  readonly timeline: number | null;
  readonly generation: number | null;
}

/** Above 0 when `a` is the primary rather than `b`. */
export function compareClaims(a: Claim, b: Claim): number {
  return (a.timeline ?? 0) - (b.timeline ?? 0) || (a.generation ?? 0) - (b.generation ?? 0);
}

/**
 * The server that is the primary.
 *
 * @throws ERR_ACKGATE_POSTGRES_CREDENTIALS, _UNREACHABLE, _VERSION, _SCHEMA, _STANDBY; ERR_ACKGATE_SUPERSEDED when it can't
 *   be told which one it is; ERR_ACKGATE_INVALID_ARGUMENT when two of them are one
 */
export function choosePrimary(asked: readonly AskedServer[]): PostgresStanding {
  const errors = asked.flatMap((one) => ('error' in one ? [one.error] : []));
  // One that is away will be back; what else there is wrong with a server would show after a failover only.
  const wrong = errors.find(({ code }) => code !== 'ERR_ACKGATE_POSTGRES_UNREACHABLE');
  if (wrong !== undefined) throw wrong;
  const standings = asked.flatMap((one) => ('standing' in one ? [one.standing] : []));
  if (standings.length === 0) {
    const reasons = errors.map(({ message }) => message).join('; ');
    throw new AckgateError('ERR_ACKGATE_POSTGRES_UNREACHABLE', `no server answers: ${reasons}`);
  }
  const primaries = standings.filter(({ isPrimary }) => isPrimary).sort((a, b) => compareClaims(b, a));
  if (primaries.length === 0) throw onlyStandbys(standings, errors);
  throwIfTwice(standings);
  const [first, second] = primaries;
  if (second !== undefined && compareClaims(first, second) === 0) throw twoPrimaries(first, second);
  return first;
}

/** Highest generation that any server knows of. */
export function highestGeneration(asked: readonly AskedServer[]): number {
  return asked.reduce((most, one) => Math.max(most, ('standing' in one && one.standing.generation) || 0), 0);
}

/**
 * Whether the one that was chosen may be opened, by what the others say.
 *
 * @throws ERR_ACKGATE_SUPERSEDED, ERR_ACKGATE_POSTGRES_UNSAFE, ERR_ACKGATE_CLOCK_SKEW
 */
export function checkStandings(
  chosen: PostgresStanding,
  asked: readonly AskedServer[],
  clockSkewMsMax: number,
): void {
  for (const one of asked) {
    if (!('standing' in one)) continue;
    const { server, isPrimary, fsync, clockSkewMs, generation } = one.standing;
    // One that takes writes came before the chosen one, whatever its generation. But the journal must be there.
    const most =
      isPrimary && chosen.generation !== null ? Number.POSITIVE_INFINITY : (chosen.generation ?? 0);
    if ((generation ?? 0) > most) {
      throw new AckgateError(
        'ERR_ACKGATE_SUPERSEDED',
        `${server} has generation ${generation} of the journal, but ${chosen.server}, which takes writes, only ` +
          `${chosen.generation ?? 0}: it is not the primary any more, or not yet`,
      );
    }
    if (!fsync) {
      throw new AckgateError(
        'ERR_ACKGATE_POSTGRES_UNSAFE',
        `PostgreSQL server ${server} runs with fsync off: what it calls durable is not`,
      );
    }
    if (Math.abs(clockSkewMs) > clockSkewMsMax) {
      throw new AckgateError(
        'ERR_ACKGATE_CLOCK_SKEW',
        `the clock of ${server} is ${millisecondsOf(Math.abs(clockSkewMs))} ms ` +
          `${clockSkewMs > 0 ? 'ahead of' : 'behind'} ours; clockSkewMsMax is ${clockSkewMsMax}`,
      );
    }
  }
}

/** @throws ERR_ACKGATE_REPLICA_AHEAD when a standby has more of the journal than its primary, with `last` as its last */
export function checkNoneAhead(chosen: PostgresStanding, last: number, asked: readonly AskedServer[]): void {
  for (const one of asked) {
    if (!('standing' in one)) continue;
    const { server, isPrimary, lastSequence } = one.standing;
    if (isPrimary || lastSequence <= last) continue;
    throw new AckgateError(
      'ERR_ACKGATE_REPLICA_AHEAD',
      `the standby ${server} has the journal up to ${lastSequence}, ${chosen.server}, which takes writes, only up ` +
        `to ${last}: stop ${chosen.server} and promote ${server}`,
    );
  }
}

const millisecondsOf = (ms: number): string => (ms < 1 ? 'less than 1' : String(Math.round(ms)));

/** Of one server under two names, either would watch itself and find a rival. */
function throwIfTwice(standings: readonly PostgresStanding[]): void {
  for (const [i, { server, identity }] of standings.entries()) {
    const other = standings.slice(0, i).find((one) => one.identity === identity);
    if (other === undefined) continue;
    throw new AckgateError(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `servers: ${other.server} and ${server} are one server: name each server once, by an address of its own`,
    );
  }
}

function onlyStandbys(standings: readonly PostgresStanding[], errors: readonly AckgateError[]): AckgateError {
  const names = standings.map(({ server }) => server).join(', ');
  const others = errors.map(({ message }) => `; ${message}`).join('');
  return new AckgateError(
    'ERR_ACKGATE_POSTGRES_STANDBY',
    `only standbys were found (${names}): none of the servers takes writes${others}`,
  );
}

function twoPrimaries(a: PostgresStanding, b: PostgresStanding): AckgateError {
  return new AckgateError(
    'ERR_ACKGATE_SUPERSEDED',
    `both ${a.server} and ${b.server} take writes, on timeline ${a.timeline} and in generation ${a.generation ?? 0}: ` +
      'stop the one that is not to be the primary',
  );
}
