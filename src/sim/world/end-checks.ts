import { SimulationFailure } from '../failure.js';
import type { World } from './world.js';

/** What must hold once the stage has ended: everything was given back, and the counters add up. */
export function checkEnd({ stage, server, sender, records }: World): void {
  const { counters } = stage.egress;
  const { recordsReleased, recordsDiscarded, bytesAppended, bytesSent, bytesUnsent } = counters;
  const { recordsIn } = stage;
  if (server.connected > 0) throw wrong('I06', `${server.connected} connections never ended`);
  if (server.openSockets > 0) throw wrong('I06', `${server.openSockets} descriptors were left open`);
  if (sender.openSlots > 0) throw wrong('I06', `${sender.openSlots} slots were left in the kernel`);
  const drops = sum(Object.values(server.drops));
  const counted = sum([...counters.drops]);
  if (drops !== counted) throw wrong('I06', `${drops} drops were told, ${counted} were counted`);

  // A batch that fails in its middle has released records that it has not taken out of the ring.
  if (server.fatal === null && recordsIn !== recordsReleased + recordsDiscarded) {
    throw wrong('I11', `${recordsIn} records in, ${recordsReleased} released, ${recordsDiscarded} discarded`);
  }
  if (bytesAppended !== bytesSent + bytesUnsent) {
    throw wrong('I11', `${bytesAppended} bytes appended, ${bytesSent} sent, ${bytesUnsent} unsent`);
  }
  const accepted = sum(server.everyone.map(({ ledger }) => ledger.accepted)) - server.bytesBeside;
  // A stage that ends at once does not wait for the last results, and takes no more records.
  const abandoned = server.exiting || server.fatal !== null || (server.drops['stage-failed'] ?? 0) > 0;
  const exact = !abandoned && !server.drops['drain-timeout'];
  if (accepted < bytesSent || (exact && accepted !== bytesSent)) {
    throw wrong('I11', `the kernel has ${accepted} bytes, and ${bytesSent} count as sent`);
  }
  if (!abandoned && recordsIn !== records.count) {
    throw wrong('I11', `${records.count} records were published, ${recordsIn} taken`);
  }
}

function wrong(invariant: 'I06' | 'I11', message: string): SimulationFailure {
  return new SimulationFailure(invariant, message);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
