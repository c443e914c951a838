import { AckgateError } from '../errors.js';
import type { CursorFrame } from '../gate/cursor-frame.js';
import type { OpenedStage } from '../stage/open-stage.js';
import { openSame } from './identity.js';
import { LsnMap } from './lsn-map.js';
import type { LogLine } from './messages.js';
import type { Opening } from './opening.js';
import type { CheckedJournalOptions } from './options.js';
import { type Polled, Poller } from './poller.js';
import { type StandbyRow, StandbyTracker } from './standby-tracker.js';

/** Standbys that come and go so often within one generation would meet the epochs of the next one. */
const epochsPerGeneration = 2 ** 24;
/** A standby that was named and has not been seen for so long may have another name. */
const unseenMs = 2000;

export interface ReplicationOptions {
  readonly opening: Opening;
  readonly journal: CheckedJournalOptions;
  readonly log: (level: LogLine['level'], fields: object, message: string) => void;
  /** The generation on our own server is another one. */
  readonly superseded: (generation: number) => void;
  /** The address of our own server leads to another one. */
  readonly replaced: (reason: string) => void;
}

/** Turns what the primary says about its standbys into the stage's cursors of them. */
export class Replication {
  readonly #options: ReplicationOptions;
  readonly #map = new LsnMap();
  readonly #tracker: StandbyTracker;
  readonly #poller: Poller;
  #stage: OpenedStage | null = null;
  #isUnheard = false;
  /** Named standbys that were never there; null: there is nothing more to say about them. */
  #unseen: Set<string> | null;
  readonly #begunAt = performance.now();
  /** Standbys whose frames the stage does not take, as logged. */
  readonly #refused = new Set<string>();

  constructor(options: ReplicationOptions) {
    const { opening, journal } = options;
    const { standbys, servers, node } = journal;
    this.#options = options;
    this.#tracker = new StandbyTracker(standbys, opening.office.generation * epochsPerGeneration);
    this.#unseen = new Set(standbys.map(({ name }) => name));
    this.#poller = new Poller({
      schema: servers.schema,
      // The log of another server is another one, though it has generations and standbys of the same names.
      connect: () =>
        openSame(opening.server, opening.identity, { applicationName: `ackgate ${node} cursors` }),
      polled: (polled) => this.#polled(polled),
      failed: (error, reason) => this.#failed(error, reason),
    });
  }

  /** From now on the standbys' cursors are this stage's. Throws what the stage throws. */
  drive(stage: OpenedStage): void {
    // So that they are seen to be missing, too.
    for (const { name } of this.#options.journal.standbys) this.#cursor(stage, name);
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
    this.#lookForUnseen(rows);
    const stage = this.#stage;
    if (stage === null) return false;
    for (const name of gone) this.#tell(name, () => this.#cursor(stage, name).disconnect());
    for (const frame of frames) this.#tell(frame.node, () => this.#ingest(stage, frame));
    return isBehind;
  }

  #cursor(stage: OpenedStage, name: string) {
    const { zone } = this.#options.journal.standbys.find((one) => one.name === name)!;
    return stage.cursors.node(name, zone === undefined ? {} : { zone });
  }

  #ingest(stage: OpenedStage, frame: CursorFrame): void {
    if (stage.cursors.ingest(frame) !== 'ahead' || this.#refused.has(frame.node)) return;
    this.#refused.add(frame.node);
    this.#options.log('error', { ...frame }, 'a standby claims what was never issued: it does not count');
  }

  /** What one standby does to the stage is no reason to leave out the others. */
  #tell(node: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      if (this.#refused.has(node)) return;
      this.#refused.add(node);
      const { code, message } = error as AckgateError;
      this.#options.log(
        'error',
        { node, code, reason: message },
        'the stage does not take a standby: it does not count',
      );
    }
  }

  /** A name that is misspelt shows only in that nothing is ever released. */
  #lookForUnseen(rows: readonly StandbyRow[]): void {
    const unseen = this.#unseen;
    if (unseen === null) return;
    for (const { name } of rows) unseen.delete(name);
    if (unseen.size === 0) this.#unseen = null;
    else if (performance.now() - this.#begunAt < unseenMs) return;
    const named = new Set(this.#options.journal.standbys.map(({ name }) => name));
    const streaming = [...new Set(rows.map(({ name }) => name))];
    // While none streams that was not named, those that are missing are simply away.
    if (this.#unseen === null || streaming.every((name) => named.has(name))) return;
    this.#unseen = null;
    this.#options.log(
      'warn',
      { missing: [...unseen], streaming },
      'a standby was named that is not there, while others stream: is the name right?',
    );
  }

  #failed(error: unknown, reason: string): void {
    if (error instanceof AckgateError && error.code === 'ERR_ACKGATE_SUPERSEDED') {
      this.#options.replaced(reason);
      return;
    }
    if (this.#isUnheard) return;
    this.#isUnheard = true;
    this.#options.log(
      'warn',
      { reason },
      "can't ask how far the standbys are: nothing that needs them is released",
    );
  }
}
