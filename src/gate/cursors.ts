import { AckgateError, AckgateRangeError } from '../errors.js';
import { MAX_CLUSTER_SIZE } from '../policy/index.js';
import { sequenceError } from '../ring/producer.js';
import { checkKeys } from '../shared/checks.js';
import type { Clock } from '../shared/clock.js';
import { issuedLine } from '../shared/memory.js';
import type { CursorFrame, IngestResult, NodeStatus } from './cursor-frame.js';
import type { CursorLines } from './cursor-lines.js';
import { FrameIntake } from './frame-intake.js';
import type { FrameLines } from './frame-lines.js';
import type { NodeNames } from './node-names.js';

/** What the cursors need from the stage that they belong to. */
export interface CursorContext {
  readonly lines: CursorLines;
  readonly frames: FrameLines;
  readonly names: NodeNames;
  /** When frames come. */
  readonly clock: Clock;
  /** Highest wire sequence that was published. */
  highestPublished(): number;
  /** Wakes the stage if it sleeps. */
  wake(): void;
}

/** The primary's own place in the journal. One writer: whoever learns that `fdatasync` has returned. */
export class PrimaryCursor {
  readonly #context: CursorContext;

  /** @internal Use `Cursors.primary`. */
  constructor(context: CursorContext) {
    this.#context = context;
  }

  /** Highest sequence on the primary's disk. */
  get persisted(): number {
    return this.#context.lines.read(0).persisted;
  }

  /**
   * Everything up to `seq` is on the primary's disk.
   *
   * @param seq wire sequence, 0 … 2^53-1, never lower than before
   * @throws ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_CURSOR_REGRESSED
   */
  advance(seq: number): void {
    checkSequence('seq', seq);
    const { lines } = this.#context;
    const { persisted } = lines.read(0);
    if (seq < persisted) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_CURSOR_REGRESSED',
        `the primary's cursor can't go back from ${persisted} to ${seq}: has the stage another journal than this one?`,
      );
    }
    lines.write(0, seq, seq);
    this.#context.wake();
  }

  /**
   * The journal has given out sequences up to `seq`. Only needed where replicas can have a sequence on disk before
   * its response was published: it is what a connecting replica is compared with.
   *
   * @throws ERR_ACKGATE_SEQUENCE
   */
  issued(seq: number): void {
    checkSequence('seq', seq);
    const { lines } = this.#context;
    if (seq > lines.read(issuedLine).persisted) lines.write(issuedLine, seq, seq);
  }
}

/** One replica's place in the primary's journal. One writer. */
export class ConnectionCursor {
  /** Name of the node. */
  readonly name: string;
  readonly #context: CursorContext;
  readonly #line: number;
  #retired = false;

  /** @internal Use `Cursors.node`. */
  constructor(context: CursorContext, name: string, line: number) {
    this.#context = context;
    this.name = name;
    this.#line = line;
  }

  /** Whether it is in the view. */
  get connected(): boolean {
    return !this.#retired && this.#context.lines.isActive(this.#line);
  }

  /**
   * Takes the replica into the view.
   *
   * @param seed.persisted highest sequence on the replica's disk in this primary's history
   * @throws ERR_ACKGATE_REPLICA_AHEAD if the primary never issued that sequence: the replica has a tail of another
   *   history, which must be cut first. ERR_ACKGATE_CLUSTER_FULL, ERR_ACKGATE_SEQUENCE, ERR_ACKGATE_UNKNOWN_OPTION,
   *   ERR_ACKGATE_INVALID_ARGUMENT
   */
  connect(seed: { persisted: number }): void {
    checkKeys('seed', seed, ['persisted']);
    const { persisted } = seed;
    checkSequence('persisted', persisted);
    const { lines, names } = this.#context;
    if (this.#retired || names.name(this.#line) !== this.name) throw this.#notConnected('was retired');
    const issued = highestIssued(this.#context);
    if (persisted > issued) {
      throw new AckgateError(
        'ERR_ACKGATE_REPLICA_AHEAD',
        `node "${this.name}" has ${persisted} on disk, but the primary has issued only ${issued}: ` +
          'its tail is from another history and must be cut before it connects',
      );
    }
    if (!lines.isActive(this.#line)) checkRoom(this.#context);
    // A second connect without a disconnect is a new connection: the old cursors must not outlive it.
    if (lines.isActive(this.#line)) lines.deactivate(this.#line);
    lines.activate(this.#line, persisted);
    this.#context.wake();
  }

  /**
   * Moves one cursor or both; neither ever goes back while connected.
   *
   * @throws ERR_ACKGATE_CURSOR_NOT_CONNECTED, ERR_ACKGATE_CURSOR_REGRESSED, ERR_ACKGATE_SEQUENCE
   */
  advance(to: { inMemory?: number; persisted?: number }): void {
    const { lines } = this.#context;
    const now = lines.read(this.#line);
    if (to?.inMemory === undefined && to?.persisted === undefined) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'advance() needs inMemory, persisted or both');
    }
    const { inMemory = now.inMemory, persisted = now.persisted } = to;
    checkSequence('inMemory', inMemory);
    checkSequence('persisted', persisted);
    if (this.#retired) throw this.#notConnected('was retired');
    if (!now.active) throw this.#notConnected('is not connected');
    if (inMemory < now.inMemory) throw regressed('inMemory', inMemory, now.inMemory, `node "${this.name}"`);
    if (persisted < now.persisted)
      throw regressed('persisted', persisted, now.persisted, `node "${this.name}"`);
    lines.write(this.#line, inMemory, persisted);
    this.#context.wake();
  }

  /** Takes the replica out of the view. Does nothing when it is not in it. */
  disconnect(): void {
    if (!this.connected) return;
    this.#context.lines.deactivate(this.#line);
    this.#context.wake();
  }

  /** Disconnects for good and frees the name, for a node that will not come back. Other objects for this node must not be used any more. */
  retire(): void {
    if (this.#retired) return;
    this.disconnect();
    this.#retired = true;
    const { lines, names } = this.#context;
    names.remove(this.#line, () => lines.assign(this.#line, -1));
  }

  #notConnected(why: string): AckgateError {
    return new AckgateError('ERR_ACKGATE_CURSOR_NOT_CONNECTED', `node "${this.name}" ${why}`);
  }
}

/** The cursors of a stage, on any thread. */
export class Cursors {
  /** The primary's own cursor. A journal that drives the stage moves it. */
  readonly primary: PrimaryCursor;
  readonly #context: CursorContext;
  readonly #intake: FrameIntake;

  /** @internal A stage has them: `Stage.cursors`. */
  constructor(context: CursorContext) {
    this.#context = context;
    this.primary = new PrimaryCursor(context);
    this.#intake = new FrameIntake(context);
  }

  /**
   * The cursor of a replica, by name; a new name adds a node, which is not connected yet.
   *
   * @param options.zone its failure zone, for policies that count zones; fixed once given
   * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_CLUSTER_FULL
   */
  node(name: string, options: { readonly zone?: string } = {}): ConnectionCursor {
    const { lines, names } = this.#context;
    // A zone that got lost in a slip of the pen would let one rack count as two.
    checkKeys('node options', options, nodeKeys);
    const line = names.findOrAdd(name, options.zone, (added, zoneId) => lines.assign(added, zoneId));
    if (line === 0) {
      throw new AckgateError(
        'ERR_ACKGATE_INVALID_ARGUMENT',
        `node name "${name}" is the primary's; use cursors.primary`,
      );
    }
    return new ConnectionCursor(this.#context, name, line);
  }

  /**
   * Takes what a node says of itself, and with it the node into the view; its silence takes it out again (the stage's
   * option `staleAfterMs`). A new name adds a node. For nodes that are not moved by `connect` and `advance`; frames of
   * one node are taken by one thread at a time.
   *
   * A frame that throws changes nothing.
   *
   * @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_SEQUENCE for
   *   a frame that is none, another zone than before, or the primary's name; ERR_ACKGATE_CLUSTER_FULL
   */
  ingest(frame: CursorFrame): IngestResult {
    return this.#intake.ingest(frame);
  }

  /** Every node that has a name, connected or not, without the primary. */
  nodes(): NodeStatus[] {
    return this.#intake.nodes();
  }
}

const nodeKeys = ['zone'];

/** Highest sequence that the primary has given out, as far as it has said so. */
export function highestIssued({ lines, highestPublished }: CursorContext): number {
  return Math.max(lines.read(0).persisted, lines.read(issuedLine).persisted, highestPublished());
}

/** @throws ERR_ACKGATE_CLUSTER_FULL if no further node can be connected */
export function checkRoom({ lines, names }: CursorContext): void {
  let connected = 0;
  for (let line = 0; line < names.count; line++) if (lines.isActive(line)) connected++;
  if (connected < MAX_CLUSTER_SIZE) return;
  throw new AckgateError('ERR_ACKGATE_CLUSTER_FULL', `${MAX_CLUSTER_SIZE} nodes are connected already`);
}

function checkSequence(name: string, value: unknown): asserts value is number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw sequenceError(name, value);
}

function regressed(cursor: string, to: number, from: number, who: string): AckgateRangeError {
  return new AckgateRangeError(
    'ERR_ACKGATE_CURSOR_REGRESSED',
    `${cursor} cursor of ${who} can't go back from ${from} to ${to}; disconnect() and connect() again`,
  );
}
