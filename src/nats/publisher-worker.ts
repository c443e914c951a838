import { workerData } from 'node:worker_threads';
import { AckgateError } from '../errors.js';
import { writeFailure } from '../journal/memory.js';
import { told } from '../journal/writer-thread.js';
import { batchHeaderBytes, recordOverheadBytes } from './batch-codec.js';
import { connectNats } from './connect.js';
import { writeHistory } from './history-file.js';
import { subjectsOf } from './messages.js';
import { takeOffice } from './office.js';
import { readPromise } from './promise-file.js';
import { closeConnection, Publisher, type PublisherData, post } from './publisher.js';

/** In office when this resolves: it is written down, and nobody who answered has more. */
async function open(data: PublisherData): Promise<Publisher> {
  const { cluster, node, primaryId, servers, directory, log, takeOver, replicas, recordBytesMax } = data;
  const nats = await connectNats(servers, `ackgate ${cluster} primary ${node}`);
  try {
    const room = (nats.connection.info?.max_payload ?? 0) - batchHeaderBytes - recordOverheadBytes;
    if (recordBytesMax > room) {
      const message =
        `recordBytesMax is ${recordBytesMax}, but the NATS server takes records of ${room} bytes at most ` +
        '(its max_payload): lower the one or raise the other';
      throw new AckgateError('ERR_ACKGATE_NATS_SERVER', message);
    }
    const subjects = subjectsOf(cluster);
    const promised = readPromise(directory);
    const candidate = { node, primaryId, log, promised, takeOver, replicas };
    const history = await takeOffice(nats, subjects, candidate);
    writeHistory(directory, history);
    const publisher = new Publisher(data, nats, subjects, history);
    publisher.listen();
    post({ type: 'opened', term: history.terms.at(-1)!.term });
    return publisher;
  } catch (error) {
    await closeConnection(nats, false);
    throw error;
  }
}

const data = workerData as PublisherData;
const publisher = await open(data).catch((error: unknown) => {
  post({ type: 'refused', ...told(error) });
  return null;
});
if (publisher !== null) {
  try {
    await publisher.run();
  } catch (error) {
    writeFailure(data.memory, (error as Error).message);
    post({ type: 'moved' });
  }
  await publisher.close();
}
// Nothing that a connection may have left behind keeps this thread, and with it `close` of the journal.
process.exit();
