import type { CursorFrame } from '../../gate/cursor-frame.js';
import { FrameNode } from '../cluster/frame-node.js';
import { exponential } from '../distributions.js';
import { SimulationFailure } from '../failure.js';
import { FrameModel, type FrameVerdict } from '../model/frame-model.js';
import type { ModelNode } from '../model/policy-model.js';
import type { Random } from '../random.js';
import type { ScenarioNode } from '../scenario.js';
import { Mark } from '../trace.js';
import type { Member, MemberContext } from './member.js';
import type { WorldParts } from './parts.js';
import type { Fallback } from './reached.js';

/** Whoever finds a line locked looks again after this time. */
const lockedNs = 1_000;
/** A parked stage runs within this time of its deadline. */
const wakeNs = 1e6;
/** How an unusual frame is counted; one that is taken may be an event of its own. */
const ignored: Partial<Record<FrameVerdict, Fallback>> = {
  'stale-epoch': 'frame-stale-epoch',
  repeated: 'frame-repeated',
  ahead: 'frame-ahead',
};
const verdictMarks: Record<FrameVerdict, number> = { taken: 4, repeated: 5, 'stale-epoch': 6, ahead: 7 };

/** A replica that tells its cursors by frames, and leaves the view by its silence. */
export class FrameMember implements Member {
  readonly #parts: WorldParts;
  readonly #context: MemberContext;
  readonly #index: number;
  readonly #name: string;
  readonly #networkNs: number;
  readonly #random: Random;
  readonly #frameNode: FrameNode;
  readonly #node: ModelNode;
  readonly #model: FrameModel;
  /** Something is wrong with it just now; when it was arranged. */
  #away = false;
  #arranged = 0;
  /** What it has missed comes until then; only now what is new. */
  #caughtUpNs = 0;

  constructor(parts: WorldParts, context: MemberContext, described: ScenarioNode, index: number) {
    const { zone, networkNs, syncNs, ackDelayNs } = described;
    const { timeline, faults, scenario, model } = parts;
    this.#parts = parts;
    this.#context = context;
    this.#index = index;
    this.#name = `replica-${index}`;
    this.#networkNs = networkNs;
    this.#random = parts.random.fork();
    this.#node = model.nodes[index];
    this.#model = new FrameModel(this.#node, scenario.staleAfterNs);
    this.#frameNode = new FrameNode({
      name: this.#name,
      zone,
      timeline,
      random: this.#random.fork(),
      faults,
      network: exponential(networkNs / 2, networkNs / 2),
      sync: exponential(syncNs / 2, syncNs / 2),
      ackDelayNs,
      staleAfterNs: scenario.staleAfterNs,
      onReached: (epoch, inMemory, persisted) => this.#model.reached(epoch, inMemory, persisted),
      onFrame: (frame) => this.#arrived(frame),
    });
    this.#frameNode.begin(scenario.firstSeq);
  }

  send(seq: number): void {
    if (this.#parts.timeline.nowNs >= this.#caughtUpNs) this.#frameNode.replica.send(seq);
  }

  trouble(): void {
    const { faults } = this.#parts;
    if (this.#away) return;
    if (faults.strikes('replica-lost', 0.3)) {
      this.#away = true;
      this.#frameNode.die();
    } else if (faults.strikes('replica-flap', 10)) {
      if (this.#random.chance(0.6)) this.#restart();
      else this.#loseLink();
    } else if (faults.strikes('node-frozen', 10)) this.#freeze();
  }

  heal(): void {
    this.#arranged++;
    const node = this.#frameNode;
    if (this.#away && !node.replica.connected) node.begin(node.replica.persisted);
    else node.thaw();
    this.#away = false;
    this.#caughtUpNs = 0;
    this.send(this.#context.journal.appended);
  }

  get fades(): boolean {
    return this.#node.fadesNs <= this.#parts.timeline.nowNs;
  }

  /** In the middle of its silence, if there is any life in it. */
  speakUp(): boolean {
    const frame = this.fades ? this.#frameNode.say() : null;
    if (frame !== null) this.#ingest(frame);
    return frame !== null;
  }

  /** Sometimes its silence is noticed before. */
  #restart(): void {
    const { staleAfterNs } = this.#parts.scenario;
    this.#frameNode.die();
    const awayNs = this.#random.chance(0.3)
      ? staleAfterNs + this.#random.magnitude(1e6, staleAfterNs)
      : this.#awayNs();
    this.#later(awayNs, () => this.#comeBack());
  }

  /** Its adapter may notice; one that would have to wait for the stage, which stands still, does not. */
  #loseLink(): void {
    const { view, trace } = this.#parts;
    const { zone } = this.#node;
    this.#frameNode.cut();
    if (this.#random.chance(0.4) && !this.#context.isLocked()) {
      this.#observe();
      const cursor = view.cursors.node(this.#name, zone === null ? {} : { zone });
      this.#context.write(
        () => cursor.disconnect(),
        () => this.#model.leave(),
      );
      trace.note(Mark.cursor, this.#index, 0, 2);
    }
    this.#later(this.#awayNs(), () => {
      this.#frameNode.mend();
      this.#isBack();
    });
  }

  /** For longer than it may; its machine goes on, or it dies meanwhile. */
  #freeze(): void {
    const { staleAfterNs } = this.#parts.scenario;
    const node = this.#frameNode;
    node.freeze();
    const dies = this.#random.chance(0.3);
    if (dies) node.die();
    const longer = this.#random.chance(0.5)
      ? this.#random.between(1, 8) * staleAfterNs
      : this.#random.magnitude(1e5, staleAfterNs);
    this.#later(staleAfterNs + longer, () => {
      if (dies) this.#comeBack();
      else {
        node.thaw();
        this.#isBack();
      }
    });
  }

  /** With what it has on its disk, with less, or with a tail of another history, which is cut when it is refused. */
  #comeBack(): void {
    const { faults, scenario } = this.#parts;
    const node = this.#frameNode;
    let { persisted } = node.replica;
    if (faults.strikes('replica-behind', 10)) {
      persisted = Math.max(scenario.firstSeq, persisted - this.#random.between(0, 20));
    }
    if (!faults.strikes('foreign-tail', 10)) {
      node.begin(persisted);
      this.#isBack();
      return;
    }
    // It may have said what is true before.
    node.begin(persisted, this.#random.chance(0.5));
    node.tellForeignTail(this.#context.journal.appended);
    node.cut();
    this.#later(4 * this.#networkNs, () => {
      node.begin(persisted);
      this.#isBack();
    });
  }

  /** What it has missed is brought to it, which may take its time. */
  #isBack(): void {
    const { timeline, scenario } = this.#parts;
    this.#away = false;
    const ns = this.#random.magnitude(this.#random.chance(0.5) ? 1_000 : 1e6, scenario.staleAfterNs / 2);
    this.#caughtUpNs = timeline.nowNs + ns;
    timeline.at(this.#caughtUpNs, () => this.send(this.#context.journal.appended));
  }

  #awayNs(): number {
    const { troubleNs } = this.#parts.scenario;
    return Math.ceil(
      this.#random.magnitude(10_000, Math.max(10_000, troubleNs / (this.#random.chance(0.5) ? 2 : 50))),
    );
  }

  /** Until then it is away, unless all is made well before. */
  #later(ns: number, happening: () => void): void {
    this.#away = true;
    const arranged = ++this.#arranged;
    this.#parts.timeline.after(ns, () => {
      if (arranged === this.#arranged) happening();
    });
  }

  #arrived(frame: CursorFrame): void {
    const verdict = this.#model.verdict(frame, this.#context.journal.appended);
    this.#observe();
    // What is done to a stage that sleeps can't be seen half done.
    if (this.#model.connects(frame, verdict)) this.#context.whenAwake(() => this.#ingest(frame));
    else this.#ingest(frame);
  }

  #ingest(frame: CursorFrame): void {
    const { timeline, view, trace, model: clusterModel } = this.#parts;
    const { journal, write, isLocked, reach } = this.#context;
    const model = this.#model;
    const node = this.#node;
    if (isLocked()) {
      // The stage stands still inside; a thread would wait for it.
      timeline.after(lockedNs, () => this.#ingest(frame));
      return;
    }
    const { nowNs } = timeline;
    const verdict = model.verdict(frame, journal.appended);
    this.#observe();
    const connects = model.connects(frame, verdict);
    const wasThere = node.connected;
    const fading = wasThere && node.fadesNs <= nowNs;
    // Whether it goes on, or begins anew, would be up to which of two threads is first.
    const atOnce = fading && (frame.inMemory < node.inMemory || frame.persisted < node.persisted);
    let result: FrameVerdict | null = null;
    if (connects && wasThere) reach('node-reseeded');
    if (connects && frame.epoch === model.epoch) reach('node-back');
    write(
      () => {
        result = view.cursors.ingest(frame);
      },
      () => model.take(frame, verdict, nowNs),
      { connects, byFrame: true, noNews: !model.changes(frame, verdict), atOnce },
    );
    if (timeline.nowNs > nowNs) {
      // The stage went on in the middle of it, and may have come first.
      if (fading) clusterModel.silencesUnsure++;
      if (node.connected) model.heardUntil(timeline.nowNs);
    }
    const mark = ignored[verdict];
    if (mark !== undefined) reach(mark);
    if (verdict === 'ahead' && wasThere && !node.connected) reach('node-void');
    trace.note(Mark.cursor, this.#index, frame.persisted, verdictMarks[verdict]);
    if (result === verdict) return;
    throw new SimulationFailure(
      'I13',
      `a frame of ${this.#name}, life ${frame.epoch}, was said to be ${result}, where ${verdict} is right`,
    );
  }

  /** Once its silence has lasted for long enough, the stage says whether it has noticed. */
  #observe(): void {
    const { timeline, view, model } = this.#parts;
    const { connected, fadesNs } = this.#node;
    if (!connected || fadesNs > timeline.nowNs) return;
    const isThere = view.cursors.nodes().some((status) => status.name === this.#name && status.connected);
    if (!isThere) model.fellSilent(this.#node);
  }

  /** The stage slept on when it had been silent for too long. */
  get sleptOver(): boolean {
    this.#observe();
    return this.#node.connected && this.#node.goneNs + wakeNs < this.#parts.timeline.nowNs;
  }
}
