import type { SupervisorLimits } from '../../supervisor/options.js';
import type { Supervisor } from '../../supervisor/supervisor.js';
import { Mark, type Trace } from '../trace.js';
import type { Client } from './client.js';
import type { Broken } from './invariants.js';
import type { NodeSocket } from './node-socket.js';
import { Peer } from './peer.js';
import type { StageWatch } from './simulated-stage.js';

/** Retries of a control call included. */
const leavesWithinNs = 100e6;

export interface PeersParts {
  readonly scenario: { readonly limits: SupervisorLimits };
  readonly trace: Trace;
  readonly broken: Broken;
  /** Virtual nanoseconds. */
  readonly now: () => number;
  readonly shuttingDown: () => boolean;
  /** Whether the shutdown has come to force-closing. */
  readonly forcing: () => boolean;
}

/** All connections there were, as they must be, held against what supervisor and stage say of them. */
export class Peers implements StageWatch {
  readonly all: Peer[] = [];
  readonly #parts: PeersParts;
  readonly #byId = new Map<number, Peer>();
  readonly #clients = new Map<Peer, Client>();
  #supervisor: Supervisor | null = null;
  #arriving: Client | null = null;
  #latest: Peer | null = null;
  #refusals = 0;

  constructor(parts: PeersParts) {
    this.#parts = parts;
  }

  use(supervisor: Supervisor): void {
    this.#supervisor = supervisor;
  }

  of(id: number): Peer {
    return this.#byId.get(id) as Peer;
  }

  /** Connections that hold a permit. */
  get permits(): number {
    return this.all.filter(({ attached, socketClosed, refused }) => !refused && (attached || !socketClosed))
      .length;
  }

  /** Those that the stage has, refused ones included. */
  get inStage(): number {
    return this.all.filter(({ attached }) => attached).length;
  }

  /** Connections that are tracked and have nothing under way. */
  get idleCount(): number {
    return this.all.filter(({ id, running }) => running === 0 && this.#supervisor?.isTracked(id)).length;
  }

  /** All are about to be closed, whatever they have under way. */
  force(): void {
    for (const peer of this.all) peer.forced = true;
  }

  arriving(client: Client): void {
    this.#arriving = client;
    this.#latest = null;
  }

  accepted(id: number): Peer {
    const peer = this.#latest;
    this.#latest = null;
    if (peer?.id !== id) this.#parts.broken('S07', `spawn() gave id ${id}, the stage ${peer?.id}`);
    return peer as Peer;
  }

  refused(): void {
    this.#refusals++;
    if (this.#latest !== null) this.#latest.refused = true;
  }

  attached(id: number, socket: NodeSocket): void {
    if (this.#byId.has(id)) this.#parts.broken('S07', `connection id ${id} was used again`);
    const peer = new Peer(id, socket);
    socket.once('close', () => {
      peer.socketClosed = true;
    });
    const client = this.#arriving as Client;
    client.peer = peer;
    this.#latest = peer;
    this.#clients.set(peer, client);
    this.#byId.set(id, peer);
    this.all.push(peer);
  }

  told(id: number, reason: number, byNotice: boolean): void {
    const peer = this.of(id);
    this.#parts.trace.note(Mark.control, 2, id, reason);
    peer.told.push(reason);
    if (peer.told.length > 1) this.#parts.broken('S05', `connection ${id} is sent a second disconnect frame`);
    if (byNotice && peer.connection?.subscriptions.size === 0) {
      this.#parts.broken('S05', `connection ${id} is told of a shutdown, and has subscribed to nothing`);
    }
    if (!byNotice) peer.farewell = true;
  }

  leaving(id: number, when: 'drained' | 'now' | 'closed'): void {
    const { trace, broken, forcing } = this.#parts;
    trace.note(Mark.control, 3, id, when === 'drained' ? 0 : 1);
    const peer = this.of(id);
    peer.leaving = true;
    if (when === 'drained') return;
    // A refused one is told why, and has nothing else coming.
    const asked = peer.forced || forcing() || peer === this.#latest || peer.refused;
    if (when === 'now' && !asked) broken('S10', `connection ${id} is ended at once, and nobody wants that`);
    peer.forced = true;
  }

  ended(id: number, reason: string | null): void {
    const { broken, trace } = this.#parts;
    const peer = this.of(id);
    trace.say(Mark.event, `${id} ${reason}`);
    if (!peer.attached) broken('S06', `the stage has ended connection ${id} twice`);
    peer.attached = false;
    if (reason !== null) return;
    this.#clients.get(peer)?.serverEnded();
    if (peer.forced || peer.refused) return;
    this.#checkOwed(peer);
  }

  threw(error: unknown): void {
    this.#parts.broken('S15', `the supervisor has thrown ${(error as Error)?.stack ?? error}`);
  }

  /** Behind every task. */
  check(running: number): void {
    const { broken, scenario } = this.#parts;
    const status = (this.#supervisor as Supervisor).status();
    const attached = this.all.filter((peer) => peer.attached && !peer.refused).length;
    const { permits } = this;
    const cap = scenario.limits.connections;
    if (status.attached !== attached) broken('S06', `attached ${status.attached}, the stage has ${attached}`);
    if (status.permits !== permits) broken('S06', `permits ${status.permits}, ${permits} are held`);
    if (status.permits > cap) broken('S06', `${status.permits} connections, above the cap of ${cap}`);
    if (status.active > status.attached)
      broken('S06', `${status.active} active, ${status.attached} attached`);
    if (status.handling !== running)
      broken('S06', `${status.handling} handled, the application has ${running}`);
    for (const peer of this.all) {
      if (peer.refused) continue;
      const tracked = (this.#supervisor as Supervisor).isTracked(peer.id);
      if (!peer.attached) {
        if (tracked) broken('S01', `connection ${peer.id} is tracked after its end`);
      } else if (tracked || peer.leaving || peer.running > 0) peer.staysSinceNs = Number.POSITIVE_INFINITY;
      else this.#checkLeaves(peer);
    }
  }

  /** One that has ended and has nothing under way is to leave the stage, also when the control ring was full. */
  #checkLeaves(peer: Peer): void {
    const now = this.#parts.now();
    peer.staysSinceNs = Math.min(peer.staysSinceNs, now);
    if (now - peer.staysSinceNs > leavesWithinNs) {
      this.#parts.broken('S06', `connection ${peer.id} has ended, and the stage was not told`);
    }
  }

  checkEnd(requests: number): void {
    const { broken } = this.#parts;
    const status = (this.#supervisor as Supervisor).status();
    const stuck = this.all.reduce((sum, peer) => sum + peer.stuck, 0);
    const spawned = this.all.filter(({ refused }) => !refused);
    const sum = (counts: Record<string, number>) =>
      Object.values(counts).reduce((total, count) => total + count, 0);
    const expected = {
      state: 'closed',
      active: 0,
      attached: 0,
      permits: 0,
      handling: stuck,
      pendingPushes: 0,
      spawned: spawned.length,
      requests,
    } as const;
    for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
      if (status[name] !== expected[name]) broken('S06', `${name} is ${status[name]}, not ${expected[name]}`);
    }
    if (sum(status.ended) !== spawned.length) {
      broken('S01', `${sum(status.ended)} ends of ${spawned.length} connections`);
    }
    if (sum(status.refused) !== this.#refusals) {
      broken('S06', `${sum(status.refused)} refusals counted of ${this.#refusals}`);
    }
    for (const { id, connectedBy, disconnectedBy } of spawned) {
      if (connectedBy.join() === disconnectedBy.join()) continue;
      broken(
        'S01',
        `connection ${id}: services ${connectedBy} were told of it, ${disconnectedBy} of its end`,
      );
    }
  }

  /** A connection has ended in order: what must have come before? */
  #checkOwed(peer: Peer): void {
    const { broken, shuttingDown } = this.#parts;
    const { id, answersGot, owed, end } = peer;
    if (answersGot < owed)
      broken('S10', `connection ${id} ended behind ${answersGot} answers, of ${owed} owed to it`);
    if (peer.farewell && peer.disconnectsGot === 0)
      broken('S10', `client ${id} was not told why it was sent away`);
    const { sent } = this.#clients.get(peer) as Client;
    if (end?.reason !== 'end-of-stream' || peer.handlerFailed || shuttingDown()) return;
    if (peer.handled !== sent)
      broken('S12', `connection ${id}: ${peer.handled} of ${sent} requests were handed over`);
  }
}
