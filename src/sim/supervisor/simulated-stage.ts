import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { sendBufferBytes } from '../../egress/sender.js';
import { AckgateError } from '../../errors.js';
import { resolvePolicy } from '../../policy/index.js';
import type { ControlOutcome } from '../../shared/control-outcome.js';
import { silentLogger } from '../../shared/logger.js';
import { createMemory, type StageMemory, Word } from '../../shared/memory.js';
import type { ClosedEvent, DroppedEvent, StageEvents } from '../../stage/api.js';
import { Connections } from '../../stage/connections.js';
import { type ControlResult, ControlWriter, unclaimedFds } from '../../stage/control.js';
import { EventReader } from '../../stage/events.js';
import { checkOptions } from '../../stage/options.js';
import { ResponseStage } from '../../stage/response-stage.js';
import { seatPrimary } from '../../stage/seat-primary.js';
import { StageView } from '../../stage/stage-view.js';
import type { SupervisedStage } from '../../supervisor/supervisor.js';
import type { FaultBox } from '../faults.js';
import { SimulatedSender } from '../kernel/simulated-sender.js';
import type { SimulatedSocket } from '../kernel/socket.js';
import type { Random } from '../random.js';
import type { Timeline } from '../timeline.js';
import type { ControlThread } from './control-thread.js';
import type { NodeSocket } from './node-socket.js';
import type { SupervisorScenario } from './scenario.js';

const roundNs = 400;
const recordNs = 30;
const retryNs = 1e6;

/** Told of what the supervisor has the stage do, and of what becomes of it. */
export interface StageWatch {
  attached(id: number, socket: NodeSocket): void;
  /** A disconnect frame is on its way to the client. */
  told(id: number, reason: number, byNotice: boolean): void;
  /** The end of a connection was asked for, or has come with that of its socket. */
  leaving(id: number, when: 'drained' | 'now' | 'closed'): void;
  /** The stage has let go of it; null: in order. */
  ended(id: number, reason: string | null): void;
  threw(error: unknown): void;
}

export interface SimulatedStageParts {
  readonly scenario: SupervisorScenario;
  readonly timeline: Timeline;
  readonly thread: ControlThread;
  readonly random: Random;
  readonly faults: FaultBox;
  readonly watch: StageWatch;
}

/**
 * The shipped stage on a simulated kernel, and what the control thread has of it: as the shipped `ControlledStage`, but
 * for descriptors and timers, which are the world's.
 */
export class SimulatedStage extends EventEmitter<StageEvents> implements Omit<SupervisedStage, 'on' | 'off'> {
  readonly view: StageView;
  readonly closed: Promise<void>;
  readonly #parts: SimulatedStageParts;
  readonly #memory: StageMemory;
  readonly #stage: ResponseStage;
  readonly #sender: SimulatedSender;
  readonly #control: ControlWriter;
  readonly #connections: Connections;
  readonly #events: EventReader;
  readonly #sockets = new Map<number, NodeSocket>();
  readonly #kernels = new Map<number, SimulatedSocket>();
  #pausedUntilNs = 0;
  #closing = false;
  #finished = false;
  #resolveClosed: () => void = () => {};

  constructor(parts: SimulatedStageParts) {
    super();
    const { scenario, timeline, faults } = parts;
    const { slots: connections, ringCapacity } = scenario;
    this.#parts = parts;
    const { limits } = checkOptions({
      connections,
      heartbeatIntervalMs: 0,
      blockedTimeoutMs: scenario.blockedTimeoutNs / 1e6,
    });
    this.#memory = createMemory({
      connections,
      ringCapacity,
      maxPayload: scenario.payloadBytes,
      captureRecords: 1,
      captureBytes: 0,
    });
    seatPrimary(this.#memory, undefined);
    const clock = () => timeline.nowNs;
    this.view = new StageView(this.#memory, () => this.wake(), clock);
    const arena = new Uint8Array(connections * sendBufferBytes);
    this.#sender = new SimulatedSender({
      timeline,
      arena,
      slots: connections,
      fence: this.view.words.subarray(Word.fence, Word.fence + 1),
      socketOf: (fd) => this.#kernels.get(fd),
      faults,
      whenFull: 'wait',
    });
    this.#stage = new ResponseStage({
      memory: this.#memory,
      sender: this.#sender,
      arena,
      clock,
      unixMs: () => timeline.nowNs / 1e6,
      policy: resolvePolicy('local'),
      limits,
      ringBell: () => this.#bell(),
      logger: silentLogger,
    });
    this.#control = new ControlWriter(this.#memory, () => this.view.waker.wake());
    this.#connections = new Connections(connections);
    this.#events = new EventReader(this.#memory);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  attach(target: Socket | number, options: { connectionId?: number } = {}): number {
    const socket = target as unknown as NodeSocket;
    if (this.#closing || this.#stage.ended) throw refused('ERR_ACKGATE_STAGE_CLOSED');
    const id = this.#connections.newId(options.connectionId);
    this.#connections.checkRoom();
    if (socket.destroyed) throw refused('ERR_ACKGATE_SOCKET_DESTROYED');
    const { fd } = socket.kernel;
    this.#kernels.set(fd, socket.kernel);
    if (this.#send(() => this.#control.attach(id, this.#connections.nextSlot(), fd)) !== true) {
      throw refused('ERR_ACKGATE_CONTROL_FULL');
    }
    this.#connections.add(id, null, fd);
    this.#sockets.set(id, socket);
    this.#parts.watch.attached(id, socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      if (this.#connections.get(id) === undefined) return;
      this.#parts.watch.leaving(id, 'closed');
      this.#untilSent(() => this.#control.disconnect(id, null, undefined));
    });
    return id;
  }

  disconnect(
    id: number,
    { when = 'drained', reason }: { when?: 'drained' | 'now'; reason?: number } = {},
  ): ControlOutcome {
    const attached = this.#connections.find(id);
    if (attached === 'gone') return 'gone';
    const position = when === 'drained' ? this.view.output.published() : null;
    if (this.#send(() => this.#control.disconnect(id, position, reason)) !== true) return 'full';
    attached.leaving = true;
    this.#parts.watch.leaving(id, when);
    if (reason !== undefined) this.#parts.watch.told(id, reason, false);
    return true;
  }

  push(id: number, body: Uint8Array): ControlOutcome | 'oversize' {
    if (!this.#takesMore(id)) return 'gone';
    return this.#send(() => this.#control.push(id, body));
  }

  notify(id: number, reason: number): ControlOutcome {
    if (!this.#takesMore(id)) return 'gone';
    if (this.#send(() => this.#control.notice(id, reason)) !== true) return 'full';
    this.#parts.watch.told(id, reason, true);
    return true;
  }

  async close({ drainMs = 1000 }: { drainMs?: number } = {}): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#untilSent(() => this.#control.drain(Math.round(drainMs * 1e6)));
    }
    await this.closed;
    if (this.#parts.scenario.troubles.includes('stage')) throw new Error('the stage was told to fail');
  }

  /** Wakes the stage's thread; also when the control thread has something to do. */
  wake(): void {
    this.#sender.wake();
  }

  /** The process loses its stage. */
  abandon(): void {
    Atomics.store(this.view.words, Word.abandon, 1);
    this.view.waker.wake();
  }

  pause(ns: number): void {
    this.#pausedUntilNs = this.#parts.timeline.nowNs + ns;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** One turn of the stage's thread. `mayPark`: nobody else has anything to do. */
  turn(mayPark: boolean): void {
    const { timeline, thread } = this.#parts;
    if (this.#stage.ended || this.#pausedUntilNs > timeline.nowNs) {
      if (this.#stage.ended && !this.#finished) {
        this.#finished = true;
        thread.later(this.#parts.scenario.eventDelayNs, () => this.#finish());
      }
      if (mayPark && timeline.nextNs < this.#untilNs) timeline.runNext();
      else if (mayPark) timeline.run(this.#untilNs);
      return;
    }
    const work = this.#stage.doWork(timeline.nowNs);
    timeline.spend(roundNs + recordNs * work);
    if (work === 0 && mayPark && thread.idle && !this.#stage.ended) this.#stage.park();
  }

  /** Nothing happens by itself for longer than this. */
  get #untilNs(): number {
    const { timeline } = this.#parts;
    return Math.max(timeline.nowNs + 1e6, this.#stage.ended ? 0 : this.#pausedUntilNs);
  }

  #bell(): void {
    const { thread, random, scenario } = this.#parts;
    thread.later(1_000 + random.below(scenario.eventDelayNs), () => this.#takeEvents());
  }

  #takeEvents(): void {
    this.#events.drain({
      dropped: (slot, event) => this.#dropped(slot, event),
      closed: (slot, event) => this.#closedOne(slot, event),
      fenced() {},
      mode() {},
      degraded() {},
      fatal: (error) => this.#parts.watch.threw(error),
      logger: silentLogger,
    });
  }

  #dropped(slot: number, event: DroppedEvent): void {
    const { connectionId } = event;
    this.#connections.ended(slot, connectionId, false);
    this.#parts.watch.ended(connectionId, event.reason);
    this.#sockets.get(connectionId)?.destroy();
    this.#guard(() => this.emit('dropped', event));
  }

  #closedOne(slot: number, event: ClosedEvent): void {
    const { connectionId } = event;
    this.#connections.ended(slot, connectionId, true);
    this.#parts.watch.ended(connectionId, null);
    this.#sockets.get(connectionId)?.linger();
    this.#guard(() => this.emit('closed', event));
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#parts.watch.threw(error);
    }
  }

  /** The stage's thread has ended. */
  #finish(): void {
    this.#takeEvents();
    for (const fd of unclaimedFds(this.#memory)) {
      const kernel = this.#kernels.get(fd);
      if (kernel !== undefined) kernel.closed = true;
    }
    for (const { id: connectionId, slot } of [...this.#connections.remaining()]) {
      this.#dropped(slot, { connectionId, reason: 'stage-failed', errno: 0, bytesUnsent: 0 });
    }
    this.#resolveClosed();
  }

  #takesMore(id: number): boolean {
    const attached = this.#connections.find(id);
    return attached !== 'gone' && !attached.leaving && !this.#stage.ended;
  }

  /** At random the control ring has no place. */
  #send<R extends ControlResult>(send: () => R): R | 'full' {
    return this.#parts.faults.strikes('control-full') ? 'full' : send();
  }

  #untilSent(send: () => ControlResult): void {
    if (this.#stage.ended || this.#send(send) === true) return;
    this.#parts.thread.later(retryNs, () => this.#untilSent(send));
  }
}

function refused(code: ConstructorParameters<typeof AckgateError>[0]): AckgateError {
  return new AckgateError(code, 'the simulated stage takes no connection now');
}
