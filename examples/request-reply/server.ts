/** A key–value store: a change is answered, and told to subscribers, when it is on disk and not before. */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { FileJournal, journalFull } from 'ackgate/journal';
import { type Connection, supervise } from 'ackgate/supervisor';

const [directory = 'journal', port = '7000'] = process.argv.slice(2);
const logger = { ...console, debug: () => {} };
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

const journal = await FileJournal.open({ directory });
const stage = await startStage({ connections: 320, ring: { maxPayload: 2048 }, logger });
await journal.drive(stage);
const values = new Map<string, string>();
for (const { payload } of journal.replay()) apply(payload);

function apply(command: Uint8Array): string {
  const [, key = '', ...words] = textOf(command).split(' ');
  values.set(key, words.join(' '));
  return key;
}

/** Has the stage send it once everything up to `wireSeq` is on disk. */
async function publish(connectionId: number, wireSeq: number, text: string, lastInRequest = true) {
  const record = { connectionId, wireSeq, payload: Buffer.from(text), lastInRequest };
  let result = stage.producer.tryPublish(record);
  for (; result === 'full'; result = stage.producer.tryPublish(record)) await sleep(1);
  if (result !== 'ok') throw new Error(`an answer could not be published: ${result}`);
}

async function onFrame(connection: Connection, body: Uint8Array) {
  const [verb, key = ''] = textOf(body).split(' ');
  if (verb === 'set') {
    let wireSeq = journal.append(body);
    for (; wireSeq === journalFull; wireSeq = journal.append(body)) await sleep(1);
    const changed = `changed ${apply(body)} ${values.get(key)}`;
    for (const { id, subscriptions } of supervisor.connections())
      if (subscriptions.has(key)) await publish(id, wireSeq, changed, false);
    await publish(connection.id, wireSeq, 'done');
  } else if (verb === 'get') {
    // Another client may have set it a moment ago: what shows it waits for the disk like the answer to that one.
    await publish(connection.id, journal.lastSequence, `is ${values.get(key) ?? 'not set'}`);
  } else if (verb === 'subscribe') {
    const name = await connection.push(Buffer.from('who are you?'), { deadlineMs: 5000 }).receive();
    connection.subscribe(key);
    await publish(connection.id, 0, `welcome, ${textOf(name)}`);
  } else throw new Error(`no such request: ${verb}`);
}

const server = createServer();
const services = [{ name: 'journal', flush: () => journal.flush() }];
const supervisor = supervise(server, { stage, onFrame, services, limits: { frameBytes: 500 }, logger });
supervisor.closed.finally(() => journal.close());
// Nothing can be acknowledged any more; after a restart the journal has all that was.
journal.failed.then(() => process.exit(1));
stage.once('fatal', () => process.exit(1));
server.listen(Number(port), '127.0.0.1', () => console.log('listening', server.address()));
