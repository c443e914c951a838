// What the Node senders of bench/62-isolation.mjs share: healthy clients that stay, patients that are replaced for each
// section, and the commands
//
//   admit                              waits for new patients; the first time, for everybody
//   paced RATE TICK SECONDS BYTES      as in bench/reference/server.c
//   dismiss                            disconnects the patients
//
// Each is answered with one line of JSON.
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { monotonicNow } from '../../dist/shared/clock.js';

const lookMs = 50;

/** Whether the position is a patient's: patients stand between the healthy, evenly. */
export function isPatient(position, clients, patients) {
  return Math.floor(((position + 1) * patients) / clients) > Math.floor((position * patients) / clients);
}

/**
 * The engine's clock, for a thread of its own: calls `tick` with the time that it is meant for, as often as it is due.
 * Whoever is late catches up. Sleeps in between.
 */
export function runTicks({ rate, perTick, seconds }, tick) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  const tickNs = (perTick * 1e9) / rate;
  const ticks = Math.floor((seconds * 1e9) / tickNs);
  const startNs = monotonicNow() + 1e6;
  for (let done = 0; done < ticks; ) {
    const meantNs = startNs + done * tickNs;
    const nowNs = monotonicNow();
    if (meantNs > nowNs) {
      Atomics.wait(never, 0, 0, (meantNs - nowNs) / 1e6);
      continue;
    }
    tick(Math.floor(meantNs));
    done++;
  }
  return ticks * perTick;
}

/**
 * @param {object} sender
 * @param {(socket: import('node:net').Socket) => unknown} sender.admit takes a new client; what it returns stands for it
 * @param {(clients: unknown[], pace: object) => Promise<object>} sender.paced sends to `clients` in turn
 * @param {(patients: unknown[]) => Promise<void> | void} sender.dismiss lets go of those that are still there
 */
export async function serveWard({ admit, paced, dismiss }) {
  const [clientCount, patientCount] = process.argv.slice(2, 4).map(Number);
  const arrived = new EventEmitter();
  const waiting = [];
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {}); // A client that went away: what it did not get is counted where it was to arrive.
    waiting.push(socket);
    arrived.emit('one');
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  console.log(JSON.stringify({ port: server.address().port }));

  const clients = new Array(clientCount).fill(null);
  const sick = clients.map((_, position) => isPatient(position, clientCount, patientCount));
  const commands = {
    async admit() {
      const free = clients.flatMap((client, position) => (client === null ? [position] : []));
      while (waiting.length < free.length) await once(arrived, 'one');
      // In the order of the positions: the bench connects them so.
      for (const position of free) clients[position] = admit(waiting.shift());
      return { admitted: free.length };
    },
    paced(rate, perTick, seconds, bytes) {
      return paced(clients, { rate, perTick, seconds, bytes });
    },
    async dismiss() {
      await dismiss(clients.filter((_, position) => sick[position]));
      for (const position of clients.keys()) if (sick[position]) clients[position] = null;
      return { dismissed: patientCount };
    },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, ...words] = line.split(' ');
    if (!Object.hasOwn(commands, name)) throw new Error(`unknown command: ${line}`);
    console.log(JSON.stringify(await commands[name](...words.map(Number))));
  }
  process.exit(0);
}

/** What `work` gives, and by how many bytes this process grew meanwhile; calls `look` now and then. */
export async function watched(work, look = () => {}) {
  const before = process.memoryUsage.rss();
  const timer = setInterval(look, lookMs);
  try {
    const result = await work();
    return { ...result, rssGrowth: process.memoryUsage.rss() - before };
  } finally {
    clearInterval(timer);
  }
}
