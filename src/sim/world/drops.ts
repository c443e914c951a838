import { constants } from 'node:os';
import type { DroppedEvent } from '../../stage/api.js';
import { SimulationFailure } from '../failure.js';
import type { Client } from './clients.js';

const { ECONNRESET, EPIPE } = constants.errno;
/**
 * A blocked peer is looked at once per tick, and its queue is first looked at in the second tick behind its last progress:
 * what it took before that is not seen.
 */
const unseenNs = 20e6;

export interface DropContext {
  fenced: boolean;
  /** When a stage that was told to end has to be through; Infinity: it was not told. */
  drainUntilNs: number;
  failed: boolean;
  blockedTimeoutNs: number;
  blockedTotalNs: number;
  /** Time in which the stage was kept from running, since then. */
  pausedSince: (ns: number) => number;
}

/** A drop has a reason that the world knows of, and leaves no answer without its end. */
export function checkDrop(client: Client, event: DroppedEvent, context: DropContext): void {
  const why = unjustified(client, event, context);
  if (why !== null) {
    throw new SimulationFailure('I06', `client ${client.id} was dropped as ${event.reason}, though ${why}`);
  }
  const { ledger } = client;
  // A stage that ends at once does not wait for the last results: what it calls unsent may have been.
  if (context.failed || event.reason === 'drain-timeout') return;
  if (!ledger.endsWhole(event.bytesUnsent)) {
    throw new SimulationFailure(
      'I02',
      `client ${client.id}: ${event.bytesUnsent} bytes unsent end within an answer`,
    );
  }
}

function unjustified(client: Client, event: DroppedEvent, context: DropContext): string | null {
  const { socket, closing } = client;
  const { errno } = event;
  switch (event.reason) {
    case 'overflow':
      return closing?.waited ? null : 'the kernel had taken all that it was given';
    case 'blocked': {
      if (context.blockedTotalNs > 0) return null;
      const nowNs = closing?.nowNs ?? 0;
      const silentNs = nowNs - socket.takenNs;
      const { blockedTimeoutNs } = context;
      const unlooked = unseenNs + context.pausedSince(nowNs - blockedTimeoutNs - unseenNs);
      return silentNs >= blockedTimeoutNs - unlooked ? null : `it took bytes ${silentNs} ns before`;
    }
    case 'reset':
      return (errno === ECONNRESET || errno === EPIPE) && client.errno !== 0
        ? null
        : `its peer had not gone (${errno})`;
    case 'send-error':
      return errno === client.errno && errno !== 0 ? null : `nobody had seen the error ${errno}`;
    case 'fenced':
      return context.fenced ? null : 'there was no fence';
    case 'drain-timeout':
      return (closing?.nowNs ?? 0) >= context.drainUntilNs ? null : 'there was time left to drain';
    case 'disconnected':
      return client.drainedAfter === -1 ? null : 'nobody had asked for its end at once';
    case 'stage-failed':
      return context.failed ? null : 'the stage had not failed';
  }
}
