import type { Socket } from 'node:net';
import { CloseHow } from '../../egress/sender.js';
import { type ResolvedPolicy, resolvePolicy } from '../../policy/index.js';
import { Word } from '../../shared/memory.js';
import type { ClosedEvent, DroppedEvent } from '../../stage/api.js';
import { Connections } from '../../stage/connections.js';
import { ControlWriter, unclaimedFds } from '../../stage/control.js';
import { EventReader } from '../../stage/events.js';
import { SimulationFailure } from '../failure.js';
import { SimulatedSocket } from '../kernel/socket.js';
import { bodyHeadBytes, ClientLedger, Tag, writeBody } from '../model/ledger.js';
import { policiesFor } from '../scenario.js';
import { Mark } from '../trace.js';
import { behave, type Client, NodeSide } from './clients.js';
import { checkDrop } from './drops.js';
import type { WorldParts } from './parts.js';

const firstFd = 10;
/** Between an event and the control thread looking at it. */
const eventDelayNs = 30_000;

export interface ServerHooks {
  /** A client was attached. */
  attached(client: Client): void;
  heartbeat(client: Client): void;
  /** How long the stage was kept from running since then. */
  pausedSince(ns: number): number;
  /** May this answer leave? */
  mayLeave(number: number): void;
}

/** The thread that owns the stage: it attaches clients, steers, and takes the events. */
export class Server {
  /** Clients that are connected, as far as the server knows. */
  readonly clients: Client[] = [];
  readonly everyone: Client[] = [];
  readonly drops: Record<string, number> = {};
  fenced = false;
  fatal: { code?: string | undefined } | null = null;
  /** The stage was told to end: in order, or at once. */
  closing = false;
  exiting = false;
  /** When the stage was told to end in order, and by when it may still drain; null: it was not. */
  drainSent: { atNs: number; untilNs: number } | null = null;
  /** When the last byte was accepted behind the word that nothing will be; a test of the fence. */
  fenceDone = false;
  /** What was written to sockets beside the stage. */
  bytesBeside = 0;
  /** Records that the control thread has sent, and of which the stage must take all in its next round. */
  readonly control: ControlWriter;
  readonly #parts: WorldParts;
  readonly #hooks: ServerHooks;
  readonly #connections: Connections;
  readonly #events: EventReader;
  readonly #sockets = new Map<number, SimulatedSocket>();
  readonly #pushSizes: number[] = [];
  #failure: Error | null = null;
  /** Strategy of a server that writes busy notices itself, beside the stage. */
  readonly #writesBeside: boolean;

  constructor(parts: WorldParts, hooks: ServerHooks, writesBeside: boolean) {
    this.#parts = parts;
    this.#hooks = hooks;
    this.#writesBeside = writesBeside;
    this.control = new ControlWriter(parts.memory, () => parts.view.waker.wake());
    this.#connections = new Connections(parts.scenario.slots);
    this.#events = new EventReader(parts.memory);
  }

  get connected(): number {
    return this.#connections.size;
  }

  get openSockets(): number {
    return [...this.#sockets.values()].filter((socket) => !socket.closed).length;
  }

  socketOf(fd: number): SimulatedSocket | undefined {
    return this.#sockets.get(fd);
  }

  clientOf(slot: number): Client | undefined {
    return this.everyone.findLast((client) => client.slot === slot);
  }

  start(): void {
    const { scenario, timeline, random } = this.#parts;
    for (let i = 0; i < scenario.clients; i++) {
      timeline.after(random.below(1 + Math.floor(scenario.troubleNs / 20)), () => this.attach());
    }
    const turn = () => {
      if (this.closing || this.#parts.faults.calm) return;
      this.#act();
      timeline.after(Math.ceil(random.exponential(scenario.troubleNs / 30)), turn);
    };
    timeline.after(Math.ceil(random.exponential(scenario.troubleNs / 30)), turn);
  }

  /** One more client, if there is room. */
  attach(): Client | null {
    if (this.closing || this.fenceSet || this.#connections.size >= this.#parts.scenario.slots) return null;
    const { timeline, scenario, faults, trace } = this.#parts;
    const connections = this.#connections;
    const id = connections.newId(undefined);
    const slot = connections.nextSlot();
    const fd = this.#freeFd();
    let client: Client | null = null;
    const socket = new SimulatedSocket(timeline, fd, scenario.socketBytes, (bytes, at, length) => {
      const owner = client as Client;
      trace.note(Mark.accepted, owner.id, length, bytes[at]);
      if (this.fenceDone) throw new SimulationFailure('I10', `client ${id} got bytes after the fence`);
      owner.ledger.accept(bytes, at, length, timeline.nowNs);
    });
    const ledger = new ClientLedger(
      id,
      this.#parts.records,
      this.#hooks.mayLeave,
      (push) => this.#pushSizes[push],
      () => this.#hooks.heartbeat(client as Client),
    );
    const node = new NodeSide();
    client = {
      id,
      slot,
      socket,
      ledger,
      dead: false,
      drainedAfter: null,
      lastAnswer: -1,
      errno: 0,
      ended: false,
      closing: null,
      attachedNs: timeline.nowNs,
      node,
    };
    this.#sockets.set(fd, socket);
    trace.note(Mark.control, 1, id, slot);
    if (this.control.attach(id, slot, fd) !== true) {
      if (faults.has('control-full')) faults.count('control-full');
      socket.closed = true;
      return null;
    }
    faults.opened(slot);
    connections.add(id, node as unknown as Socket, fd);
    this.clients.push(client);
    this.everyone.push(client);
    behave(client, this.#parts);
    this.#hooks.attached(client);
    return client;
  }

  get fenceSet(): boolean {
    return Atomics.load(this.#parts.view.words, Word.fence) !== 0;
  }

  /** Faults have stopped: whoever can still read does. */
  heal(): void {
    const { scenario } = this.#parts;
    for (const client of this.clients) if (!client.dead) client.socket.bytesPerSecond = scenario.readRate;
  }

  fence(): void {
    const { view, trace } = this.#parts;
    trace.note(Mark.control, 2);
    Atomics.store(view.words, Word.fence, 1);
    view.waker.wake();
  }

  drain(drainNs: number): void {
    this.closing = true;
    this.#parts.trace.note(Mark.control, 3, drainNs);
    const { timeline } = this.#parts;
    if (this.control.drain(drainNs) === true) {
      this.drainSent = { atNs: timeline.nowNs, untilNs: timeline.nowNs + drainNs };
    } else timeline.after(100_000, () => this.drain(drainNs));
  }

  exit(): void {
    const { view, trace } = this.#parts;
    this.closing = true;
    this.exiting = true;
    trace.note(Mark.control, 4);
    Atomics.store(view.words, Word.abandon, 1);
    view.waker.wake();
  }

  setMode(policy: string): boolean {
    const { model, trace } = this.#parts;
    if (this.control.mode(resolvePolicy(policy)) !== true) return false;
    trace.say(Mark.control, policy);
    model.setPolicy(policy);
    return true;
  }

  /** Something has rung. */
  ring(): void {
    this.#parts.timeline.after(eventDelayNs, () => this.takeEvents());
  }

  takeEvents(): void {
    this.#events.drain({
      dropped: (slot, event) => this.#guard(() => this.#dropped(slot, event)),
      closed: (slot, event) => this.#guard(() => this.#closed(slot, event)),
      fenced: () => {
        this.fenced = true;
        this.fenceDone = true;
        this.#guard(() => this.#checkFenced());
      },
      mode() {},
      degraded() {},
      fatal: (error) => {
        this.fatal = error;
      },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    });
  }

  /** Takes back the descriptors of clients that the stage never took, once it has ended. */
  takeBack(): number {
    const fds = unclaimedFds(this.#parts.memory);
    for (const fd of fds) {
      const client = this.clients.find(({ socket }) => socket.fd === fd);
      if (client === undefined) throw new SimulationFailure('I06', `descriptor ${fd} was left by nobody`);
      client.socket.closed = true;
      this.#ended(client.slot, client.id, true);
    }
    return fds.length;
  }

  /** Throws what a listener has found: the shipped reader keeps listeners' failures away from its caller. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #guard(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  /** Told by the sender before it ends a slot. */
  closingSlot(slot: number, how: number, waited: boolean): void {
    const client = this.clientOf(slot);
    if (client === undefined || client.closing !== null) return;
    client.closing = { how, waited, nowNs: this.#parts.timeline.nowNs };
  }

  /** One of the things that a server does from time to time. */
  #act(): void {
    const { random, faults, scenario } = this.#parts;
    const client = this.clients.length === 0 ? null : random.pick(this.clients);
    if (client !== null && random.chance(0.3)) this.#push(client, random.between(bodyHeadBytes, 200));
    if (client !== null && random.chance(0.2)) this.#busy(client);
    if (scenario.notices && client !== null && random.chance(0.2)) this.#notify(client, random.below(256));
    if (faults.strikes('churn', 3)) {
      if (client !== null) this.#disconnect(client, random.chance(0.5), random.chance(0.5) ? 7 : undefined);
      this.attach();
    } else if (random.chance(0.2)) this.attach();
    if (faults.strikes('mode-swap')) this.setMode(random.pick(policiesFor(scenario.nodes.length + 2)));
    if (faults.strikes('corrupt-mode')) this.#corruptMode();
    if (faults.strikes('control-full', 0.2) && client !== null) this.#fillControl(client);
    if (faults.strikes('fence', 0.1)) this.fence();
    else if (faults.strikes('shutdown', 0.3)) this.drain(random.pick([0, 1e6, 5e7]));
    else if (faults.strikes('exit', 0.1)) this.exit();
  }

  /** Nothing is left behind a fence: no connection, and no record. */
  #checkFenced(): void {
    const { view } = this.#parts;
    if (view.output.published() !== view.output.consumed() && !this.closing) {
      throw new SimulationFailure('I10', 'the fence was announced with records left in the ring');
    }
    if (this.clients.some(({ closing }) => closing === null)) {
      throw new SimulationFailure('I10', 'the fence was announced with a connection left');
    }
  }

  #push(client: Client, length: number): void {
    if (client.drainedAfter !== null) return;
    const number = this.#pushSizes.length;
    const body = new Uint8Array(length);
    writeBody(body, 0, length, Tag.push, number);
    if (this.control.push(client.id, body) !== true) return;
    this.#pushSizes.push(length);
    client.ledger.pushes.push(number);
  }

  #busy(client: Client): boolean {
    if (client.drainedAfter !== null) return true;
    client.ledger.busyAsked++;
    if (this.#writesBeside) {
      this.bytesBeside += Math.max(0, client.socket.send(Uint8Array.of(1, 0, 0, 0, Tag.busy), 0, 5));
      return true;
    }
    if (this.control.busy(client.id) === true) return true;
    client.ledger.busyAsked--;
    return false;
  }

  #notify(client: Client, reason: number): void {
    if (client.drainedAfter !== null || this.control.notice(client.id, reason) !== true) return;
    client.ledger.notices.push(reason);
  }

  #disconnect(client: Client, drained: boolean, reason: number | undefined): void {
    if (client.drainedAfter !== null) return;
    const { view, records } = this.#parts;
    const position = drained ? view.output.published() : null;
    if (this.control.disconnect(client.id, position, reason) !== true) return;
    client.drainedAfter = drained ? records.count : -1;
    client.lastAnswer = client.ledger.expected.at(-1) ?? -1;
    if (reason !== undefined) client.ledger.farewell = reason;
  }

  #corruptMode(): void {
    const { random, trace } = this.#parts;
    const byte = random.between(4, 254);
    trace.note(Mark.control, 5, byte);
    this.control.mode({ ...resolvePolicy('local'), byte } as ResolvedPolicy);
  }

  #fillControl(client: Client): void {
    for (let i = 0; i < 4096 && this.#busy(client); i++);
  }

  #freeFd(): number {
    for (let fd = firstFd; ; fd++) {
      const socket = this.#sockets.get(fd);
      if (socket === undefined) return fd;
      // A number that was used before comes back at once, or never.
      if (socket.closed && this.#parts.faults.has('fd-reuse')) {
        this.#parts.faults.count('fd-reuse');
        return fd;
      }
    }
  }

  #dropped(slot: number, event: DroppedEvent): void {
    const client = this.#ended(slot, event.connectionId, false);
    this.drops[event.reason] = (this.drops[event.reason] ?? 0) + 1;
    this.#parts.trace.say(
      Mark.event,
      `${event.connectionId} ${event.reason} ${event.errno} ${event.bytesUnsent}`,
    );
    checkDrop(client, event, {
      fenced: this.fenceSet,
      drainUntilNs: this.drainSent?.untilNs ?? Number.POSITIVE_INFINITY,
      failed: this.fatal !== null || this.exiting || this.#parts.faults.fired['submit-fatal'] !== undefined,
      blockedTimeoutNs: this.#parts.scenario.blockedTimeoutNs,
      blockedTotalNs: this.#parts.scenario.blockedTotalNs,
      pausedSince: this.#hooks.pausedSince,
    });
  }

  #closed(slot: number, { connectionId }: ClosedEvent): void {
    const client = this.#ended(slot, connectionId, true);
    this.#parts.trace.note(Mark.event, connectionId);
    if (client.drainedAfter === null && !this.closing) {
      throw new SimulationFailure('I06', `client ${client.id} was ended, and nobody had asked for it`);
    }
    if (client.closing?.how !== CloseHow.orderly && !this.exiting && this.fatal === null) {
      throw new SimulationFailure('I06', `client ${client.id} ended in order by a reset`);
    }
    const { ledger, drainedAfter } = client;
    ledger.skipSilent();
    const owed = ledger.expected[ledger.next];
    // A stage that closes throws away what is not durable in time.
    if (drainedAfter !== null && owed < drainedAfter && !ledger.complete && !this.closing) {
      throw new SimulationFailure('I02', `client ${client.id} was ended before answer ${owed}`);
    }
    if (
      drainedAfter !== null &&
      drainedAfter >= 0 &&
      ledger.farewell !== null &&
      !ledger.farewellSeen &&
      !this.closing
    ) {
      throw new SimulationFailure('I02', `client ${client.id} was not told why it was ended`);
    }
  }

  #ended(slot: number, connectionId: number, orderly: boolean): Client {
    const client = this.everyone.find((one) => one.id === connectionId);
    if (client === undefined || client.slot !== slot || client.ended) {
      throw new SimulationFailure('I06', `client ${connectionId} has ended twice, or in another's slot`);
    }
    client.ended = true;
    this.clients.splice(this.clients.indexOf(client), 1);
    this.#connections.ended(slot, connectionId, orderly);
    // A clean end behind half an answer would lie.
    if (client.ledger.endsInside && !client.socket.wasReset && client.errno === 0) {
      throw new SimulationFailure('I02', `client ${connectionId} was ended in order inside an answer`);
    }
    if (!client.node.destroyed) {
      throw new SimulationFailure('I06', `Node's side of client ${connectionId} was left open`);
    }
    if (!client.socket.closed) {
      throw new SimulationFailure('I06', `the descriptor of client ${connectionId} was left open`);
    }
    return client;
  }
}
