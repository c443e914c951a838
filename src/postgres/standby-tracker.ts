import type { CursorFrame } from '../gate/cursor-frame.js';
import type { LsnMap } from './lsn-map.js';
import type { PostgresStandby } from './options.js';

/** A row of `pg_stat_replication`, as it is polled. */
export interface StandbyRow {
  readonly name: string;
  /** Process and start of its walsender: tells one connection of the standby from the next one. */
  readonly connection: string;
  /** Positions up to which it has written and flushed the log, null: it has not said yet. */
  readonly written: number | null;
  readonly flushed: number | null;
  /** When it last said anything, by its own clock; only compared with itself. */
  readonly replied: string | null;
}

/** What a poll means for the stage. */
export interface Observation {
  readonly frames: readonly CursorFrame[];
  /** Standbys that are not there any more, or are there anew without a word, or of which it can't be told which one they are. */
  readonly gone: readonly string[];
  /** Names that have just been found twice. */
  readonly doubled: readonly string[];
  /** Whether some standby that is alive lacks something that is known to be committed. */
  readonly isBehind: boolean;
}

interface Standby {
  readonly node: PostgresStandby;
  /** Null: not there. */
  connection: string | null;
  epoch: number;
  isDoubled: boolean;
  /** Everything it says, to see whether it says anything new. */
  said: string;
  saidAt: number;
  inMemory: number;
  persisted: number;
  framedAt: number;
}

/** One that lacks something and says nothing for so long is not waited for any more. */
const quietMs = 100;
/** A frame that only says that the standby is alive is made no more often. */
const heartbeatMs = 20;

/**
 * Makes cursor frames of what the primary says about its standbys.
 *
 * A standby counts as alive while it says something new, or has everything: a row whose standby hangs stays in the view
 * for as long as `wal_sender_timeout`, and a frame made of it would pass for a sign of life.
 */
export class StandbyTracker {
  readonly #standbys: Map<string, Standby>;

  /** `epochBase`: frames have epochs above it. */
  constructor(standbys: readonly PostgresStandby[], epochBase: number) {
    const blank = { connection: null, epoch: epochBase, isDoubled: false, said: '', saidAt: 0 };
    const cursors = { inMemory: 0, persisted: 0, framedAt: 0 };
    this.#standbys = new Map(standbys.map((node) => [node.name, { node, ...blank, ...cursors }]));
  }

  /** @param at milliseconds, later than at the poll before */
  observe(rows: readonly StandbyRow[], map: LsnMap, at: number): Observation {
    const frames: CursorFrame[] = [];
    const gone: string[] = [];
    const doubled: string[] = [];
    let isBehind = false;
    for (const standby of this.#standbys.values()) {
      const own = rows.filter(({ name }) => name === standby.node.name);
      if (own.length > 1 && !standby.isDoubled) doubled.push(standby.node.name);
      standby.isDoubled = own.length > 1;
      if (own.length !== 1) {
        if (standby.connection !== null) gone.push(standby.node.name);
        standby.connection = null;
        continue;
      }
      const before = standby.connection;
      const frame = frameOf(standby, own[0], map, at);
      // Another connection, which has not said anything: what the one before has said is void all the same.
      const isMute = frame === null && before !== null && before !== standby.connection;
      if (isMute) gone.push(standby.node.name);
      if (frame !== null) frames.push(frame);
      if (standby.persisted < map.lastSequence && at - standby.saidAt < quietMs) isBehind = true;
    }
    return { frames, gone, doubled, isBehind };
  }
}

function frameOf(standby: Standby, row: StandbyRow, map: LsnMap, at: number): CursorFrame | null {
  const { connection, written, flushed, replied } = row;
  const isNew = connection !== standby.connection;
  if (isNew) {
    // Nothing of the connection before holds: it may have lost what it had only in memory.
    standby.connection = connection;
    standby.epoch++;
    standby.said = '';
    standby.saidAt = at;
  }
  if (written === null || flushed === null) return null;
  const said = `${written} ${flushed} ${replied}`;
  const isFirst = standby.said === '';
  if (said !== standby.said) {
    standby.said = said;
    standby.saidAt = at;
  }
  const persisted = map.upTo(flushed);
  const inMemory = Math.max(persisted, map.upTo(written));
  const moved = isFirst || persisted !== standby.persisted || inMemory !== standby.inMemory;
  const isAlive = standby.saidAt === at || persisted >= map.lastSequence;
  if (!moved && !(isAlive && at - standby.framedAt >= heartbeatMs)) return null;
  standby.inMemory = inMemory;
  standby.persisted = persisted;
  standby.framedAt = at;
  const { name, zone } = standby.node;
  const frame = { node: name, epoch: standby.epoch, inMemory, persisted, at };
  return zone === undefined ? frame : { ...frame, zone };
}
