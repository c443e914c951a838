// The senders of bench/72-latency.mjs, each with a client that measures.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lastCore, place } from './cores.mjs';
import { Peer, reference } from './reference.mjs';

const folder = mkdtempSync(join(tmpdir(), 'ackgate-latency-'));
/** Where the clients write what they have measured. */
export const file = join(folder, 'samples');
const script = (name) => fileURLToPath(new URL(`../senders/${name}.mjs`, import.meta.url));

/** The C program, where liburing is. */
export function limits(more) {
  const program = reference('limit');
  return program === null
    ? []
    : [{ variant: 'limit', idle: null, argv: (c, fifo) => [program, c, fifo], ...more }];
}

/** How each variant is started; `idle` is the stage's strategy. */
export function variants() {
  const stage = (idle) => ({
    variant: 'ackgate',
    idle,
    argv: (c, fifo) => [script('latency-stage'), c, fifo, idle],
  });
  return [
    ...limits(),
    stage('spin'),
    stage('backoff'),
    stage('park'),
    { variant: 'net.Socket', idle: null, argv: (c, fifo) => [script('latency-socket'), c, fifo] },
  ];
}

let fifos = 0;
const senders = new Set();

process.on('exit', () => {
  // Who is stopped does not notice that this process ends.
  for (const sender of senders) sender.signal('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** Everything on the first core but the thread that sends. */
function placeThreads(sender, client, sendingThread, sendingCore) {
  const onFirst = [client.pid, sender.pid].map((pid) => place(pid, 0, { all: true }));
  return place(sendingThread, sendingCore) && onFirst.every((done) => done);
}

/** A sender and its client, connected; the sender is stopped until its turn. */
async function openPair({ variant, idle, argv, core = lastCore }, connections) {
  const fifo = join(folder, `fifo-${fifos++}`);
  execFileSync('mkfifo', [fifo]);
  const sender = new Peer(argv(String(connections), fifo));
  let client = null;
  let placed = false;
  try {
    const { port } = await sender.answer();
    client = new Peer([reference('probe'), String(port), String(connections), fifo]);
    const { thread = sender.pid } = await sender.answer();
    if (connections === 1) placed = placeThreads(sender, client, thread, core);
  } catch (error) {
    await Promise.all([sender.close(), client?.close()]);
    throw error;
  }
  sender.signal('SIGSTOP');
  senders.add(sender);
  return {
    variant,
    idle,
    core,
    client,
    sender,
    placed,
    /** While `work` runs, the sender does; nobody else's does. */
    async turn(work) {
      sender.signal('SIGCONT');
      try {
        return await work();
      } finally {
        sender.signal('SIGSTOP');
      }
    },
    async close() {
      await client.close();
      await sender.close();
      senders.delete(sender);
    },
  };
}

/** Opens a sender and its client for each of `specs`, and closes them after `work`. */
export async function withPairs(connections, specs, work) {
  const pairs = [];
  try {
    for (const variant of specs) pairs.push(await openPair(variant, connections));
    return await work(pairs);
  } finally {
    await Promise.all(pairs.map((pair) => pair.close()));
  }
}
