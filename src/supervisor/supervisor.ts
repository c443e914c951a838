import type { Socket } from 'node:net';
import { types } from 'node:util';
import { AckgateError } from '../errors.js';
import { argument, checkKeys, checkMs } from '../shared/checks.js';
import type { ClosedEvent, DroppedEvent, Stage } from '../stage/api.js';
import { checkReason } from '../stage/options.js';
import { Admission } from './admission.js';
import { Connection, type ConnectionOwner, type DisconnectOptions, type PushOptions } from './connection.js';
import { newCounters, type SupervisorCounters, type SupervisorStatus } from './counters.js';
import { type ConnectionEnd, DisconnectReason, type EndReason, endingOf, type OwnEndReason } from './ends.js';
import { Generation } from './generation.js';
import { type CheckedSupervisor, checkDrainMs } from './options.js';
import type { PushAwaiter } from './push-awaiter.js';
import { PushDisconnected } from './push-errors.js';
import { Pushes } from './pushes.js';
import { Services } from './services.js';
import { Session, type SessionOwner } from './session.js';
import { runStages } from './shutdown.js';
import type { Timers } from './timers.js';
import { Urgent } from './urgent.js';
import { within } from './within.js';

/** How long a shutdown waits for what it has force-closed. */
const settleMs = 500;
const pushKeys = ['deadlineMs'];
const disconnectKeys = ['when', 'reason'];

/** How long the stage has to say that it was it who has reset a connection. */
const brokenMs = 50;
/** What reading from a connection that was reset says. */
const resetCodes: ReadonlySet<string> = new Set(['ECONNRESET', 'ENOTCONN']);
/** Drops that the stage alone brings about, and resets the connection for. */
const stagesOwn: ReadonlySet<EndReason> = new Set<EndReason>([
  'overflow',
  'blocked',
  'fenced',
  'drain-timeout',
  'stage-failed',
]);

/** What the supervisor needs of a stage. */
export type SupervisedStage = Pick<
  Stage,
  'attach' | 'disconnect' | 'notify' | 'push' | 'on' | 'off' | 'closed' | 'close'
>;

export interface SupervisorParts {
  readonly stage: SupervisedStage;
  readonly timers: Timers;
  /** Takes no new connection from now on. Called once. */
  readonly stopAccepting: () => void | Promise<void>;
}

/**
 * Owns the life of every client connection around a stage: admission, isolation, push with reply, notification, drain,
 * shutdown. It writes to no socket: what clients are sent goes through the stage. Belongs to the thread that started the
 * stage.
 */
export class Supervisor<D = unknown> {
  readonly #stage: SupervisedStage;
  readonly #timers: Timers;
  readonly #options: CheckedSupervisor<D>;
  readonly #stopAccepting: () => void | Promise<void>;
  readonly #urgent: Urgent;
  readonly #admission: Admission;
  readonly #pushes: Pushes<D>;
  readonly #services: Services<D>;
  /** Connections that are tracked. */
  readonly #records = new Map<number, Session<D>>();
  /** Connections that the stage has. */
  readonly #attached = new Map<number, Session<D>>();
  /** What the cap counts: sockets that are open, also those that only linger, and what the stage has. */
  readonly #permits = new Map<number, Socket>();
  /** Everything that a drain waits for bumps it. */
  readonly #changes: Generation;
  readonly #counters: SupervisorCounters = newCounters();
  readonly #sessionOwner: SessionOwner<D>;
  readonly #connectionOwner: ConnectionOwner<D>;
  #handling = 0;
  #state: SupervisorStatus['state'] = 'running';
  /** Whoever has nothing under way is sent away. */
  #draining = false;
  /** The drain is not to wait any longer. */
  #hurried = false;
  #shutdown: Promise<void> | null = null;
  readonly #closed: Promise<void>;
  #resolveClosed: () => void = () => {};
  #rejectClosed: (error: unknown) => void = () => {};

  /** @internal */
  constructor({ stage, timers, stopAccepting }: SupervisorParts, options: CheckedSupervisor<D>) {
    this.#stage = stage;
    this.#timers = timers;
    this.#options = options;
    this.#stopAccepting = stopAccepting;
    this.#changes = new Generation(timers);
    this.#urgent = new Urgent(timers);
    const { limits, protocol, services, logger } = options;
    const counters = this.#counters;
    this.#services = new Services(services, logger);
    this.#admission = new Admission({ stage, urgent: this.#urgent, counters, logger });
    this.#pushes = new Pushes({
      stage,
      timers,
      limits,
      protocol,
      counters,
      isTracked: (session) => this.#records.get(session.id) === session,
      onTooMany: (session) => this.#fail(session, 'too-many-pushes'),
    });
    this.#sessionOwner = this.#ownSessions();
    this.#connectionOwner = {
      push: (id, payload, pushOptions) => this.push(id, payload, pushOptions),
      disconnect: (id, disconnectOptions) => this.disconnect(id, disconnectOptions),
      subscribe: (connection, topic) => this.#subscribe(connection, topic),
    };
    stage.on('dropped', this.#onDropped);
    stage.on('closed', this.#onClosed);
    stage.closed.then(() => this.#urgent.stop());
    this.#closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    // Whoever asks for it hears of a failure; nobody asking is no reason to end the process.
    this.#closed.catch(() => {});
  }

  /** Settles with the shutdown, whoever asked for it. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Whether the connection is there and has not ended. */
  isTracked(connectionId: number): boolean {
    return this.#records.has(connectionId);
  }

  /** Connections that are tracked. */
  activeCount(): number {
    return this.#records.size;
  }

  /** One that is tracked. */
  connection(connectionId: number): Connection<D> | undefined {
    return this.#records.get(connectionId)?.connection;
  }

  /** All that are tracked, as of now. */
  connections(): Connection<D>[] {
    return [...this.#records.values()].map(({ connection }) => connection);
  }

  /** How it stands, and what it has counted so far: a copy. */
  status(): SupervisorStatus {
    const { ended, refused, ...counters } = this.#counters;
    return {
      state: this.#state,
      active: this.#records.size,
      attached: this.#attached.size,
      permits: this.#permits.size,
      handling: this.#handling,
      pendingPushes: this.#pushes.pending,
      ...counters,
      ended: { ...ended },
      refused: { ...refused },
    };
  }

  /**
   * Takes a connected socket, and owns it from then on: one that is refused is closed. When it returns, the connection is
   * tracked and counted.
   *
   * @param options.connectionId the id to use instead of the next one; above all earlier ids
   * @returns the connection id
   * @throws AckgateError ERR_ACKGATE_TOO_MANY_CONNECTIONS or ERR_ACKGATE_SHUTTING_DOWN: the client is told why;
   *   whatever else `Stage.attach` throws, such as ERR_ACKGATE_CONNECTION_ID_IN_USE
   */
  spawn(socket: Socket, options: { readonly connectionId?: number } = {}): number {
    if (typeof socket?.on !== 'function') throw argument('socket', 'a net.Socket');
    // Also for one that is refused: a reset must not end the process.
    socket.on('error', () => {});
    if (this.#state !== 'running') throw this.#admission.refuseForShutdown(socket);
    const { limits, protocol } = this.#options;
    if (this.#permits.size >= limits.connections) {
      throw this.#admission.refuseForCap(socket, limits.connections);
    }
    // The application's own code first: if that throws, there is nothing to take back.
    const decoder = this.#admission.prepare(socket, () => protocol.decoder(limits.frameBytes));
    const id = this.#admission.attach(socket, options);
    const connection = new Connection<D>(id, socket.remoteAddress, this.#connectionOwner);
    const parts = { limits, protocol, timers: this.#timers, owner: this.#sessionOwner };
    const session = new Session(connection, socket, decoder, parts);
    this.#records.set(id, session);
    this.#attached.set(id, session);
    this.#permits.set(id, socket);
    this.#counters.spawned++;
    connection.current = 'live';
    this.#listen(socket, session);
    this.#welcome(session);
    // One whose client had ended its stream before it came here says so no more.
    if (socket.readableEnded) session.end();
    return id;
  }

  /**
   * Sends a client something that it is to answer. Not gated: what it says must need no durability.
   *
   * @param payload at most `ring.maxPayload` bytes of the stage (at least 448), less the 9 that go in front
   * @param options.deadlineMs how long it waits for its reply (default: as long as the connection lives)
   * @returns what waits for the reply
   * @throws PushDisconnected the connection has ended
   * @throws AckgateError ERR_ACKGATE_TOO_MANY_PUSHES: the client left too many unanswered, is told so, and its connection
   *   ends; ERR_ACKGATE_CONTROL_FULL: the stage has too much to do, try again; ERR_ACKGATE_OUT_OF_RANGE: the payload is
   *   too large. Nothing was sent in any of these cases.
   */
  push(connectionId: number, payload: Uint8Array, options: PushOptions = {}): PushAwaiter {
    checkKeys('push options', options, pushKeys);
    const { deadlineMs = null } = options;
    if (!(payload instanceof Uint8Array)) throw argument('payload', 'a Uint8Array');
    if (deadlineMs !== null) checkMs('deadlineMs', deadlineMs);
    const session = this.#records.get(connectionId);
    if (session === undefined) throw new PushDisconnected(connectionId);
    return this.#pushes.push(session, payload, deadlineMs);
  }

  /**
   * Ends a connection; nothing more is read from it, and of what was read no request is handed over any more.
   *
   * @param options.when `drained` (default): once its handlers have settled and what was published for it has gone;
   *   `now`: at once
   * @param options.reason sends a disconnect frame with this reason before, 0 … 255, unless it was sent one already
   * @returns false when it had ended already
   * @throws AckgateError ERR_ACKGATE_OUT_OF_RANGE, ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION
   */
  disconnect(connectionId: number, options: DisconnectOptions = {}): boolean {
    checkKeys('disconnect options', options, disconnectKeys);
    const { when = 'drained', reason = null } = options;
    if (when !== 'drained' && when !== 'now') throw argument('when', '"drained" or "now"');
    if (reason !== null) checkReason(reason);
    const session = this.#records.get(connectionId);
    if (session === undefined) return false;
    session.stopReading();
    session.stopRequests();
    this.#remove(session, { outcome: 'finished', reason: 'server-disconnect' });
    this.#leave(session, reason, when);
    return true;
  }

  /**
   * Tells every client that has subscribed to something, and was not told yet, that the server goes away. Best effort;
   * they stay connected and tracked.
   *
   * @returns how many were told
   */
  notifyShutdown(): number {
    let told = 0;
    for (const session of [...this.#records.values()]) {
      if (session.told || session.connection.subscriptions.size === 0) continue;
      // Before writing: whatever comes in between, there is no second one.
      session.told = true;
      this.#stage.notify(session.id, DisconnectReason.shutdown);
      told++;
    }
    this.#counters.notices += told;
    return told;
  }

  /**
   * Closes every connection at once, whatever it has under way; each is sent a disconnect frame, unless it was before.
   *
   * @returns how many were closed
   */
  forceClose(): number {
    const sessions = [...this.#attached.values()];
    for (const session of sessions) {
      session.stopReading();
      session.stopRequests();
      this.#remove(session, { outcome: 'finished', reason: 'force-close' });
      this.#leave(session, DisconnectReason.shutdown, 'now');
    }
    return sessions.length;
  }

  /**
   * Asks every service to flush, one after the other, whatever becomes of the others.
   *
   * @throws FlushError with the failure of each service that could not, or was not done in time
   */
  flushDurable(): Promise<void> {
    return this.#services.flush(this.#timers, this.#options.flushMs);
  }

  /**
   * Ends everything in order: readiness off, no new connections, notice, drain, force-close, flush, stage, health server.
   * Every stage runs, also when one before it has failed. Started once: later calls wait for the same end.
   *
   * @param options.drainMs how long to wait for work under way, in milliseconds (default: the option of `supervise`)
   * @throws ShutdownError with everything that has failed
   */
  shutdown(options: { readonly drainMs?: number } = {}): Promise<void> {
    let drainMs: number;
    try {
      checkKeys('shutdown options', options, ['drainMs']);
      drainMs = checkDrainMs(options.drainMs ?? this.#options.drainMs);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#shutdown !== null) return this.#shutdown;
    this.#state = 'shutting-down';
    const { logger, health, flushMs } = this.#options;
    logger.info({ drainMs, connections: this.#records.size }, 'shutting down');
    this.#shutdown = runStages(
      {
        readiness: () => within(this.#timers, settleMs, () => health?.withdraw()),
        accepting: () => this.#stopAccepting(),
        notify: () => this.notifyShutdown(),
        drain: () => this.#drain(drainMs),
        'force-close': () => this.#closeTheRest(),
        flush: () => this.flushDurable(),
        stage: () => this.#stage.close({ drainMs: 0 }),
        health: () => within(this.#timers, flushMs, () => health?.close()),
      },
      logger,
      () => this.#timers.now(),
    ).finally(() => {
      this.#state = 'closed';
      this.#stage.off('dropped', this.#onDropped);
      this.#stage.off('closed', this.#onClosed);
    });
    this.#shutdown.then(this.#resolveClosed, this.#rejectClosed);
    return this.#shutdown;
  }

  /** As `shutdown()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** Makes a shutdown that has begun wait no longer for work under way, but force-close what is left. */
  hurry(): void {
    if (this.#shutdown === null) return;
    this.#hurried = true;
    this.#changes.bump();
  }

  /** @internal An accept that failed for want of descriptors. */
  acceptFailed(): void {
    this.#counters.acceptErrors++;
  }

  #listen(socket: Socket, session: Session<D>): void {
    socket.on('data', (chunk: Buffer) => session.receive(chunk));
    socket.on('end', () => session.end());
    // The stage hears of it itself, by the socket's `close`.
    socket.on('error', (error) => this.#readFailed(session, error));
    socket.on('close', () => {
      if (session.broken === null) this.#remove(session, { outcome: 'finished', reason: 'socket-closed' });
      session.socketClosed = true;
      this.#release(session);
    });
    // One that was paused, by its server or its former owner, would never be heard.
    socket.resume();
  }

  #readFailed(session: Session<D>, error: NodeJS.ErrnoException): void {
    const end = { outcome: 'crashed', reason: 'read-error', error } as const;
    // A reset looks the same from here whether the client or the stage has sent it, and the stage is about to say.
    if (resetCodes.has(error.code ?? '') && this.isTracked(session.id)) {
      session.broken = end;
      // A stage that is busy must not keep those waiting that wait for a reply.
      session.cancelBroken = this.#timers.after(brokenMs, () => this.#remove(session, end));
    } else this.#remove(session, end);
  }

  /** Its permit is free once neither the stage nor the kernel has anything of it. */
  #release(session: Session<D>): void {
    if (session.socketClosed && !this.#attached.has(session.id)) this.#permits.delete(session.id);
    this.#changes.bump();
  }

  #welcome(session: Session<D>): void {
    const { connection } = session;
    const { onConnection } = this.#options;
    try {
      if (onConnection !== null) connection.data = onConnection(connection);
      if (types.isPromise(connection.data)) {
        connection.data.catch((error) => this.#fail(session, 'handler-failed', error));
      }
    } catch (error) {
      this.#fail(session, 'handler-failed', error);
    }
    this.#services.welcome(session, () => this.isTracked(session.id));
  }

  #ownSessions(): SessionOwner<D> {
    return {
      handle: (session, body) => {
        this.#counters.requests++;
        return this.#options.onFrame(session.connection, body);
      },
      reply: (session, reply) => this.#pushes.reply(session, reply),
      left: (session, reason) => this.#finish(session, reason),
      failed: (session, reason, error) => this.#fail(session, reason, error),
      handling: (change) => {
        this.#handling += change;
        if (change < 0) this.#changes.bump();
      },
      idle: (session) => {
        if (session.leaving !== null) this.#depart(session);
        else if (this.#draining) this.#finish(session, 'shutdown');
      },
    };
  }

  readonly #onDropped = ({ connectionId, reason }: DroppedEvent) => {
    this.#gone(connectionId, { outcome: 'dropped', reason });
  };

  readonly #onClosed = ({ connectionId }: ClosedEvent) => {
    this.#gone(connectionId, { outcome: 'finished', reason: 'server-disconnect' });
  };

  /** The stage has let go of a connection. */
  #gone(connectionId: number, end: ConnectionEnd): void {
    const session = this.#attached.get(connectionId);
    if (session === undefined) return;
    this.#attached.delete(connectionId);
    session.leaving = null;
    session.stopReading();
    session.stopRequests();
    const { broken } = session;
    this.#remove(session, broken !== null && !stagesOwn.has(end.reason) ? broken : end);
    this.#release(session);
  }

  /** In order: what was asked for before is handled, and what is published for it by then is sent. */
  #finish(session: Session<D>, reason: OwnEndReason): void {
    if (!this.#remove(session, { outcome: 'finished', reason })) return;
    session.stopReading();
    this.#leave(session, endingOf(reason).told, 'drained');
  }

  /** By its own fault: nothing more of it is handled, but what was published for it is sent. */
  #fail(session: Session<D>, reason: OwnEndReason, error?: unknown): void {
    session.stopReading();
    session.stopRequests();
    if (!this.#remove(session, { outcome: 'crashed', reason, error })) {
      // It had ended before; what its handler throws is still worth a line.
      if (error !== undefined) {
        this.#options.logger.warn({ connectionId: session.id, err: error }, 'handler failed after the end');
      }
      return;
    }
    session.leaving = { reason: this.#reasonFor(session, endingOf(reason).told) };
    this.#depart(session);
  }

  /** Every end comes through here: first the record, then what waits on it, then the services. False: it was done. */
  #remove(session: Session<D>, end: ConnectionEnd): boolean {
    const { id, connection } = session;
    if (this.#records.get(id) !== session) return false;
    this.#records.delete(id);
    session.cancelBroken();
    connection.current = end.outcome;
    for (const slot of [...session.pushes.values()]) slot.disconnect();
    this.#counters.ended[end.reason]++;
    this.#changes.bump();
    this.#logEnd(session, end);
    this.#services.goodbye(session, end);
    return true;
  }

  #logEnd(
    { connection: { id, remoteAddress } }: Session<D>,
    { outcome, reason, error }: ConnectionEnd,
  ): void {
    const { logger } = this.#options;
    const fields = { connectionId: id, remoteAddress, reason, ...(error !== undefined && { err: error }) };
    if (outcome === 'crashed') logger.warn(fields, 'connection crashed');
    else logger.debug(fields, `connection ${outcome}`);
  }

  /** Has the stage end it: once its requests are handled, or now. */
  #leave(session: Session<D>, reason: number | null, when: 'drained' | 'now'): void {
    // One that was to be told once its requests are handled was told nothing so far.
    const told = session.leaving?.reason ?? this.#reasonFor(session, reason);
    if (when === 'now') {
      session.leaving = null;
      this.#tellStage(session.id, when, told);
      return;
    }
    session.leaving = { reason: told };
    if (session.isIdle) this.#depart(session);
  }

  #depart(session: Session<D>): void {
    const { leaving, id } = session;
    if (leaving === null) return;
    session.leaving = null;
    this.#tellStage(id, 'drained', leaving.reason);
  }

  #tellStage(id: number, when: 'drained' | 'now', reason: number | null): void {
    const options = reason === null ? { when } : { when, reason };
    this.#urgent.run(() => this.#stage.disconnect(id, options));
  }

  /** A client is sent one disconnect frame at most. */
  #reasonFor(session: Session<D>, reason: number | null): number | null {
    if (reason === null || session.told) return null;
    session.told = true;
    return reason;
  }

  #subscribe(connection: Connection<D>, topic: string): void {
    if (typeof topic !== 'string' || topic === '') throw argument('topic', 'a text that is not empty');
    const session = this.#records.get(connection.id);
    if (session === undefined || connection.topics.has(topic)) return;
    const { subscriptions } = this.#options.limits;
    if (connection.topics.size >= subscriptions) {
      this.#fail(session, 'too-many-subscriptions');
      throw new AckgateError(
        'ERR_ACKGATE_TOO_MANY_SUBSCRIPTIONS',
        `connection ${connection.id} has ${subscriptions} subscriptions, which is all that it may have`,
      );
    }
    connection.topics.add(topic);
  }

  /** Waits for work, not for sockets: whoever has none is sent away at once. */
  async #drain(drainMs: number): Promise<void> {
    const until = this.#timers.now() + drainMs;
    this.#draining = true;
    for (const session of [...this.#attached.values()]) {
      session.stopRequests();
      if (!session.isIdle) continue;
      if (session.leaving !== null) this.#depart(session);
      else this.#finish(session, 'shutdown');
    }
    const isDone = () => this.#hurried || (this.#attached.size === 0 && this.#handling === 0);
    await this.#waitUntil(until, isDone);
  }

  async #closeTheRest(): Promise<void> {
    for (const { connection } of this.#attached.values()) {
      const { id, remoteAddress } = connection;
      this.#options.logger.warn({ connectionId: id, remoteAddress }, 'connection force-closed');
    }
    this.forceClose();
    const until = this.#timers.now() + settleMs;
    await this.#waitUntil(until, () => this.#permits.size === 0);
    // Clients that don't end their side: the process is not to wait for them.
    for (const socket of this.#permits.values()) socket.destroy();
  }

  /** Waits until something holds, at most until a time. */
  async #waitUntil(until: number, holds: () => boolean): Promise<void> {
    for (;;) {
      const seen = this.#changes.value;
      const leftMs = until - this.#timers.now();
      if (holds() || leftMs <= 0) return;
      await this.#changes.wait(seen, leftMs);
    }
  }
}
