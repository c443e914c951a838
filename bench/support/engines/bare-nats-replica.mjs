// A replica of `bare-nats.mjs`: appends what is published, and publishes what it has in memory and on disk.
import { connect } from '@nats-io/transport-node';
import { createTurnLog, FileJournal, readTurns } from '#ackgate/journal/index.js';
import { monotonicNow } from '#ackgate/shared/clock.js';
import { appendTo, orderBytes } from './load.mjs';

const turns = createTurnLog(1_000_000);
let read = 0;
let notices = [];

async function open({ url, index, directory }) {
  const connection = await connect({ servers: url });
  const journal = await FileJournal.open({ directory, turns });
  let isWaiting = false;
  const tell = () => {
    const { lastSequence, primaryCursor } = journal;
    connection.publish(
      'bare.ack',
      new Uint8Array(Float64Array.of(index, lastSequence, primaryCursor).buffer),
    );
    return primaryCursor;
  };
  async function persist() {
    isWaiting = true;
    while (journal.primaryCursor < journal.lastSequence) {
      await journal.whenPersisted(Math.min(journal.lastSequence, journal.primaryCursor + 1));
      const sequence = tell();
      notices.push({ sequence, sentNs: monotonicNow() });
    }
    isWaiting = false;
  }
  connection.subscribe('bare.batch', {
    callback(_, { data }) {
      for (let at = 0; at < data.length; at += orderBytes) {
        appendTo(journal, data.subarray(at, at + orderBytes));
      }
      tell();
      if (!isWaiting) persist();
    },
  });
  connection.subscribe(`bare.base.${index}`, {
    callback: (_, message) => message.respond(JSON.stringify(journal.lastSequence)),
  });
  await connection.flush();
}

/** Turns and acknowledgements since it was asked last. */
async function measured() {
  const all = readTurns(turns);
  const answer = { turns: all.slice(read), acks: notices };
  read = all.length;
  notices = [];
  return answer;
}

const commands = { open, measured };
process.on('message', ({ command, ...values }) => {
  commands[command](values).then(
    (answer) => process.send(answer ?? {}),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
