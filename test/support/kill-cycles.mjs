import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { randomFrom } from '#ackgate/demo/order-mix.js';
import { RequestTag } from '#ackgate/demo/protocol.js';
import { TradingClient } from '#ackgate/demo/trading-client.js';

const serverFile = fileURLToPath(new URL('../../dist/demo/server-process.js', import.meta.url));
const tickMs = 2;

/**
 * Loads the example's server, kills it with SIGKILL at a random moment, starts it again on the same journal, and asks
 * it for every order that a client ever saw acknowledged; so many times, on the same journal. The clients keep their
 * record over all of it.
 *
 * @param {object} options
 * @param {number} options.kills
 * @param {string} options.directory where the journal is
 * @param {number} options.seed of the orders and of the moments
 * @param {number} [options.clients]
 * @param {number} [options.rate] orders per second
 * @param {number} [options.killAfterMsMax]
 * @param {'auto' | 'uring' | 'posix'} [options.backend]
 * @param {string} [options.policy]
 * @param {boolean} [options.stall] the journal stands still under load, so that nothing of it is on disk when the server dies
 * @param {(line: string) => void} [options.say]
 */
export async function killCycles(options) {
  const { kills, directory, seed, clients: count = 16, rate = 3000, killAfterMsMax = 800 } = options;
  const { backend = 'auto', policy = 'local', stall = false, say = () => {} } = options;
  const random = randomFrom(seed);
  const clients = Array.from({ length: count }, (_, i) => {
    return new TradingClient({ clientId: i + 1, seed: seed + i, ordersMax: Number.POSITIVE_INFINITY });
  });

  const result = { kills: 0, killedUnderLoad: 0, acknowledged: 0, checked: 0, openOrders: 0, violations: [] };
  while (result.kills < kills) {
    const server = await startServer(directory, backend, policy);
    // Some kills hit a server that is still being asked what it knows.
    const early = random() < 0.2;
    const killAfterMs = random() * killAfterMsMax;
    const killed = once(server.process, 'exit');
    const kill = () => server.process.kill('SIGKILL');
    let timer = early ? setTimeout(kill, killAfterMs) : null;
    if (await askForEverything(clients, server.port, result)) {
      timer ??= setTimeout(kill, killAfterMs);
      if (stall) server.process.send('pause journal');
      await loadUntil(killed, clients, rate);
      result.killedUnderLoad++;
    }
    await killed;
    clearTimeout(timer);
    result.kills++;
    // What the kernel still had for a client is taken first: it is an acknowledgement like any other.
    await Promise.all(clients.map((client) => client.closed()));
    for (const { ledger } of clients) ledger.disconnected();
    collect(clients, result);
    say(`kill ${result.kills}: ${result.acknowledged} acknowledged, ${result.violations.length} violations`);
    if (result.violations.length > 0) return result;
  }

  const server = await startServer(directory, backend, policy);
  const exited = once(server.process, 'exit');
  await askForEverything(clients, server.port, result);
  result.openOrders = await openOrders(server.process);
  collect(clients, result);
  const expected = clients.reduce((sum, { ledger }) => sum + ledger.open.size, 0);
  if (result.openOrders !== expected) {
    result.violations.push(`${result.openOrders} orders in the book, the clients know of ${expected}`);
  }
  server.process.send('close');
  const [code] = await exited;
  if (code !== 0) result.violations.push(`the server ended with code ${code}`);
  return result;
}

async function startServer(directory, backend, policy) {
  // The clients ask for every order that they ever placed.
  const config = { directory, backend, port: 0, policy, closedOrdersMax: 1_000_000 };
  const child = fork(serverFile, [JSON.stringify(config)], { stdio: 'inherit' });
  const [message] = await once(child, 'message');
  if (message.type !== 'listening') throw new Error(`the server did not start: ${message.message}`);
  return { process: child, port: message.port };
}

/**
 * Connects everybody, and has everybody ask for every order that they ever placed; the ledgers compare. False when
 * the server died on the way.
 */
export async function askForEverything(clients, port, result) {
  try {
    await Promise.all(clients.map((client) => client.connect(port)));
  } catch {
    return false;
  }
  for (const client of clients) {
    for (const target of [...client.ledger.orders.keys()]) {
      client.send({ tag: RequestTag.query, requestId: client.ledger.nextRequestId, target }, 0);
      result.checked++;
    }
  }
  await Promise.all(clients.map((client) => client.idle()));
  return clients.every((client) => client.connected);
}

/** Trades until the server is gone. */
export async function loadUntil(killed, clients, rate) {
  let running = true;
  killed.then(() => {
    running = false;
  });
  const start = performance.now();
  for (let sent = 0; running; ) {
    const due = ((performance.now() - start) * rate) / 1000;
    for (; sent < due; sent++) clients[sent % clients.length].trade(performance.now());
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
}

async function openOrders(server) {
  server.send('status');
  const [{ status }] = await once(server, 'message');
  return status.openOrders;
}

/** What the clients know, and what contradicts it. */
export function collect(clients, result) {
  result.acknowledged = 0;
  result.violations = [];
  for (const { clientId, ledger } of clients) {
    for (const order of ledger.orders.values()) if (order.orderId > 0) result.acknowledged++;
    result.violations.push(...ledger.violations.map((violation) => `client ${clientId}: ${violation}`));
  }
}
