/** Sends each argument behind the port as a request, one after the other, and prints what the server says. */
import { connect } from 'node:net';
import { ControlTag } from 'ackgate';
import { DisconnectReason, LengthPrefixDecoder, PushTag } from 'ackgate/supervisor';

const [port = '7000', ...requests] = process.argv.slice(2);
const frames = new LengthPrefixDecoder(65_536);
const socket = connect(Number(port), '127.0.0.1', next);
socket.on('data', (chunk) => {
  frames.push(chunk);
  for (let body = frames.next(); body !== null; body = frames.next()) take(Buffer.from(body));
});
socket.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
});

function next(): void {
  const request = requests.shift();
  if (request === undefined) {
    socket.end();
    return;
  }
  console.log(`> ${request}`);
  send(Buffer.from(request));
}

function send(body: Buffer): void {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(body.length);
  socket.write(Buffer.concat([header, body]));
}

function take(body: Buffer): void {
  const [tag, reason] = body;
  if (tag === ControlTag.heartbeat) return;
  if (tag === ControlTag.endOfBatch) next();
  else if (tag === PushTag.push) {
    // Its correlation id goes back in front of the answer.
    console.log(`? ${body.subarray(9)}`);
    send(Buffer.concat([Buffer.of(PushTag.reply), body.subarray(1, 9), Buffer.from('the example client')]));
  } else if (tag === ControlTag.disconnect) {
    const why = Object.entries(DisconnectReason).find(([, number]) => number === reason);
    console.log(`! the server ends this: ${why?.[0] ?? reason}`);
    socket.end();
  } else console.log(`< ${body}`);
}
