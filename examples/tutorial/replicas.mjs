import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { logger } from './logger.mjs';

/**
 * The primary's half of a small replication: sends each replica the orders that it lacks, and hands what it says of
 * itself to the stage.
 *
 * @param {number} port
 * @param {import('ackgate').Stage} stage
 * @param {import('ackgate/journal').FileJournal} journal
 */
export function serveReplicas(port, stage, journal) {
  /**
   * Orders that the journal's files may not have yet: the others are read from there.
   * @type {{ sequence: number, line: string }[]}
   */
  const recent = [];
  /** @type {Set<import('node:net').Socket>} */
  const replicas = new Set();

  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => replicas.delete(socket));
    createInterface({ input: socket }).on('line', (text) => {
      const { node, after, last, ...cursors } = JSON.parse(text);
      if (after === undefined) {
        if (replicas.has(socket)) stage.cursors.ingest({ node, ...cursors });
      } else if (after > 0 && orderAt(after) !== last) {
        logger.error({ node, after, last }, 'replica refused: its orders are not those of this journal');
        socket.destroy();
      } else {
        for (const line of linesFrom(after + 1)) socket.write(line);
        replicas.add(socket);
      }
    });
  });
  server.listen(port, '127.0.0.1');

  /** @param {number} sequence */
  function* linesFrom(sequence) {
    let next = sequence;
    for (const record of journal.replay(sequence)) {
      yield lineOf(record.sequence, record.payload);
      next = record.sequence + 1;
    }
    for (const { sequence: at, line } of recent) if (at >= next) yield line;
  }

  /** @param {number} sequence */
  function orderAt(sequence) {
    const { value } = linesFrom(sequence).next();
    return value === undefined ? undefined : JSON.parse(value).order;
  }

  return {
    /**
     * @param {number} sequence
     * @param {Uint8Array} order
     */
    send(sequence, order) {
      const line = lineOf(sequence, order);
      while (recent.length > 0 && recent[0].sequence <= journal.primaryCursor) recent.shift();
      recent.push({ sequence, line });
      for (const socket of replicas) socket.write(line);
    },
  };
}

/**
 * @param {number} sequence
 * @param {Uint8Array} order
 */
function lineOf(sequence, order) {
  return `${JSON.stringify({ sequence, order: Buffer.from(order).toString() })}\n`;
}
