import type { ConnectionCursor } from '../../gate/cursors.js';
import { SimulatedReplica } from '../cluster/replica.js';
import { exponential } from '../distributions.js';
import type { ModelNode } from '../model/policy-model.js';
import type { ScenarioNode } from '../scenario.js';
import { Mark } from '../trace.js';
import type { Member, MemberContext } from './member.js';
import type { WorldParts } from './parts.js';

/** A replica that an adapter connects, moves and disconnects. */
export class ToldMember implements Member {
  readonly #parts: WorldParts;
  readonly #context: MemberContext;
  readonly #index: number;
  readonly #replica: SimulatedReplica;
  readonly #cursor: ConnectionCursor;
  readonly #node: ModelNode;
  #lost = false;

  constructor(parts: WorldParts, context: MemberContext, described: ScenarioNode, index: number) {
    const { zone, networkNs, syncNs, ackDelayNs } = described;
    const { timeline, random, view, model } = parts;
    this.#parts = parts;
    this.#context = context;
    this.#index = index;
    this.#cursor = view.cursors.node(`replica-${index}`, zone === null ? {} : { zone });
    this.#node = model.nodes[index];
    const network = exponential(networkNs / 2, networkNs / 2);
    this.#replica = new SimulatedReplica({
      timeline,
      random: random.fork(),
      toReplica: network,
      toPrimary: network,
      sync: exponential(syncNs / 2, syncNs / 2),
      ackDelayNs,
      onAck: (inMemory, persisted) => this.#acknowledged(inMemory, persisted),
    });
  }

  send(seq: number): void {
    this.#replica.send(seq);
  }

  connect(persisted: number): void {
    const replica = this.#replica;
    const node = this.#node;
    if (replica.persisted < persisted) replica.restart(persisted);
    replica.connect();
    this.#context.write(
      () => this.#cursor.connect({ persisted }),
      () => {
        node.connected = true;
        node.inMemory = persisted;
        node.persisted = persisted;
      },
      { connects: true },
    );
    this.#parts.trace.note(Mark.cursor, this.#index, persisted, 1);
  }

  trouble(): void {
    const { random, faults, timeline, scenario } = this.#parts;
    if (!this.#node.connected) return;
    const away = () => {
      this.#disconnect();
      const ns = this.#lost
        ? Number.POSITIVE_INFINITY
        : random.magnitude(10_000, scenario.troubleNs / (random.chance(0.5) ? 2 : 50));
      if (ns === Number.POSITIVE_INFINITY) return;
      timeline.after(Math.ceil(ns), () => {
        this.#context.whenAwake(() => {
          if (!this.#node.connected) this.#comeBack();
        });
      });
    };
    if (faults.strikes('replica-lost', 0.3)) {
      this.#lost = true;
      away();
    } else if (faults.strikes('replica-flap', 10)) away();
  }

  /** Connected again, it gets what is missing. */
  heal(): void {
    if (!this.#node.connected) this.connect(this.#replica.persisted);
    this.#replica.send(this.#context.journal.appended);
  }

  #acknowledged(inMemory: number, persisted: number): void {
    const node = this.#node;
    this.#context.write(
      () => this.#cursor.advance({ inMemory, persisted }),
      () => {
        node.inMemory = inMemory;
        node.persisted = persisted;
      },
    );
    this.#parts.trace.note(Mark.cursor, this.#index, inMemory, persisted);
  }

  /** What it has on disk may be less than before, or something that the primary has never issued. */
  #comeBack(): void {
    const { random, faults, scenario } = this.#parts;
    const replica = this.#replica;
    if (faults.strikes('replica-behind', 10)) {
      replica.restart(Math.max(scenario.firstSeq, replica.persisted - random.between(0, 20)));
    } else replica.restart(replica.persisted);
    if (faults.strikes('foreign-tail', 3) && this.#foreignTailCounts()) return;
    this.connect(replica.persisted);
    replica.send(this.#context.journal.appended);
  }

  /**
   * A tail of another history must be refused, and is cut then. A stage that takes it counts on what nobody has: to the
   * model the replica is there with what it really has.
   */
  #foreignTailCounts(): boolean {
    const { random, trace } = this.#parts;
    const { journal, reach } = this.#context;
    const tail = journal.appended + random.between(1, 1000);
    try {
      this.#cursor.connect({ persisted: tail });
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_ACKGATE_REPLICA_AHEAD') throw error;
      reach('replica-refused');
      return false;
    }
    const node = this.#node;
    trace.note(Mark.cursor, this.#index, tail, 3);
    node.connected = true;
    node.inMemory = this.#replica.persisted;
    node.persisted = this.#replica.persisted;
    return true;
  }

  #disconnect(): void {
    const node = this.#node;
    this.#replica.disconnect();
    this.#context.write(
      () => this.#cursor.disconnect(),
      () => {
        node.connected = false;
        node.inMemory = 0;
        node.persisted = 0;
      },
    );
    this.#parts.trace.note(Mark.cursor, this.#index, 0, 2);
  }
}
