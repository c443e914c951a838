import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/**
 * The primary's half of a small replication: sends each replica the orders that it lacks, and hands what it says of
 * itself to the stage.
 *
 * @param {number} port
 * @param {import('ackgate').Stage} stage
 * @param {import('ackgate/journal').FileJournal} journal
 */
export function serveReplicas(port, stage, journal) {
  /** @type {string[]} */
  const lines = [];
  for (const { sequence, payload } of journal.replay()) note(sequence, payload);
  /** @type {Set<import('node:net').Socket>} */
  const replicas = new Set();

  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => replicas.delete(socket));
    createInterface({ input: socket }).on('line', (line) => {
      const { after, ...cursorFrame } = JSON.parse(line);
      if (after === undefined) {
        stage.cursors.ingest(cursorFrame);
        return;
      }
      for (const missing of lines.slice(after)) socket.write(missing);
      replicas.add(socket);
    });
  });
  server.listen(port, '127.0.0.1');

  /**
   * @param {number} sequence
   * @param {Uint8Array} order
   */
  function note(sequence, order) {
    const line = `${JSON.stringify({ sequence, order: Buffer.from(order).toString() })}\n`;
    lines.push(line);
    return line;
  }

  return {
    /**
     * @param {number} sequence
     * @param {Uint8Array} order
     */
    send(sequence, order) {
      const line = note(sequence, order);
      for (const socket of replicas) socket.write(line);
    },
  };
}
