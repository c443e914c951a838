import type { BlockedWatch } from '../egress/blocked-watch.js';
import { SlotState } from '../egress/connection-table.js';
import type { Egress } from '../egress/egress.js';
import type { Framing } from '../encode/framing.js';
import type { ConnectionHandlers } from './control.js';
import type { DrainList } from './drain-list.js';
import type { Heartbeats } from './heartbeats.js';
import type { LastRecords } from './last-records.js';
import type { RecordDiagnosis } from './record-diagnosis.js';

export interface ConnectionParts {
  egress: Egress;
  framing: Framing;
  heartbeats: Heartbeats;
  blocked: BlockedWatch;
  leaving: DrainList;
  lastRecords: LastRecords;
  diagnosis: RecordDiagnosis;
  /** Of this round, monotonic nanoseconds. */
  nowNs: () => number;
  onPushed: () => void;
}

/** What the stage does on commands about one connection. Those for a connection that is gone do nothing. */
export function connectionHandlers(parts: ConnectionParts): ConnectionHandlers {
  const { egress, framing, heartbeats, blocked, leaving, lastRecords, diagnosis, nowNs, onPushed } = parts;
  const slotOf = (id: number) => egress.table.find(id);
  const say = (slot: number, frame: Uint8Array) => egress.appendBytes(slot, frame, nowNs());
  return {
    attach(id, slot, fd) {
      blocked.opened(slot);
      lastRecords.opened(slot, id);
      egress.open(slot, id, fd, nowNs());
      if (egress.table.state[slot] === SlotState.open) heartbeats.opened(slot, nowNs());
    },
    disconnectNow(id, reason) {
      const slot = slotOf(id);
      if (slot < 0) return;
      // Whoever was to be told behind its last record is told now; twice it is not.
      const farewell = leaving.farewellOf(slot) ?? (reason === null ? null : framing.disconnect(reason));
      if (farewell !== null && !say(slot, farewell)) return;
      // With it goes what was appended in this very round: a notice, answers that are released.
      if (egress.dirty.has(slot)) egress.flush(nowNs());
      egress.disconnect(slot);
    },
    disconnectDrained(id, position, reason) {
      const slot = slotOf(id);
      if (slot < 0) return;
      const drainedAt = lastRecords.drainedAt(slot, position);
      leaving.add(slot, position, drainedAt, reason === null ? null : framing.disconnect(reason));
    },
    push(id, source, from, length) {
      const slot = slotOf(id);
      if (slot >= 0 && egress.appendFrame(slot, source, from, length, null, nowNs())) onPushed();
    },
    busy(id) {
      const slot = slotOf(id);
      if (slot >= 0) say(slot, framing.serverBusy);
    },
    notice(id, reason) {
      const slot = slotOf(id);
      if (slot >= 0) say(slot, framing.disconnect(reason));
    },
    tenant(id, key) {
      const slot = slotOf(id);
      if (slot >= 0) diagnosis.sessions.tenant[slot] = key;
    },
    raise(id, level, expiresAt) {
      const slot = slotOf(id);
      if (slot >= 0) diagnosis.raise(slot, level, expiresAt);
    },
  };
}
