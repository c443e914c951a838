import type { AckgateError } from '../../errors.js';
import type { Connection } from '../../supervisor/connection.js';
import type { ConnectionEnd } from '../../supervisor/ends.js';
import type { Service } from '../../supervisor/options.js';
import { FlushError } from '../../supervisor/shutdown.js';
import type { Supervisor } from '../../supervisor/supervisor.js';
import { bodyHeadBytes } from '../model/ledger.js';
import { RequestTag, requestHeadBytes } from './client.js';
import type { SupervisedParts } from './parts.js';
import type { Peer } from './peer.js';
import type { Peers } from './peers.js';
import { Pushing } from './pushing.js';

/** How a request is handled; the second list only in trouble. */
const ways = ['now', 'now', 'now', 'later', 'later', 'asks', 'subscribes'] as const;
const badWays = [
  'throws',
  'throws-nothing',
  'rejects',
  'rejects-nothing',
  'never',
  'disconnects',
  'pushes-on',
  'subscribes-on',
  'thenable',
] as const;
const retryMs = 0.05;
/** Of the shutdown, and of calls that are tried again. */
const timersBesides = 4;
/** So many are decoded at most, and so many of those that waited are handed over. */
const requestsPerTurnMax = 2 * 32;

/** What is done with the supervisor: handlers and services, good and bad ones. */
export class Application {
  /** Requests in the handler. */
  running = 0;
  requests = 0;
  pushing: Pushing | null = null;
  readonly services: Service[];
  readonly #parts: SupervisedParts;
  readonly #peers: Peers;
  #flushes = 0;
  readonly #mustBeGone: Peer[] = [];
  #supervisor: Supervisor | null = null;

  constructor(parts: SupervisedParts, peers: Peers) {
    this.#parts = parts;
    this.#peers = peers;
    this.services = Array.from({ length: parts.scenario.services }, (_, number) => this.#service(number));
  }

  use(supervisor: Supervisor): void {
    this.#supervisor = supervisor;
    this.pushing = new Pushing(this.#parts, supervisor);
  }

  get supervisor(): Supervisor {
    return this.#supervisor as Supervisor;
  }

  readonly handle = (connection: Connection, body: Uint8Array): void | PromiseLike<void> => {
    const { random, scenario, thread, broken } = this.#parts;
    const peer = this.#peers.of(connection.id);
    this.requests++;
    if (peer.turn !== thread.tasks) peer.handedOver = 0;
    peer.turn = thread.tasks;
    if (++peer.handedOver === requestsPerTurnMax + 1) {
      broken('S13', `more than ${requestsPerTurnMax} requests of connection ${peer.id} in one turn`);
    }
    this.#checkHandedOver(peer, body);
    const isBad = body[0] === RequestTag.nonsense || random.chance(scenario.trouble);
    const way = body[0] === RequestTag.nonsense ? 'throws' : random.pick<string>(isBad ? badWays : ways);
    this.running++;
    peer.running++;
    return this.#begin(way, peer, connection);
  };

  /** Behind every task. */
  check(): void {
    const { broken } = this.#parts;
    for (const peer of this.#mustBeGone.splice(0)) {
      peer.handlerFailed = true;
      if (this.supervisor.isTracked(peer.id)) {
        broken('S01', `connection ${peer.id} goes on although its handler has failed`);
      }
    }
    this.pushing?.check();
  }

  answer(peer: Peer, handling: boolean): boolean {
    const { random, answers, scenario } = this.#parts;
    return answers.publish(peer, random.between(bodyHeadBytes, scenario.payloadBytes), handling);
  }

  /** Disconnects it in one of the ways there are. */
  disconnect(peer: Peer): void {
    const { random, broken } = this.#parts;
    const when = random.chance(0.5) ? 'now' : 'drained';
    const tracked = this.supervisor.isTracked(peer.id);
    if (tracked && when === 'now') peer.forced = true;
    const done = this.supervisor.disconnect(peer.id, {
      when,
      ...(random.chance(0.5) && { reason: random.between(64, 255) }),
    });
    if (done !== tracked) broken('S01', `disconnect() said ${done} of connection ${peer.id}`);
    if (this.supervisor.isTracked(peer.id))
      broken('S01', `connection ${peer.id} is there after disconnect()`);
  }

  forceClose(): void {
    this.#peers.force();
    this.supervisor.forceClose();
    if (this.supervisor.activeCount() > 0) this.#parts.broken('S06', 'forceClose() has left a connection');
  }

  /** More timers than that are not needed for what is waited for just now. */
  get timersMax(): number {
    const { pendingPushes } = this.supervisor.status();
    return pendingPushes + (this.pushing?.waiting ?? 0) + this.#flushes + timersBesides;
  }

  async flush(): Promise<void> {
    const { broken, scenario } = this.#parts;
    const fails = scenario.troubles.includes('flush');
    this.#flushes++;
    try {
      await this.supervisor.flushDurable();
      if (fails) broken('S15', 'flushDurable() hides that a service failed');
    } catch (error) {
      const typed = error instanceof FlushError && error.failures.length === 1;
      if (!fails || !typed) broken('S15', `flushDurable() has thrown ${(error as Error).stack}`);
    } finally {
      this.#flushes--;
    }
  }

  #begin(way: string, peer: Peer, connection: Connection): void | PromiseLike<void> {
    const { random } = this.#parts;
    switch (way) {
      case 'now':
        for (let i = random.below(3); i >= 0; i--) this.answer(peer, true);
        this.#done(peer);
        return;
      case 'throws':
      case 'throws-nothing':
        if (random.chance(0.5)) this.answer(peer, true);
        this.#failed(peer);
        throw way === 'throws' ? new Error('this handler was told to throw') : undefined;
      case 'never':
        peer.stuck++;
        return new Promise(() => {});
      case 'thenable':
        return this.#thenable(peer);
      default:
        return this.#later(way, peer, connection).finally(() => this.#done(peer));
    }
  }

  async #later(way: string, peer: Peer, connection: Connection): Promise<void> {
    const { random, thread } = this.#parts;
    // Most are quick; some take longer than a drain does.
    if (random.chance(0.7)) await thread.sleep(random.magnitude(1, random.chance(0.1) ? 1500 : 40) / 2);
    switch (way) {
      case 'asks':
        await this.#ask(peer);
        break;
      case 'subscribes':
        this.#subscribe(connection, 1);
        break;
      case 'subscribes-on':
        this.#subscribe(connection, 6);
        break;
      case 'pushes-on':
        for (let i = 0; i < 7; i++) this.pushing?.push(peer);
        break;
      case 'disconnects':
        this.disconnect(peer);
        break;
      case 'rejects':
      case 'rejects-nothing':
        this.#mustBeGone.push(peer);
        throw way === 'rejects' ? new Error('this handler was told to reject') : undefined;
    }
    await this.#answerLater(peer);
  }

  async #ask(peer: Peer): Promise<void> {
    const push = this.pushing?.push(peer) ?? null;
    if (push !== null) await this.pushing?.wait(push);
  }

  async #answerLater(peer: Peer): Promise<void> {
    const { thread, random } = this.#parts;
    for (let tries = 0; tries < 20 && !this.answer(peer, true); tries++) await thread.sleep(retryMs);
    if (random.chance(0.3)) await thread.sleep(random.magnitude(1, 20) / 10);
    if (random.chance(0.3)) this.answer(peer, true);
  }

  /** Not a promise, and one that says more than one thing. */
  #thenable(peer: Peer): PromiseLike<void> {
    const { thread } = this.#parts;
    const then = (resolve: () => void, reject: (error: Error) => void) => {
      thread.later(1e6, () => {
        this.answer(peer, true);
        this.#done(peer);
        resolve();
        reject(new Error('too late to matter'));
        resolve();
      });
    };
    return { then } as unknown as PromiseLike<void>;
  }

  #subscribe(connection: Connection, topics: number): void {
    const { random, scenario, broken } = this.#parts;
    const { subscriptions } = scenario.limits;
    for (let i = 0; i < topics; i++) {
      try {
        connection.subscribe(topics === 1 ? `topic ${random.below(3)}` : `subject ${i}`);
      } catch (error) {
        const { code, stack } = error as AckgateError;
        if (code !== 'ERR_ACKGATE_TOO_MANY_SUBSCRIPTIONS') broken('S15', `subscribe() has thrown ${stack}`);
        if (this.supervisor.isTracked(connection.id)) {
          broken('S06', `connection ${connection.id} has subscribed to too much, and stays`);
        }
      }
      if (connection.subscriptions.size > subscriptions) {
        broken('S06', `connection ${connection.id} has ${connection.subscriptions.size} subscriptions`);
      }
    }
  }

  #done(peer: Peer): void {
    this.running--;
    peer.running--;
  }

  #failed(peer: Peer): void {
    this.#done(peer);
    this.#mustBeGone.push(peer);
  }

  #checkHandedOver(peer: Peer, body: Uint8Array): void {
    const { broken, scenario } = this.#parts;
    const wrong = (message: string) => broken('S12', `connection ${peer.id}: ${message}`);
    if (peer.running >= scenario.limits.handling) wrong(`${peer.running + 1} requests are handled at once`);
    if (peer.end !== null && !['end-of-stream', 'client-disconnect'].includes(peer.end.reason)) {
      wrong(`a request was handed over after its end, ${peer.end.reason}`);
    }
    if (peer.handlerFailed) wrong('a request was handed over after the handler had failed');
    if (body[0] !== RequestTag.order) return;
    const number =
      body.length < requestHeadBytes ? -1 : new DataView(body.buffer, body.byteOffset).getUint32(1, true);
    if (number !== peer.handled + 1) wrong(`request ${number} came behind request ${peer.handled}`);
    peer.handled = number;
  }

  #service(number: number): Service {
    const { random, scenario, thread } = this.#parts;
    const name = `service ${number}`;
    const fails = () => random.chance(scenario.trouble);
    return {
      name,
      connected: (connection) => {
        this.#connected(this.#peers.of(connection.id), number);
        if (fails()) this.disconnect(this.#peers.of(connection.id));
        if (fails()) this.pushing?.push(this.#peers.of(connection.id));
        return trip(fails, fails);
      },
      disconnected: (connection, end) => {
        this.#disconnected(this.#peers.of(connection.id), number, end);
        // What a service does when it is told must not come in the way of what is going on.
        if (fails()) this.supervisor.notifyShutdown();
        if (fails() && fails()) this.forceClose();
        return trip(fails, fails);
      },
      flush: async () => {
        if (random.chance(0.3)) await thread.sleep(random.magnitude(1, 50) / 10);
        const breaks = scenario.troubles.includes('flush') && number === 0;
        if (!breaks) return;
        if (random.chance(0.5)) throw new Error(`${name} was told not to flush`);
        await new Promise(() => {});
      },
    };
  }

  #connected(peer: Peer, service: number): void {
    const { broken } = this.#parts;
    if (peer.connectedBy.at(-1) !== (service === 0 ? undefined : service - 1)) {
      broken('S01', `service ${service} was told of connection ${peer.id} out of turn`);
    }
    if (peer.end !== null)
      broken('S01', `service ${service} was told of connection ${peer.id} after its end`);
    peer.connectedBy.push(service);
  }

  #disconnected(peer: Peer, service: number, end: ConnectionEnd): void {
    const { broken } = this.#parts;
    const who = `service ${service}, connection ${peer.id}`;
    if (this.supervisor.isTracked(peer.id)) broken('S01', `${who}: told of its end before it was removed`);
    if (!peer.connectedBy.includes(service))
      broken('S01', `${who}: told of its end, but never that it was there`);
    if (peer.disconnectedBy.includes(service)) broken('S01', `${who}: told of its end twice`);
    if (peer.disconnectedBy.length > 0 && (peer.disconnectedBy.at(-1) as number) > service) {
      broken('S01', `${who}: told of its end out of turn`);
    }
    const pending = this.pushing?.pendingOf(peer) ?? 0;
    if (pending > 0) broken('S02', `${who}: told of its end while ${pending} pushes waited`);
    peer.end ??= end;
    peer.disconnectedBy.push(service);
  }
}

/** Throws, or rejects, or does neither. */
function trip(throws: () => boolean, rejects: () => boolean): Promise<never> | null {
  if (throws()) throw new Error('this service was told to throw');
  if (rejects()) return Promise.reject(new Error('this service was told to reject'));
  return null;
}
