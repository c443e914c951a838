import { EventEmitter } from 'node:events';
import { fstatSync } from 'node:fs';
import type { Socket } from 'node:net';
import { nativeAddon } from '../egress/native.js';
import { AckgateError, AckgateRangeError } from '../errors.js';
import type { Cursors } from '../gate/cursors.js';
import type { ResolvedPolicy } from '../policy/index.js';
import type { Producer } from '../ring/producer.js';
import { checkKeys, outOfRange } from '../shared/checks.js';
import type { ControlOutcome } from '../shared/control-outcome.js';
import type { StageMemory } from '../shared/memory.js';
import { Word } from '../shared/memory.js';
import { timerMsMax } from '../shared/timer-ms-max.js';
import { adopt } from './adopt.js';
import type { Stage, StageEvents } from './api.js';
import { channels } from './channels.js';
import { type Attached, Connections } from './connections.js';
import { type ControlResult, ControlWriter, unclaimedFds } from './control.js';
import { ControlledDiagnosis } from './controlled-diagnosis.js';
import { type EventHandlers, EventReader, throwLater } from './events.js';
import type { StageHandle } from './open-stage.js';
import { type CheckedOptions, checkPolicy, checkReason } from './options.js';
import { socketFd, takeWriteSide } from './socket-adapter.js';
import { StageView } from './stage-view.js';
import { StageState } from './state.js';
import type { StageStatus } from './status.js';
import type { TimingHistograms } from './timings.js';

/** A `disconnect` that found the control ring full is tried again after so long; nothing else can bring it about. */
const retryMs = 1;
const drainMsDefault = 1000;
const attachKeys = ['connectionId'];
const disconnectKeys = ['when', 'reason'];

/**
 * The control thread's side of a stage, whichever thread runs it: takes calls, checks them, sends them through the
 * control ring, and turns the event ring's records into events.
 */
export class ControlledStage extends EventEmitter<StageEvents> implements Stage {
  readonly producer: Producer;
  readonly cursors: Cursors;
  readonly timings: TimingHistograms;
  readonly diagnosis: ControlledDiagnosis;
  readonly closed: Promise<void>;
  readonly #memory: StageMemory;
  readonly #wakeFd: number;
  readonly #options: CheckedOptions;
  readonly #view: StageView;
  readonly #control: ControlWriter;
  readonly #events: EventReader;
  readonly #connections: Connections;
  readonly #handlers: EventHandlers;
  #resolveClosed: () => void = () => {};
  #resolveFence: () => void = () => {};
  #newEpoch = 0;
  #fenced: Promise<void> | null = null;
  #closing = false;
  #onClosing: (drainMs: number) => void = () => {};

  constructor(memory: StageMemory, wakeFd: number, options: CheckedOptions, timings: TimingHistograms) {
    super();
    this.#memory = memory;
    this.#wakeFd = wakeFd;
    this.#options = options;
    this.timings = timings;
    const addon = nativeAddon();
    this.#view = new StageView(memory, () => addon.wake(wakeFd));
    this.producer = this.#view.producer;
    this.cursors = this.#view.cursors;
    this.#control = new ControlWriter(memory, () => this.#view.waker.wake());
    this.#events = new EventReader(memory);
    this.#connections = new Connections(options.connections);
    this.diagnosis = new ControlledDiagnosis(memory, this.#view, options.diagnosis, {
      tenant: (id, key) => this.#tell(id, () => this.#control.tenant(id, key)),
      raise: (id, level, expiresAt) => this.#tell(id, () => this.#control.raise(id, level, expiresAt)),
    });
    this.#handlers = this.#eventHandlers();
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  attach(target: Socket | number, options: { connectionId?: number } = {}): number {
    checkKeys('attach options', options, attachKeys);
    this.#checkRunning();
    const connections = this.#connections;
    const id = connections.newId(options.connectionId);
    connections.checkRoom();
    const socket = typeof target === 'number' ? null : target;
    const from = typeof target === 'number' ? target : socketFd(target);
    const fd = adopt(from, this.#options.kernelSendBufferBytes);
    const inode = fstatSync(fd).ino;
    try {
      connections.checkSocket(inode);
      // The slot is looked at first and taken last: whatever fails in between leaves nothing behind.
      if (this.#control.attach(id, connections.nextSlot(), fd) !== true) throw controlFull();
    } catch (error) {
      nativeAddon().closeFd(fd);
      throw error;
    }
    const attached = connections.add(id, socket, inode);
    if (socket !== null) takeWriteSide(socket, () => this.#socketClosed(attached));
    return id;
  }

  disconnect(
    connectionId: number,
    options: { when?: 'drained' | 'now'; reason?: number } = {},
  ): ControlOutcome {
    checkKeys('disconnect options', options, disconnectKeys);
    const { when = 'drained', reason } = options;
    if (when !== 'drained' && when !== 'now') {
      throw new AckgateError(
        'ERR_ACKGATE_INVALID_ARGUMENT',
        `when must be "drained" or "now", got ${String(when)}`,
      );
    }
    if (reason !== undefined) checkReason(reason);
    const attached = this.#connections.find(connectionId);
    if (attached === 'gone') return 'gone';
    const position = when === 'drained' ? this.#view.output.published() : null;
    const sent = notOversize(this.#control.disconnect(connectionId, position, reason));
    if (sent === true) attached.leaving = true;
    return sent;
  }

  push(connectionId: number, body: Uint8Array): ControlOutcome | 'oversize' {
    if (!(body instanceof Uint8Array)) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', 'body must be a Uint8Array');
    }
    if (!this.#takesMore(connectionId)) return 'gone';
    return this.#control.push(connectionId, body);
  }

  busy(connectionId: number): ControlOutcome {
    return this.#tell(connectionId, () => this.#control.busy(connectionId));
  }

  notify(connectionId: number, reason: number): ControlOutcome {
    checkReason(reason);
    return this.#tell(connectionId, () => this.#control.notice(connectionId, reason));
  }

  setMode(policy: string | object): void {
    const resolved: ResolvedPolicy = checkPolicy(policy);
    this.#checkRunning();
    if (this.#control.mode(resolved) !== true) throw controlFull();
  }

  async fence(newEpoch: number): Promise<void> {
    const { epoch } = this;
    if (!Number.isSafeInteger(newEpoch) || newEpoch < 0) {
      throw outOfRange('newEpoch', 'an integer from 0 to 2^53-1', newEpoch);
    }
    if (newEpoch <= epoch) {
      throw new AckgateRangeError(
        'ERR_ACKGATE_EPOCH_NOT_HIGHER',
        `newEpoch must be higher than the stage's own epoch ${epoch}, got ${newEpoch}`,
      );
    }
    if (this.#fenced === null) {
      this.#newEpoch = newEpoch;
      Atomics.store(this.#view.words, Word.fence, 1);
      this.#view.waker.wake();
      const announced = new Promise<void>((resolve) => {
        this.#resolveFence = resolve;
      });
      // A stage that ends before it could say so can't submit anything either.
      this.#fenced = Promise.race([announced, this.closed]);
    }
    return this.#fenced;
  }

  get epoch(): number {
    return this.#options.limits.epoch;
  }

  status(): StageStatus {
    return this.#view.status();
  }

  share(): StageHandle {
    if (this.#view.state >= StageState.failed) throw ended();
    return { memory: this.#memory, timings: this.timings };
  }

  async close(options: { drainMs?: number } = {}): Promise<void> {
    checkKeys('close options', options, ['drainMs']);
    const { drainMs = drainMsDefault } = options;
    if (typeof drainMs !== 'number' || !(drainMs >= 0) || drainMs > timerMsMax) {
      throw outOfRange('drainMs', 'a number from 0 to 2^31-1', drainMs);
    }
    if (!this.#closing) {
      this.#closing = true;
      this.#untilSent(() => this.#control.drain(Math.round(drainMs * 1e6)));
      this.#onClosing(drainMs);
    }
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Takes what the stage has to say. Called whenever its bell rang. */
  drainEvents(): void {
    this.#events.drain(this.#handlers);
  }

  /** Makes the stage end without draining. */
  abandon(): void {
    Atomics.store(this.#view.words, Word.abandon, 1);
    this.#view.waker.wake();
  }

  /** `listener` runs once, when `close` is called: whoever hosts the stage sees to it that it ends in time. */
  onClosing(listener: (drainMs: number) => void): void {
    this.#onClosing = listener;
  }

  /**
   * The thread that ran the stage is gone, or it was never started: gives everything back. `cause`: why it is gone,
   * where it could not say so itself.
   */
  finish(cause: { code?: string | undefined; message: string } | null = null): void {
    this.drainEvents();
    const died = this.#view.state < StageState.failed;
    if (died) Atomics.store(this.#view.words, Word.state, StageState.failed);
    const addon = nativeAddon();
    for (const fd of unclaimedFds(this.#memory)) addon.closeFd(fd);
    for (const { id: connectionId, slot } of this.#connections.remaining()) {
      const event = { connectionId, reason: 'stage-failed', errno: 0, bytesUnsent: 0 } as const;
      throwLater(() => this.#handlers.dropped(slot, event));
    }
    if (died && cause !== null) throwLater(() => this.#handlers.fatal(cause));
    this.diagnosis.close();
    this.#view.waker.mute();
    addon.closeFd(this.#wakeFd);
    this.#resolveClosed();
  }

  /** Sends what fits into any place of the control ring, about a connection that takes more. */
  #tell(connectionId: number, send: () => ControlResult): ControlOutcome {
    return this.#takesMore(connectionId) ? notOversize(send()) : 'gone';
  }

  #takesMore(connectionId: number): boolean {
    const attached = this.#connections.find(connectionId);
    return attached !== 'gone' && !attached.leaving && this.#view.state < StageState.failed;
  }

  #checkRunning(): void {
    if (this.#closing || this.#view.state >= StageState.failed) throw ended();
    if (this.#fenced !== null) {
      throw new AckgateError(
        'ERR_ACKGATE_STAGE_FENCED',
        'the stage is fenced: a later primary has taken over',
      );
    }
  }

  #socketClosed(attached: Attached): void {
    if (this.#connections.get(attached.id) !== attached) return;
    this.#untilSent(() => this.#control.disconnect(attached.id, null, undefined));
  }

  /** Sends what must not be lost, again and again while the control ring is full. */
  #untilSent(send: () => ControlResult): void {
    if (this.#view.state >= StageState.failed || send() === true) return;
    setTimeout(() => this.#untilSent(send), retryMs);
  }

  #eventHandlers(): EventHandlers {
    return {
      logger: this.#options.logger,
      dropped: (slot, event) => {
        this.#connections.ended(slot, event.connectionId, false);
        channels.dropped.publish(this, event);
        this.emit('dropped', event);
      },
      closed: (slot, event) => {
        this.#connections.ended(slot, event.connectionId, true);
        this.emit('closed', event);
      },
      fenced: () => {
        channels.fenced.publish(this, { epoch: this.#options.limits.epoch, newEpoch: this.#newEpoch });
        this.#resolveFence();
      },
      mode: (change) => channels.mode.publish(this, change),
      degraded: (change) => channels.degraded.publish(this, change),
      fatal: ({ code, message }) => {
        const error =
          code === 'ERR_ACKGATE_SUBMIT_FAILED'
            ? new AckgateError(code, message)
            : new AckgateError('ERR_ACKGATE_STAGE_FAILED', `the stage has failed: ${message}`);
        this.#options.logger.error({ code, message }, 'stage failed');
        this.emit('fatal', error);
      },
    };
  }
}

function ended(): AckgateError {
  return new AckgateError('ERR_ACKGATE_STAGE_CLOSED', 'the stage is closed or closing');
}

function controlFull(): AckgateError {
  return new AckgateError('ERR_ACKGATE_CONTROL_FULL', 'too many control calls wait for the stage; try again');
}

function notOversize(result: ControlResult): true | 'full' {
  return result === true ? true : 'full';
}
