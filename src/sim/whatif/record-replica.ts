import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { FileJournal } from '../../journal/file-journal.js';
import { monotonicNow } from '../../shared/clock.js';
import { ackWireBytes, recordWireBytes } from './record-wire.js';

/** A replica: journals what the primary sends, and acknowledges what it has in memory and on disk. */
export interface ReplicaInput {
  port: number;
  directory: string;
  turns: SharedArrayBuffer;
}

/** When an acknowledgement of the disk was sent, and for which sequence: what `Turn` calls it. */
export interface ReplicaReport {
  acks: { sequence: number; sentNs: number }[];
}

const { port, directory, turns } = workerData as ReplicaInput;
const journal = await FileJournal.open({ directory, turns });
const socket = connect({ port, host: '127.0.0.1', noDelay: true });
const payload = Buffer.alloc(recordWireBytes);
const acks: ReplicaReport['acks'] = [];
let rest = Buffer.alloc(0);
let inMemory = 0;
let isWaiting = false;

function acknowledge(): void {
  const frame = Buffer.alloc(ackWireBytes);
  frame.writeDoubleLE(inMemory, 0);
  frame.writeDoubleLE(journal.primaryCursor, 8);
  socket.write(frame);
  const last = acks.at(-1)?.sequence ?? 0;
  if (journal.primaryCursor > last) acks.push({ sequence: journal.primaryCursor, sentNs: monotonicNow() });
}

async function tellPersisted(): Promise<void> {
  if (isWaiting) return;
  isWaiting = true;
  while (journal.primaryCursor < inMemory) {
    await journal.whenPersisted(Math.min(inMemory, journal.primaryCursor + 1));
    acknowledge();
  }
  isWaiting = false;
}

socket.on('data', (chunk) => {
  rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
  const whole = rest.length - (rest.length % recordWireBytes);
  for (let at = 0; at < whole; at += recordWireBytes) inMemory = journal.append(payload);
  rest = rest.subarray(whole);
  acknowledge();
  tellPersisted();
});
socket.on('close', async () => {
  await journal.close();
  parentPort?.postMessage({ acks } satisfies ReplicaReport);
});
socket.on('error', () => {});
parentPort?.postMessage('ready');
