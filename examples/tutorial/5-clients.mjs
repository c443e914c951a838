import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { FileJournal, journalFull } from 'ackgate/journal';
import { supervise } from 'ackgate/supervisor';
import { logger } from './logger.mjs';
import { accept } from './orders.mjs';

const journal = await FileJournal.open({ directory: process.argv[2] ?? 'journal' });
const stage = await startStage({ policy: 'local', connections: 320, logger });
await journal.drive(stage);

/**
 * One order of one client; the next one comes when this has returned.
 *
 * @param {import('ackgate/supervisor').Connection} connection
 * @param {Uint8Array} order
 */
async function onFrame({ id: connectionId }, order) {
  let wireSeq = journal.append(order);
  for (; wireSeq === journalFull; wireSeq = journal.append(order)) await sleep(1);
  const answer = { connectionId, wireSeq, payload: accept(wireSeq, order), lastInRequest: true };
  while (stage.producer.tryPublish(answer) === 'full') await sleep(1);
}

const server = createServer();
const supervisor = supervise(server, {
  stage,
  onFrame,
  services: [{ name: 'journal', flush: () => journal.flush() }],
  limits: { connections: 256, frameBytes: 400 },
  logger,
});
supervisor.closed.finally(() => journal.close());
journal.failed.then(() => process.exit(1)); // nothing can be acknowledged any more
stage.once('fatal', () => process.exit(1));
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () =>
  console.log(`listening, pid ${process.pid}`),
);
