/** How to soak the server next to it: `ackgate soak smoke --driver dist/request-reply/soak-driver.js`. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { ControlTag } from 'ackgate';
import { batchSize, type SoakDriver } from 'ackgate/soak';
import { LengthPrefixDecoder } from 'ackgate/supervisor';

const server = `${import.meta.dirname}/server.js`;
const frame = (text: string) =>
  Buffer.concat([Buffer.of(text.length, text.length >> 8, 0, 0), Buffer.from(text)]);

export default (): SoakDriver => ({
  name: 'key–value store',
  operations: ['simple', 'batch'],
  requestBytesMax: 400,
  server: ({ directory, port }) => ({ command: process.execPath, args: [server, directory, `${port}`] }),
  sampleRequest: () => frame('get color'),
  async connect({ host, port, client, events, signal }) {
    const frames = new LengthPrefixDecoder(65_536);
    /** The answers that are due, in this order. The last one to an operation says which it was. */
    const due: { text: string; done?: number }[] = [];
    let [value, answer] = ['', ''];

    /** Sets the client's own key, or gets what it was set to. */
    function request(id: number, bytes: number): Buffer {
      const get = value !== '' && id % 2 === 0;
      if (!get) value = `${id}`.padEnd(bytes, '.');
      due.push({ text: get ? `is ${value}` : 'done' });
      return frame(get ? `get key-${client}` : `set key-${client} ${value}`);
    }
    function take(body: Uint8Array): void {
      if (body[0] >= 0x20) answer += Buffer.from(body);
      if (body[0] !== ControlTag.endOfBatch) return;
      const { text, done } = due.shift() ?? { text: 'nothing' };
      if (answer !== text) events.violated('corrupted', `"${answer}" where "${text}" was due`);
      if (done !== undefined) events.answered(done, 'success');
      answer = '';
    }

    const socket = connect({ host, port, signal, noDelay: true });
    await once(socket, 'connect');
    socket.on('error', () => {});
    socket.on('close', () => events.closed(socket.errored?.message ?? 'the connection has ended'));
    socket.on('data', (chunk) => {
      frames.push(chunk);
      for (let body = frames.next(); body !== null; body = frames.next()) take(body);
    });
    return {
      socket,
      send({ id, operation, bytes }) {
        if (!socket.writable) return false;
        for (let n = operation === 'batch' ? batchSize : 1; n > 0; n--) socket.write(request(id, bytes));
        due.at(-1)!.done = id;
        return true;
      },
      close: async () => void (socket.closed || (await once(socket.end(), 'close'))),
    };
  },
});
