import { CursorLines } from '../../gate/cursor-lines.js';
import type { ConnectionCursor } from '../../gate/cursors.js';
import { nodeLines } from '../../shared/memory.js';
import { SimulatedJournal } from '../cluster/journal.js';
import { SimulatedReplica } from '../cluster/replica.js';
import { exponential } from '../distributions.js';
import type { ModelNode } from '../model/policy-model.js';
import type { ScenarioNode } from '../scenario.js';
import { Mark } from '../trace.js';
import type { WorldParts } from './parts.js';

/**
 * Does a change of a cursor line in the stage's memory, and the same to the model. The world may stop in the middle of
 * the first. `connects`: a replica is taken into the view, which is rare and looks at more before it writes.
 */
export type CursorWrite = (write: () => void, remember: () => void, connects?: boolean) => void;

interface Member {
  readonly index: number;
  readonly replica: SimulatedReplica;
  readonly cursor: ConnectionCursor;
  readonly node: ModelNode;
  lost: boolean;
}

/** The primary's journal and the replicas, and their cursors in the stage's memory. */
export class Members {
  readonly journal: SimulatedJournal;
  readonly #parts: WorldParts;
  readonly #members: Member[];
  /** Replicas that were refused because of their tail. */
  refused = 0;
  readonly #write: CursorWrite;
  readonly #whenAwake: (happening: () => void) => void;
  readonly #lines: CursorLines;

  /** `whenAwake` lets something happen while the stage is awake. */
  constructor(parts: WorldParts, write: CursorWrite, whenAwake: (happening: () => void) => void) {
    const { scenario, timeline, random } = parts;
    this.#parts = parts;
    this.#write = write;
    this.#whenAwake = whenAwake;
    this.#lines = new CursorLines(parts.memory.buffer, nodeLines + 1);
    const sync = exponential(scenario.primarySyncNs / 2, scenario.primarySyncNs / 2);
    this.journal = new SimulatedJournal(
      { timeline, random: random.fork(), sync, onPersisted: (seq) => this.#persisted(seq) },
      scenario.firstSeq,
    );
    this.#persisted(scenario.firstSeq);
    parts.view.cursors.primary.issued(scenario.firstSeq);
    this.#members = scenario.nodes.map((node, index) => this.#member(node, index + 1));
    for (const member of this.#members) this.#connect(member, scenario.firstSeq);
  }

  /** An order has got its sequence. */
  append(seq: number): void {
    // Before anybody can have it on disk.
    this.#parts.view.cursors.primary.issued(seq);
    this.journal.append(seq);
    for (const { replica } of this.#members) replica.send(seq);
  }

  /** Troubles with the disk and the network, until faults stop. */
  start(): void {
    const { scenario, timeline, random, faults } = this.#parts;
    // Mostly while orders come: trouble in an idle cluster shows little.
    const untilNs = timeline.nowNs + scenario.orders * scenario.orderGapNs;
    const gapNs = () => {
      const busyNs =
        timeline.nowNs < untilNs ? scenario.orders * scenario.orderGapNs : Number.POSITIVE_INFINITY;
      return Math.ceil(random.exponential(Math.min(scenario.troubleNs, busyNs) / 10));
    };
    const turn = () => {
      if (faults.calm) return;
      if (faults.strikes('journal-stall')) this.journal.stall(random.magnitude(1e5, 5e7));
      if (faults.strikes('journal-error')) this.journal.failNext();
      for (const member of this.#members) this.#trouble(member);
      timeline.after(gapNs(), turn);
    };
    timeline.after(gapNs(), turn);
  }

  /** Everybody is connected again and gets what is missing. */
  heal(): void {
    for (const member of this.#members) {
      if (!member.node.connected) this.#connect(member, member.replica.persisted);
      member.replica.send(this.journal.appended);
    }
  }

  /** True while some line is being written. */
  get isLocked(): boolean {
    for (let line = 0; line <= this.#members.length; line++) {
      if ((this.#lines.version(line) & 1) !== 0) return true;
    }
    return false;
  }

  #member({ zone, networkNs, syncNs, ackDelayNs }: ScenarioNode, index: number): Member {
    const { timeline, random, view, model } = this.#parts;
    const name = `replica-${index}`;
    const cursor = view.cursors.node(name, zone === null ? {} : { zone });
    const node = model.nodes[index];
    const network = exponential(networkNs / 2, networkNs / 2);
    const replica = new SimulatedReplica({
      timeline,
      random: random.fork(),
      toReplica: network,
      toPrimary: network,
      sync: exponential(syncNs / 2, syncNs / 2),
      ackDelayNs,
      onAck: (inMemory, persisted) => {
        this.#write(
          () => cursor.advance({ inMemory, persisted }),
          () => {
            node.inMemory = inMemory;
            node.persisted = persisted;
          },
        );
        this.#parts.trace.note(Mark.cursor, index, inMemory, persisted);
      },
    });
    return { index, replica, cursor, node, lost: false };
  }

  #persisted(seq: number): void {
    const { view, model, trace } = this.#parts;
    this.#write(
      () => view.cursors.primary.advance(seq),
      () => {
        model.nodes[0].persisted = seq;
      },
    );
    trace.note(Mark.cursor, 0, seq);
  }

  #trouble(member: Member): void {
    const { random, faults, timeline, scenario } = this.#parts;
    if (!member.node.connected) return;
    const away = () => {
      this.#disconnect(member);
      const ns = member.lost
        ? Number.POSITIVE_INFINITY
        : random.magnitude(10_000, scenario.troubleNs / (random.chance(0.5) ? 2 : 50));
      if (ns === Number.POSITIVE_INFINITY) return;
      timeline.after(Math.ceil(ns), () => {
        this.#whenAwake(() => {
          if (!member.node.connected) this.#comeBack(member);
        });
      });
    };
    if (faults.strikes('replica-lost', 0.3)) {
      member.lost = true;
      away();
    } else if (faults.strikes('replica-flap', 10)) away();
  }

  /** What it has on disk may be less than before, or something that the primary has never issued. */
  #comeBack(member: Member): void {
    const { random, faults } = this.#parts;
    const { replica } = member;
    if (faults.strikes('replica-behind', 10)) {
      replica.restart(Math.max(this.#parts.scenario.firstSeq, replica.persisted - random.between(0, 20)));
    } else replica.restart(replica.persisted);
    if (faults.strikes('foreign-tail', 3) && this.#foreignTailCounts(member)) return;
    this.#connect(member, replica.persisted);
    replica.send(this.journal.appended);
  }

  /**
   * A tail of another history must be refused, and is cut then. A stage that takes it counts on what nobody has: to the
   * model the replica is there with what it really has.
   */
  #foreignTailCounts({ cursor, replica, node, index }: Member): boolean {
    const { random, trace } = this.#parts;
    const tail = this.journal.appended + random.between(1, 1000);
    try {
      cursor.connect({ persisted: tail });
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_ACKGATE_REPLICA_AHEAD') throw error;
      this.refused++;
      return false;
    }
    trace.note(Mark.cursor, index, tail, 3);
    node.connected = true;
    node.inMemory = replica.persisted;
    node.persisted = replica.persisted;
    return true;
  }

  #connect(member: Member, persisted: number): void {
    const { replica, cursor, node } = member;
    if (replica.persisted < persisted) replica.restart(persisted);
    replica.connect();
    this.#write(
      () => cursor.connect({ persisted }),
      () => {
        node.connected = true;
        node.inMemory = persisted;
        node.persisted = persisted;
      },
      true,
    );
    this.#parts.trace.note(Mark.cursor, member.index, persisted, 1);
  }

  #disconnect(member: Member): void {
    const { replica, cursor, node } = member;
    replica.disconnect();
    this.#write(
      () => cursor.disconnect(),
      () => {
        node.connected = false;
        node.inMemory = 0;
        node.persisted = 0;
      },
    );
    this.#parts.trace.note(Mark.cursor, member.index, 0, 2);
  }
}
