// Sends answers through a stage to clients on the loopback interface and compares every byte that arrives:
//
//   node scripts/support/binaries/try-stage.mjs FOLDER BACKEND [inline]
//
// FOLDER: an installed package; `inline`: without a thread of the stage's own. Prints one line of JSON: the backend that it came to, bytes compared, and what the log said;
// exit code 1 when a byte is missing or wrong.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, backend, inline] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(folder, path)).href);
const { createInlineStage, startStage } = await load('dist/index.js');
const { LengthPrefixDecoder } = await load('dist/supervisor/index.js');

const clients = 3;
const answers = 2_000;
const timeoutMs = 60_000;

/** The answer `index` of a client: of its own length and with its own bytes, the first of which is a kind. */
function answer(client, index) {
  const payload = new Uint8Array(1 + ((index * 37 + client) % 400));
  for (let i = 1; i < payload.length; i++) payload[i] = (index + 31 * i + 7 * client) % 251;
  payload[0] = 0x10;
  return payload;
}

const said = [];
const keep = (_, message) => said.push(message);
const logger = { debug() {}, info() {}, warn: keep, error: keep };
const options = { backend, connections: 16, heartbeatIntervalMs: 0, logger };
const stage = inline ? createInlineStage(options) : await startStage(options);
const rounds = inline && setInterval(() => stage.doWork(), 1);
const server = createServer().listen(0, '127.0.0.1');
await once(server, 'listening');

/** Settles when this client has all its answers, with how many bytes they had; rejects at the first that is not right. */
function receive(socket, client) {
  return new Promise((resolve, reject) => {
    const frames = new LengthPrefixDecoder(65_536);
    let index = 0;
    let bytes = 0;
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`client ${client}: closed after ${index} answers`)));
    socket.on('data', (chunk) => {
      frames.push(chunk);
      for (let body = frames.next(); body !== null; body = frames.next()) {
        if (Buffer.compare(body, answer(client, index)) !== 0)
          reject(new Error(`client ${client}: answer ${index} is wrong`));
        bytes += body.length;
        index += 1;
        if (index === answers) resolve(bytes);
      }
    });
  });
}

const ends = [];
for (let client = 0; client < clients; client++) {
  const accepted = once(server, 'connection');
  const socket = connect(server.address().port, '127.0.0.1');
  ends.push({ socket, received: receive(socket, client), id: stage.attach((await accepted)[0]) });
}
const overdue = setTimeout(() => {
  console.error(`not all answers came within ${timeoutMs} ms: ${JSON.stringify(stage.status())}`);
  process.exit(1);
}, timeoutMs);
for (let index = 0; index < answers; index++) {
  for (const [client, { id }] of ends.entries()) {
    const record = { connectionId: id, wireSeq: 0, payload: answer(client, index) };
    while (stage.producer.tryPublish(record) === 'full')
      await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
const bytes = (await Promise.all(ends.map(({ received }) => received))).reduce((sum, one) => sum + one, 0);
clearTimeout(overdue);
const status = stage.status();
for (const { socket } of ends) socket.removeAllListeners('close').destroy();
await stage.close();
if (rounds) clearInterval(rounds);
server.close();
console.log(JSON.stringify({ backend: status.backend, bytes, said }));
