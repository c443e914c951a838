import type { Socket } from 'node:net';
import type { AckgateError } from '../../errors.js';
import type { Stage } from '../../stage/api.js';
import { checkSupervisorOptions } from '../../supervisor/options.js';
import { type SupervisedStage, Supervisor } from '../../supervisor/supervisor.js';
import { SimulatedJournal } from '../cluster/journal.js';
import { exponential } from '../distributions.js';
import { FaultBox } from '../faults.js';
import { Random } from '../random.js';
import { Timeline } from '../timeline.js';
import { Mark, Trace } from '../trace.js';
import { Answers } from './answers.js';
import { Application } from './application.js';
import { Client } from './client.js';
import { ControlThread } from './control-thread.js';
import type { SupervisorFailure } from './invariants.js';
import type { SupervisedParts } from './parts.js';
import { Peers } from './peers.js';
import type { SupervisorScenario } from './scenario.js';
import { ShutdownWatch } from './shutdown-watch.js';
import { SimulatedStage } from './simulated-stage.js';
import { countingProtocol } from './turn-count.js';

/** Not 0, which means "never" in some places. */
const startNs = 1e9;
const firstFd = 10;
/** Everything that was under way when the shutdown had ended has come to its end by then. */
const afterNs = 6e9;
/** Nanoseconds per millisecond of a drain between two things that happen in it. */
const drainGap = 2e4;
/** A run that does not end. */
const turnsMax = 300_000;

export interface SupervisedOptions {
  /** Keep what happens, to read. */
  trace?: boolean;
}

/** The shipped supervisor before the shipped stage, and clients and an application around them, in virtual time. */
export class SupervisedWorld {
  readonly timeline = new Timeline(startNs);
  readonly trace: Trace;
  readonly supervisor: Supervisor;
  readonly thread: ControlThread;
  readonly application: Application;
  readonly shutdown: ShutdownWatch;
  readonly peers: Peers;
  failure: SupervisorFailure | null = null;
  /** Tasks run when the shutdown began. */
  tasksBefore = 0;
  readonly #parts: SupervisedParts;
  readonly #stage: SimulatedStage;
  readonly #journal: SimulatedJournal;
  readonly #clients: Client[] = [];
  readonly #turns: ReturnType<typeof countingProtocol>;

  constructor(scenario: SupervisorScenario, options: SupervisedOptions = {}) {
    const { timeline } = this;
    this.trace = new Trace(() => timeline.nowNs, options.trace);
    const random = new Random(scenario.seed ^ 0x5eed);
    const thread = new ControlThread(timeline, random.fork(), scenario.latenessNs, () => this.#stage.wake());
    this.thread = thread;
    const faults = new FaultBox(scenario.faults, random.fork(), scenario.slots, () => timeline.nowNs);
    const broken: SupervisedParts['broken'] = (invariant, message) => {
      this.failure ??= { invariant, message, atNs: timeline.nowNs - startNs, task: thread.tasks };
    };
    this.peers = new Peers({
      scenario,
      broken,
      trace: this.trace,
      now: () => timeline.nowNs,
      shuttingDown: () => this.shutdown.begun,
      forcing: () => this.shutdown.forcing,
    });
    const stageParts = { scenario, timeline, thread, random: random.fork(), faults, watch: this.peers };
    this.#stage = new SimulatedStage(stageParts);
    const { view } = this.#stage;
    this.#journal = new SimulatedJournal({
      timeline,
      random: random.fork(),
      sync: exponential(scenario.syncNs / 4, scenario.syncNs),
      onPersisted: (seq) => view.cursors.primary.advance(seq),
    });
    const journal = this.#journal;
    const answers = new Answers({
      producer: view.producer,
      trace: this.trace,
      broken,
      persisted: () => journal.persisted,
      journal: (seq) => journal.append(seq),
    });
    this.#parts = {
      scenario,
      random,
      timeline,
      thread,
      faults,
      trace: this.trace,
      answers,
      pushes: [],
      gapNs: () => {
        const leastNs = this.shutdown.begun ? scenario.drainMs * drainGap : 0;
        return Math.ceil(random.exponential(Math.max(leastNs, scenario.actGapNs)));
      },
      broken,
    };
    this.application = new Application(this.#parts, this.peers);
    this.shutdown = new ShutdownWatch(this.#parts);
    this.#turns = countingProtocol(broken);
    const { limits, services, flushMs } = { ...scenario, services: this.application.services };
    const supervised = this.#stage as unknown as SupervisedStage;
    this.supervisor = new Supervisor(
      { stage: supervised, timers: thread, stopAccepting: () => this.shutdown.stopAccepting() },
      checkSupervisorOptions({
        // Not used here: the supervisor is given it above.
        stage: supervised as Stage,
        onFrame: this.application.handle,
        onConnection: (connection) => {
          const peer = this.peers.of(connection.id);
          peer.connection = connection;
          if (!random.chance(scenario.trouble / 4)) return;
          // No service has heard of it, so none will tell us.
          peer.end = { outcome: 'crashed', reason: 'handler-failed' };
          throw new Error('this connection was told not to be');
        },
        services,
        limits,
        flushMs,
        protocol: this.#turns.protocol,
        health: this.shutdown,
        signals: false,
        logger: this.shutdown.logger(),
      }),
    );
    this.application.use(this.supervisor);
    this.shutdown.use(this.supervisor);
    this.peers.use(this.supervisor);
  }

  get elapsedNs(): number {
    return this.timeline.nowNs - startNs;
  }

  /** The whole story: life, shutdown, and what is left of it. Ends early at the first thing that is wrong. */
  async run(): Promise<void> {
    this.#start();
    const { timeline, thread, shutdown } = this;
    const { random, scenario } = this.#parts;
    for (let turn = 0; this.failure === null; turn++) {
      if (timeline.nowNs > shutdown.settledNs + afterNs) break;
      if (turn > turnsMax) this.#parts.broken('S09', 'the run does not come to an end');
      // The two threads go on beside each other.
      if (thread.idle || random.chance(0.4)) this.#stageTurn();
      if (thread.idle) continue;
      await thread.runOne();
      if (thread.tasks === scenario.shutdownAfterTask) this.#beginShutdown();
      this.#check();
    }
    if (this.failure === null) this.#checkEnd();
  }

  #stageTurn(): void {
    try {
      this.#stage.turn(this.thread.idle);
    } catch (error) {
      this.#parts.broken('S15', `the stage has failed: ${(error as Error).stack}`);
    }
    this.shutdown.checkTime();
  }

  #start(): void {
    const { timeline, random, scenario, thread } = this.#parts;
    const lifeNs = Math.min(scenario.shutdownNs * 1.2, 1e9);
    for (let i = 0; i < scenario.clients; i++) {
      timeline.after(random.chance(0.5) ? random.below(1e6) : random.below(lifeNs), () => this.#connect());
    }
    const turn = () => {
      if (this.shutdown.settled) return;
      this.#act();
      thread.later(this.#parts.gapNs(), turn);
    };
    thread.later(this.#parts.gapNs(), turn);
    thread.later(scenario.shutdownNs, () => this.#beginShutdown());
  }

  #beginShutdown(): void {
    if (!this.shutdown.begun) this.tasksBefore = this.thread.tasks;
    this.shutdown.begin();
  }

  #connect(): void {
    const client = new Client(this.#parts, firstFd + this.#clients.length);
    this.#clients.push(client);
    client.start();
    this.thread.post(() => this.#accept(client));
  }

  #accept(client: Client): void {
    const { broken, trace, scenario, random } = this.#parts;
    const { supervisor, peers, shutdown } = this;
    // What the kernel still has waiting is reset by it; an accept that was under way is not.
    if (shutdown.notAccepting && random.chance(0.5)) {
      client.socket.destroy();
      return;
    }
    peers.arriving(client);
    const full = peers.permits >= scenario.limits.connections;
    const used = peers.all.length > 0 && random.chance(0.05) ? random.pick(peers.all).id : null;
    try {
      const id = supervisor.spawn(
        client.socket as unknown as Socket,
        used === null ? {} : { connectionId: used },
      );
      if (used !== null) broken('S07', `id ${used} was given a second time`);
      const peer = peers.accepted(id);
      trace.note(Mark.control, 1, id);
      if (shutdown.begun || full)
        broken('S06', `connection ${id} was taken ${full ? 'above the cap' : 'in a shutdown'}`);
      if (!supervisor.isTracked(id) && peer.end === null && peer.connectedBy.length > 0) {
        broken('S01', `connection ${id} is not tracked, and nobody was told of its end`);
      }
    } catch (error) {
      const { code, stack } = error as AckgateError;
      trace.say(Mark.control, `refused ${code}`);
      peers.refused();
      const expected = shutdown.begun
        ? 'ERR_ACKGATE_SHUTTING_DOWN'
        : full
          ? 'ERR_ACKGATE_TOO_MANY_CONNECTIONS'
          : null;
      if (expected !== null && code !== expected) broken('S06', `refused by ${code}, not ${expected}`);
      if (expected === null && used === null && !this.#mayRefuse(code)) broken('S06', `refused: ${stack}`);
    }
  }

  /** Reasons that are the stage's own. */
  #mayRefuse(code: string): boolean {
    if (code === 'ERR_ACKGATE_CONTROL_FULL' || code === 'ERR_ACKGATE_SOCKET_DESTROYED') return true;
    if (code === 'ERR_ACKGATE_STAGE_CLOSED') return this.#parts.faults.fired.exit !== undefined;
    return code === 'ERR_ACKGATE_TOO_MANY_CONNECTIONS' && this.peers.inStage >= this.#parts.scenario.slots;
  }

  /** One of the things that an application does by itself, or that happen to it. */
  #act(): void {
    const { random, faults, broken } = this.#parts;
    const { supervisor, application, peers } = this;
    const likely = random.chance(0.8) ? peers.all.filter(({ attached }) => attached) : peers.all;
    const peer = likely.length === 0 ? null : random.pick(likely);
    if (faults.strikes('journal-stall')) this.#journal.stall(random.magnitude(1e5, 500e6));
    if (faults.strikes('stage-pause')) this.#stage.pause(random.magnitude(1e4, 20e6));
    if (faults.strikes('exit', 0.05)) this.#stage.abandon();
    if (peer !== null && !peer.refused) {
      if (random.chance(0.3)) this.#pushTo(peer);
      if (random.chance(0.3)) application.answer(peer, false);
      if (random.chance(0.05)) application.disconnect(peer);
    }
    if (random.chance(0.1)) {
      const tracked = supervisor.activeCount();
      supervisor.notifyShutdown();
      if (supervisor.activeCount() !== tracked) broken('S05', 'notifyShutdown() has ended a connection');
    }
    if (random.chance(0.02)) application.forceClose();
    if (random.chance(0.1)) application.flush();
    if (random.chance(0.2)) this.#connectMore();
  }

  #pushTo(peer: Parameters<Application['answer']>[0]): void {
    const { pushing } = this.application;
    const push = pushing?.push(peer) ?? null;
    if (push !== null && this.#parts.random.chance(0.8)) pushing?.wait(push);
  }

  #connectMore(): void {
    if (this.#clients.length < 2 * this.#parts.scenario.clients) this.#connect();
  }

  #check(): void {
    this.#turns.next();
    this.application.check();
    this.peers.check(this.application.running);
    this.shutdown.check(this.peers.idleCount);
    this.shutdown.checkTime();
    const { timersSet } = this.thread;
    if (timersSet > this.application.timersMax) this.#parts.broken('S14', `${timersSet} timers are set`);
  }

  #checkEnd(): void {
    const { broken } = this.#parts;
    this.application.pushing?.checkEnd();
    this.peers.checkEnd(this.application.requests);
    const { timersSet } = this.thread;
    if (timersSet > 0) broken('S14', `${timersSet} timers are left`);
    for (const { socket } of this.#clients) {
      if (!socket.destroyed) broken('S06', 'a socket was left open');
      else if (socket.kernel.accepted > 0 && !socket.kernel.closed)
        broken('S06', 'a descriptor was left open');
    }
  }
}
