// The stage writes; nothing is held back yet, for no answer waits for a sequence.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { startStage } from 'ackgate';
import { Engine } from './engine.mjs';

const framing = new URL('lines-framing.mjs', import.meta.url);
const stage = await startStage({ framing, heartbeatIntervalMs: 0, connections: 320 });
const engine = new Engine();
const server = createServer((socket) => {
  let connectionId = 0;
  try {
    connectionId = stage.attach(socket);
  } catch {
    return void socket.destroy(); // no room for one more: it ends, and nobody else does
  }
  const lines = createInterface({ input: socket });
  lines.on('line', (request) => {
    if (request === 'quit') {
      answer(connectionId, ['bye']);
      stage.disconnect(connectionId);
    } else if (request === 'last') {
      answer(connectionId, engine.last());
    } else {
      answer(connectionId, [engine.accept(request)]);
    }
  });
  lines.on('close', () => stage.disconnect(connectionId));
});
server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () => console.log('listening'));

/**
 * @param {number} connectionId
 * @param {string[]} lines
 */
function answer(connectionId, lines) {
  const payload = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const published = stage.producer.tryPublish({ connectionId, wireSeq: 0, payload, lastInRequest: true });
  if (published !== 'ok') stage.disconnect(connectionId, { when: 'now' }); // too large, or no room
}
