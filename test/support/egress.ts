import { ConnectionTable } from '#ackgate/egress/connection-table.js';
import { Egress } from '#ackgate/egress/egress.js';
import { sendBufferBytes } from '#ackgate/egress/sender.js';
import { lengthPrefixFraming } from '#ackgate/encode/framing.js';
import { ScriptedSender } from './scripted-sender.js';

export interface Ended {
  slot: number;
  id: number;
  /** -1: in order. */
  reason: number;
  errno: number;
  unsent: number;
}

/** An egress over a scripted kernel. Connection `slot` has the id 100 + slot. */
export function createEgress(slots = 4, resultRoom = 64, onClosing: (slot: number) => void = () => {}) {
  const fence = new Int32Array(new SharedArrayBuffer(4));
  const arena = new Uint8Array(slots * sendBufferBytes);
  const sender = new ScriptedSender(slots, arena, fence, resultRoom);
  const ended: Ended[] = [];
  /** Slots whose connections were no longer open, as they came to that. */
  const closing: number[] = [];
  const delivered: number[] = [];
  const discarded: number[] = [];
  const egress = new Egress({
    sender,
    arena,
    table: new ConnectionTable(slots),
    framing: lengthPrefixFraming,
    fence,
    onClosing: (slot) => {
      closing.push(slot);
      onClosing(slot);
    },
    onEnded: (slot, id, reason, errno, unsent) => ended.push({ slot, id, reason, errno, unsent }),
    delivery: { delivered: (slot) => delivered.push(slot), discarded: (slot) => discarded.push(slot) },
  });
  return {
    egress,
    sender,
    ended,
    closing,
    delivered,
    discarded,
    fence,
    connect(slot = 0, nowNs = 0) {
      egress.open(slot, 100 + slot, 50 + slot, nowNs);
    },
    /** The kernel lets go of a slot that was closed. */
    letGo(slot: number, nowNs = 0) {
      sender.letGo(slot);
      egress.reap(nowNs);
    },
  };
}
