import { CursorLines } from '../../gate/cursor-lines.js';
import { nodeLines } from '../../shared/memory.js';
import { SimulatedJournal } from '../cluster/journal.js';
import { exponential } from '../distributions.js';
import { Mark } from '../trace.js';
import { FrameMember } from './frame-member.js';
import type { CursorWrite, Member, MemberContext } from './member.js';
import type { WorldParts } from './parts.js';
import { ToldMember } from './told-member.js';

/** The primary's journal and the replicas, and their cursors in the stage's memory. */
export class Members {
  readonly journal: SimulatedJournal;
  readonly #parts: WorldParts;
  readonly #members: Member[];
  readonly #write: CursorWrite;
  readonly #lines: CursorLines;

  constructor(parts: WorldParts, context: Omit<MemberContext, 'journal' | 'isLocked'>) {
    const { scenario, timeline, random } = parts;
    this.#parts = parts;
    this.#write = context.write;
    this.#lines = new CursorLines(parts.memory.buffer, nodeLines + 1);
    const sync = exponential(scenario.primarySyncNs / 2, scenario.primarySyncNs / 2);
    this.journal = new SimulatedJournal(
      { timeline, random: random.fork(), sync, onPersisted: (seq) => this.#persisted(seq) },
      scenario.firstSeq,
    );
    this.#persisted(scenario.firstSeq);
    parts.view.cursors.primary.issued(scenario.firstSeq);
    const shared = { ...context, journal: this.journal, isLocked: () => this.isLocked };
    this.#members = scenario.nodes.map((node, index) => {
      return new (node.frames ? FrameMember : ToldMember)(parts, shared, node, index + 1);
    });
    for (const member of this.#members) if (member instanceof ToldMember) member.connect(scenario.firstSeq);
  }

  /** An order has got its sequence. */
  append(seq: number): void {
    // Before anybody can have it on disk.
    this.#parts.view.cursors.primary.issued(seq);
    this.journal.append(seq);
    for (const member of this.#members) member.send(seq);
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
      for (const member of this.#members) member.trouble();
      timeline.after(gapNs(), turn);
    };
    timeline.after(gapNs(), turn);
  }

  /** Everybody is connected again and gets what is missing. */
  heal(): void {
    for (const member of this.#members) member.heal();
  }

  /** Nodes are silent for so long that the stage may take them out of the view at any moment. */
  get someoneFades(): boolean {
    return this.#members.some((member) => member instanceof FrameMember && member.fades);
  }

  /** One of them says something after all. */
  speakUp(): boolean {
    return this.#members.some((member) => member instanceof FrameMember && member.speakUp());
  }

  /** A node has fallen silent, and the stage slept on. */
  get sleptOver(): boolean {
    return this.#members.some((member) => member instanceof FrameMember && member.sleptOver);
  }

  /** True while some line is being written. */
  get isLocked(): boolean {
    for (let line = 0; line <= this.#parts.scenario.nodes.length; line++) {
      if ((this.#lines.version(line) & 1) !== 0) return true;
    }
    return false;
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
}
