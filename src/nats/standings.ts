import { checkKeys } from '../shared/checks.js';
import { connectNats } from './connect.js';
import { moreUpToDate } from './history.js';
import { subjectsOf } from './messages.js';
import { askEverybody } from './office.js';
import { checkClusterName } from './options.js';
import { checkServers, type NatsServers, serverOptionNames } from './servers.js';

/** How far a replica's journal goes. */
export interface NatsStanding {
  /** Name of the replica. */
  readonly node: string;
  /** Its failure zone; null: it stands alone. */
  readonly zone: string | null;
  /** Term in which its last record was written; 0: it has none. */
  readonly lastTerm: number;
  /** Sequence of its last record; 0: it has none. */
  readonly lastSequence: number;
  /** No other replica that answered has more: make it the primary when there is none. Several may be equal. */
  readonly isFurthest: boolean;
}

/** How far everybody in a cluster is: what `natsStandings` finds. */
export interface NatsStandings {
  /** Who is in office, or null. */
  readonly primary: {
    /** Name of its node. */
    readonly node: string;
    /** Its term of office. */
    readonly term: number;
    /** Highest sequence that it has given out. */
    readonly lastSequence: number;
  } | null;
  /** All replicas that answered, the furthest first. */
  readonly replicas: readonly NatsStanding[];
}

/**
 * Asks a cluster who is primary and how far each replica is. What does not answer within 300 ms is not in it, as long as
 * the server answers.
 *
 * @throws ERR_ACKGATE_NATS_UNREACHABLE, ERR_ACKGATE_NATS_CREDENTIALS, ERR_ACKGATE_PEER_MISSING,
 *   ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION
 */
export async function natsStandings(
  options: NatsServers & { readonly cluster: string },
): Promise<NatsStandings> {
  checkKeys('options', options, [...serverOptionNames, 'cluster']);
  const servers = await checkServers(options);
  const cluster = checkClusterName(options.cluster);
  const nats = await connectNats(servers, `ackgate ${cluster} standings`);
  try {
    const { primaries, standings } = await askEverybody(nats, subjectsOf(cluster));
    const [primary = null] = [...primaries].sort((a, b) => b.term - a.term);
    const ends = standings.map(({ lastTerm, last }) => ({ term: lastTerm, last }));
    const replicas = standings
      .map(({ node, zone, lastTerm, last }) => ({
        node,
        zone,
        lastTerm,
        lastSequence: last,
        isFurthest: !ends.some((end) => moreUpToDate(end, { term: lastTerm, last })),
      }))
      .sort(
        (a, b) => b.lastTerm - a.lastTerm || b.lastSequence - a.lastSequence || (a.node < b.node ? -1 : 1),
      );
    return {
      primary: primary && { node: primary.node, term: primary.term, lastSequence: primary.last },
      replicas,
    };
  } finally {
    await nats.connection.close();
  }
}
