// Sends its arguments as orders and prints the answers: node client.mjs 'buy 10 at 99' 'sell 5 at 101'
// EVERY=10 leaves so many milliseconds between two.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { applicationTagMin, ControlTag } from 'ackgate';
import { LengthPrefixDecoder } from 'ackgate/supervisor';
import { frame } from './frames.mjs';

const orders = process.argv.slice(2);
const socket = connect(Number(process.env.PORT ?? 7000), '127.0.0.1');
const frames = new LengthPrefixDecoder(65_536);
let answers = 0;
const start = performance.now();

socket.on('data', (chunk) => {
  frames.push(chunk);
  for (let body = frames.next(); body !== null; body = frames.next()) {
    if (body[0] === ControlTag.disconnect) {
      console.log(`the server ends this, reason ${body[1]}`);
      socket.destroy();
    }
    if (body[0] < applicationTagMin) continue; // a control frame: heartbeat, end of batch, …
    console.log(`${Buffer.from(body)}, after ${Math.round(performance.now() - start)} ms`);
    answers += 1;
    if (answers === orders.length) socket.end();
  }
});
socket.on('error', (error) => console.log(error.message));

for (const order of orders) {
  if (!socket.writable) break;
  socket.write(frame(Buffer.from(order)));
  if (process.env.EVERY !== undefined) await sleep(Number(process.env.EVERY));
}
