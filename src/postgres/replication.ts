import type { OpenedStage } from '../stage/open-stage.js';
import { Connection } from './connection.js';
import { LsnMap } from './lsn-map.js';
import type { LogLine } from './messages.js';
import type { Opening } from './opening.js';
import type { CheckedJournalOptions } from './options.js';
import { type Polled, Poller } from './poller.js';
import { StandbyTracker } from './standby-tracker.js';

/** Standbys that come and go so often within one generation would meet the epochs of the next one. */
const epochsPerGeneration = 2 ** 24;
const answerMs = 5000;

export interface ReplicationOptions {
  readonly opening: Opening;
  readonly journal: CheckedJournalOptions;
  readonly log: (level: LogLine['level'], fields: object, message: string) => void;
  /** The generation on our own server is another one. */
  readonly superseded: (generation: number) => void;
}

/** Turns what the primary says about its standbys into the stage's cursors of them. */
export class Replication {
  readonly #options: ReplicationOptions;
  readonly #map = new LsnMap();
  readonly #tracker: StandbyTracker;
  readonly #poller: Poller;
  #stage: OpenedStage | null = null;
  #isUnheard = false;

  constructor(options: ReplicationOptions) {
    const { opening, journal } = options;
    const { standbys, servers, node } = journal;
    this.#options = options;
    this.#tracker = new StandbyTracker(standbys, opening.office.generation * epochsPerGeneration);
    this.#poller = new Poller({
      schema: servers.schema,
      names: standbys.map(({ name }) => name),
      connect: () =>
        Connection.open(opening.server, { applicationName: `ackgate ${node} cursors`, answerMs }),
      polled: (polled) => this.#polled(polled),
      failed: (reason) => this.#failed(reason),
    });
  }

  /** From now on the standbys' cursors are this stage's. Throws what the stage throws. */
  drive(stage: OpenedStage): void {
    // So that they are seen to be missing, too.
    for (const { name, zone } of this.#options.journal.standbys) {
      stage.cursors.node(name, zone === undefined ? {} : { zone });
    }
    this.#stage = stage;
  }

  /** Everything up to `sequence` was committed before this position of the log. */
  committed(sequence: number, position: number): void {
    this.#map.add(sequence, position);
    if (this.#options.journal.standbys.length > 0) this.#poller.wake();
  }

  /** Nothing that comes now counts any more. */
  stop(): void {
    this.#stage = null;
  }

  end(): Promise<void> {
    this.stop();
    return this.#poller.end();
  }

  #polled({ generation, rows }: Polled): boolean {
    const { office } = this.#options.opening;
    if (generation !== office.generation) {
      this.#options.superseded(generation);
      return false;
    }
    if (this.#isUnheard) this.#options.log('info', {}, 'the standbys are heard of again');
    this.#isUnheard = false;
    // With a fraction: several polls happen within a millisecond.
    const at = performance.timeOrigin + performance.now();
    const { frames, gone, doubled, isBehind } = this.#tracker.observe(rows, this.#map, at);
    for (const node of doubled) {
      this.#options.log('warn', { node }, 'two standbys have the same name: neither counts');
    }
    const stage = this.#stage;
    if (stage === null) return false;
    for (const name of gone) stage.cursors.node(name).disconnect();
    for (const frame of frames) {
      if (stage.cursors.ingest(frame) !== 'ahead') continue;
      this.#options.log('error', { ...frame }, 'a standby claims what was never issued: it does not count');
    }
    return isBehind;
  }

  #failed(reason: string): void {
    if (this.#isUnheard) return;
    this.#isUnheard = true;
    this.#options.log(
      'warn',
      { reason },
      'can not ask how far the standbys are: nothing that needs them is released',
    );
  }
}
