import { constants } from 'node:os';
import { SimulationFailure } from '../failure.js';
import type { SimulatedSocket } from '../kernel/socket.js';
import type { ClientLedger } from '../model/ledger.js';
import type { Random } from '../random.js';
import type { Scenario } from '../scenario.js';
import type { WorldParts } from './parts.js';

const { ECONNRESET, EPIPE, ETIMEDOUT, ENOTCONN } = constants.errno;

/** One client: its connection, what it must get, and how it behaves. */
export interface Client {
  readonly id: number;
  readonly slot: number;
  readonly socket: SimulatedSocket;
  readonly ledger: ClientLedger;
  /** It has stopped reading for good, faults or not. */
  dead: boolean;
  /**
   * Its end was asked for: what was published for it before the request goes first, which had so many records before
   * it; -1: at once; null: not asked for.
   */
  drainedAfter: number | null;
  /** Number of the last of those that go first, -1: none. */
  lastAnswer: number;
  /** The errno that its peer has left behind. */
  errno: number;
  ended: boolean;
  /** The stage began to end it; `waited`: for the kernel, which had not taken all that it was given. */
  closing: { how: number; waited: boolean; nowNs: number } | null;
  attachedNs: number;
  /** Node's side of the socket. */
  readonly node: NodeSide;
}

/** As much of Node's socket as the control thread's bookkeeping touches. */
export class NodeSide {
  destroyed = false;
  readonly readableEnded = true;
  #onClose: (() => void)[] = [];

  once(_event: 'close' | 'end', listener: () => void): this {
    this.#onClose.push(listener);
    return this;
  }

  destroy(): void {
    if (this.destroyed) throw new SimulationFailure('I06', 'a socket was destroyed twice');
    this.destroyed = true;
    for (const listener of this.#onClose) listener();
  }

  on(): this {
    return this;
  }
}

/** Draws how a new client behaves, and lets it. */
export function behave(client: Client, parts: WorldParts): void {
  const { faults, random, scenario, timeline } = parts;
  const { socket } = client;
  socket.bytesPerSecond = scenario.readRate;
  const later = (happening: () => void) => {
    // Half of it while orders come: trouble with an idle client shows little.
    const ordersNs = random.chance(0.5) ? scenario.orders * scenario.orderGapNs : Number.POSITIVE_INFINITY;
    const withinNs = Math.min(scenario.troubleNs, ordersNs);
    timeline.after(Math.ceil(random.exponential(withinNs / 3)), () => {
      if (!client.ended && !faults.calm) happening();
    });
  };
  if (faults.strikes('zero-window')) {
    client.dead = random.chance(0.5);
    later(() => {
      socket.bytesPerSecond = 0;
    });
  } else if (faults.strikes('trickle')) {
    later(() => {
      socket.bytesPerSecond = random.magnitude(20, 5000);
    });
  } else if (faults.strikes('slow-reader', 20)) {
    if (random.chance(0.5)) later(() => pauses(client, parts));
    else readSteadily(client, random, scenario);
  }
  if (faults.strikes('reset')) {
    later(() => goAway(client, ECONNRESET));
  } else if (faults.strikes('broken-pipe')) {
    later(() => goAway(client, random.pick([EPIPE, ETIMEDOUT, ENOTCONN])));
  }
}

function goAway(client: Client, errno: number): void {
  client.errno = errno;
  client.socket.fail(errno);
}

/**
 * Reads slowly and without a pause: the kernel says that it is writable, which is when a third of its queue is free, often
 * enough for a living client, and the stage never catches up with what it has for it.
 */
function readSteadily({ socket }: Client, random: Random, { blockedTimeoutNs, socketBytes }: Scenario): void {
  const thirdNs = blockedTimeoutNs * (0.1 + 0.7 * random.fraction());
  socket.bytesPerSecond = (socketBytes / 3 / thirdNs) * 1e9;
}

/** Reads slowly, and not at all for a while, for some turns or until faults stop. */
function pauses(client: Client, { faults, random, scenario, timeline }: WorldParts): void {
  const { socket } = client;
  const turn = (left: number) => {
    if (client.ended || left === 0 || faults.calm) return;
    socket.bytesPerSecond = 0;
    timeline.after(random.magnitude(1_000, scenario.blockedTimeoutNs * 0.8), () => {
      if (client.ended || faults.calm) return;
      socket.bytesPerSecond = random.magnitude(20_000, scenario.readRate);
      timeline.after(random.magnitude(1_000, 20e6), () => turn(left - 1));
    });
  };
  turn(random.between(1, 6));
}
