// The same server with the supervisor: caps, isolation, and a shutdown that loses nothing.
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { FileJournal, journalFull } from 'ackgate/journal';
import { supervise } from 'ackgate/supervisor';
import { Engine } from './engine.mjs';
import { linesProtocol } from './lines-protocol.mjs';

const journal = await FileJournal.open({ directory: process.argv[2] ?? 'journal' });
const framing = new URL('lines-framing.mjs', import.meta.url);
const stage = await startStage({ policy: 'local', framing, heartbeatIntervalMs: 0, connections: 320 });
await journal.drive(stage);
const engine = new Engine();
for (const { payload } of journal.replay()) engine.accept(Buffer.from(payload).toString());

const server = createServer();
const supervisor = supervise(server, {
  stage,
  protocol: linesProtocol,
  async onFrame(connection, body) {
    const request = Buffer.from(body).toString();
    if (request === 'quit') {
      await answer(connection.id, 0, ['bye']);
      connection.disconnect();
    } else if (request === 'last') {
      await answer(connection.id, journal.lastSequence, engine.last());
    } else {
      const { wireSeq, text } = await accept(request);
      await answer(connection.id, wireSeq, [text]);
    }
  },
  services: [{ name: 'journal', flush: () => journal.flush() }],
  limits: { frameBytes: 400 },
});
supervisor.closed.finally(() => journal.close());
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
  if (published !== 'ok') throw new Error(`an answer could not be published: ${published}`);
}
