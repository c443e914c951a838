// The journal decides when answers leave; a full ring or journal stops the reading of its client.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { FileJournal, journalFull } from 'ackgate/journal';
import { Engine } from './engine.mjs';

const journal = await FileJournal.open({ directory: process.argv[2] ?? 'journal' });
const framing = new URL('lines-framing.mjs', import.meta.url);
const stage = await startStage({ policy: 'local', framing, heartbeatIntervalMs: 0, connections: 320 });
await journal.drive(stage);
const engine = new Engine();
for (const { payload } of journal.replay()) engine.accept(Buffer.from(payload).toString());

const server = createServer(async (socket) => {
  let connectionId = 0;
  try {
    connectionId = stage.attach(socket);
  } catch {
    return void socket.destroy(); // no room for one more: it ends, and nobody else does
  }
  for await (const request of createInterface({ input: socket })) {
    if (request === 'quit') {
      await answer(connectionId, 0, ['bye']);
      break;
    } else if (request === 'last') {
      // Shows orders that may not be on disk yet, so it waits like their own answers.
      await answer(connectionId, journal.lastSequence, engine.last());
    } else {
      const { wireSeq, text } = await accept(request);
      await answer(connectionId, wireSeq, [text]);
    }
  }
  stage.disconnect(connectionId); // behind the answers that are still due
});
journal.failed.then(() => process.exit(1));
stage.once('fatal', () => process.exit(1));
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () => console.log('listening'));

/** @param {string} order */
async function accept(order) {
  let wireSeq = journal.append(Buffer.from(order));
  for (; wireSeq === journalFull; wireSeq = journal.append(Buffer.from(order))) await sleep(1);
  return { wireSeq, text: engine.accept(order) }; // with no await between, so that both take orders in one order
}

/**
 * @param {number} connectionId
 * @param {number} wireSeq
 * @param {string[]} lines
 */
async function answer(connectionId, wireSeq, lines) {
  const payload = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const record = { connectionId, wireSeq, payload, lastInRequest: true };
  let published = stage.producer.tryPublish(record);
  for (; published === 'full'; published = stage.producer.tryPublish(record)) await sleep(1);
  if (published !== 'ok') stage.disconnect(connectionId, { when: 'now' }); // too large, or the stage has ended
}
