// npx ackgate soak smoke --driver 8-driver.mjs -- node --max-semi-space-size=2 6-metrics.mjs {dir}/journal
import { once } from 'node:events';
import { connect } from 'node:net';
import { applicationTagMin } from 'ackgate';
import { LengthPrefixDecoder } from 'ackgate/supervisor';
import { frame } from './frames.mjs';

/** @returns {import('ackgate/soak').SoakDriver} */
export default () => ({
  name: 'orders',
  operations: ['simple'],
  requestBytesMax: 400,
  sampleRequest: () => frame(Buffer.from('buy 10 at 99')),
  async connect({ host, port, events, signal }) {
    const frames = new LengthPrefixDecoder(65_536);
    /** @type {{ id: number, order: string }[]} */
    const due = [];
    const socket = connect({ host, port, signal, noDelay: true });
    await once(socket, 'connect');
    socket.on('error', () => {});
    socket.on('close', () => events.closed('the connection has ended'));
    socket.on('data', (chunk) => {
      frames.push(chunk);
      for (let body = frames.next(); body !== null; body = frames.next()) {
        if (body[0] < applicationTagMin) continue;
        const { id, order } = due.shift() ?? { id: 0, order: 'nothing' };
        const answer = Buffer.from(body).toString();
        const right = answer.startsWith('accepted ') && answer.endsWith(` ${order}`);
        if (!right) events.violated('corrupted', `"${answer}" where "${order}" was due`);
        events.answered(id, 'success');
      }
    });
    return {
      socket,
      send({ id, bytes }) {
        if (!socket.writable) return false;
        const order = `order ${id} `.padEnd(bytes, '.');
        due.push({ id, order });
        socket.write(frame(Buffer.from(order)));
        return true;
      },
      close: async () => void (socket.closed || (await once(socket.end(), 'close'))),
    };
  },
});
