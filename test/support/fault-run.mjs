import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { TradingClient } from '#ackgate/demo/trading-client.js';
import { askForEverything, collect } from './kill-cycles.mjs';

const serverFile = fileURLToPath(new URL('../../dist/demo/server-process.js', import.meta.url));
const tickMs = 2;
/** Longest wait for anything. */
const boundMs = 60_000;

/**
 * What a fault works with while clients trade.
 *
 * @typedef {object} Trouble
 * @property {() => Promise<object>} status of the server
 * @property {(holds: (status: object) => boolean, what: string) => Promise<object>} until a status of the server for which it holds
 * @property {() => number} answered orders answered so far
 * @property {(what: string) => Promise<void>} answersCome waits until orders are answered again
 * @property {(signal: NodeJS.Signals) => Promise<void>} killServer the server's process, and waits for its end
 * @property {() => Promise<number | null>} serverEnds waits for the server to end by itself, as one that was superseded does; its exit code
 * @property {NodeJS.ProcessEnv['pid']} serverPid
 */

/**
 * @typedef {object} Next
 * @property {string} directory
 * @property {object} [storage]
 * @property {string} [policy]
 * @property {boolean} [oldStays] the server before is not killed
 * @property {(old: Trouble | null) => Promise<void>} [afterwards] what else happens once the next server answers
 */

/**
 * Trades against the example's server on some engine, lets a fault happen under load, and asks the server (or, when
 * the fault ends in a failover, the next one) for every order that a client ever saw acknowledged.
 *
 * @param {object} options
 * @param {string} options.name of the fault
 * @param {string} options.policy
 * @param {{ directory: string, storage?: object }} options.place what keeps the orders
 * @param {(trouble: Trouble) => Promise<Next | undefined | void>} options.fault what happens; when another server has to
 *   go on, where the orders are by then
 * @param {(lastSequence: number) => Promise<string[]>} [options.check] what is wrong in other places in the end
 * @param {number} [options.clients]
 * @param {number} [options.rate] orders a second
 * @param {number} [options.beforeMs] of load before the fault
 * @param {number} [options.afterMs] of load after it
 * @param {number} [options.seed]
 */
export async function faultRun(options) {
  const { name, policy, place, fault, check = async () => [] } = options;
  const { clients: count = 8, rate = 1000, beforeMs = 700, afterMs = 700, seed = 1 } = options;
  const clients = Array.from({ length: count }, (_, i) => new TradingClient(clientOptions(i)));
  const answers = { count: 0, lastMs: performance.now(), longestMs: 0 };
  function clientOptions(i) {
    return { clientId: i + 1, seed: seed + i, ordersMax: Number.POSITIVE_INFINITY, onAnswered };
  }
  function onAnswered() {
    const now = performance.now();
    answers.longestMs = Math.max(answers.longestMs, now - answers.lastMs);
    answers.lastMs = now;
    answers.count++;
  }
  const result = { name, policy, outageMs: 0, acknowledged: 0, checked: 0, violations: [] };
  let server = await startServer(place, policy);
  let load = null;
  let old = null;
  try {
    await within(Promise.all(clients.map((client) => client.connect(server.port))), 'the clients to connect');
    await server.until(({ policyDegraded }) => policyDegraded === 0, 'the policy is met');
    load = startLoad(clients, rate);
    await answersCome(answers, 'the load begins');
    await sleep(beforeMs);
    answers.longestMs = 0;
    const next = await within(fault(troubleOf(server, answers)), 'the fault to happen');
    if (next) {
      load = await load.stop();
      old = next.oldStays === true ? server : null;
      if (old !== null) for (const client of clients) client.destroy();
      else await server.gone();
      // What the kernel still had for a client is taken first: it is an acknowledgement like any other.
      await within(Promise.all(clients.map((client) => client.closed())), 'the connections to end');
      for (const { ledger } of clients) ledger.disconnected();
      server = await startServer(next, next.policy ?? policy);
      await server.until(
        ({ policyDegraded }) => policyDegraded === 0,
        'the policy is met after the failover',
      );
      const asked = askForEverything(clients, server.port, result);
      if (!(await within(asked, 'the next server to say what it knows')))
        throw new Error('the next server ended');
      load = startLoad(clients, rate);
    }
    await answersCome(answers, 'answers come after the fault');
    if (next?.afterwards) await next.afterwards(old === null ? null : troubleOf(old, answers));
    result.outageMs = Math.round(answers.longestMs);
    await sleep(afterMs);
    load = await load.stop();
    await within(Promise.all(clients.map((client) => client.idle())), 'the last answers');
    // Anew, so that the server answers from what it knows and not from what the clients are owed.
    const { lastSequence, openOrders } = await server.status();
    await within(Promise.all(clients.map((client) => client.logoff())), 'the clients to log off');
    for (const { ledger } of clients) ledger.disconnected();
    const asked = askForEverything(clients, server.port, result);
    if (!(await within(asked, 'the server to say what it knows'))) throw new Error('the server ended');
    collect(clients, result);
    const expected = clients.reduce((sum, { ledger }) => sum + ledger.open.size, 0);
    if (openOrders !== expected) {
      result.violations.push(`${openOrders} orders in the book, the clients know of ${expected}`);
    }
    result.violations.push(...(await check(lastSequence)));
    const code = await server.close();
    if (code !== 0) result.violations.push(`the server ended with code ${code}`);
    return result;
  } finally {
    await load?.stop();
    for (const client of clients) client.destroy();
    await server.gone();
    await old?.gone();
  }
}

function troubleOf(server, answers) {
  return {
    status: () => server.status(),
    until: (holds, what) => server.until(holds, what),
    answered: () => answers.count,
    answersCome: (what) => answersCome(answers, what),
    killServer: (signal) => server.gone(signal),
    serverEnds: () => server.ends(),
    serverPid: server.process.pid,
  };
}

async function startServer({ directory, storage }, policy) {
  // The clients ask for every order that they ever placed.
  const config = { directory, storage, port: 0, policy, backend: 'auto', closedOrdersMax: 1_000_000 };
  const env = { ...process.env, ACKGATE_LOG_LEVEL: process.env.ACKGATE_LOG_LEVEL ?? 'fatal' };
  const child = fork(serverFile, [JSON.stringify(config)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env,
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4000);
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const first = await within(
    Promise.race([once(child, 'message').then(([message]) => message), exited.then(() => null)]),
    'the server to start',
  ).catch((error) => {
    child.kill('SIGKILL');
    throw error;
  });
  if (first?.type !== 'listening') {
    child.kill('SIGKILL');
    await exited;
    throw new Error(`the server did not start: ${first?.message ?? said}`);
  }
  let statusId = 0;
  const status = () => {
    const id = ++statusId;
    const answer = new Promise((resolve) => {
      const take = (message) => {
        if (message.type !== 'status' || message.id !== id) return;
        child.off('message', take);
        resolve(message.status);
      };
      child.on('message', take);
    });
    if (child.connected) child.send({ type: 'status', id });
    const over = exited.then(() => {
      throw new Error(`the server has ended: ${said}`);
    });
    over.catch(() => {});
    return within(Promise.race([answer, over]), 'the status of the server');
  };
  return {
    process: child,
    port: first.port,
    status,
    async until(holds, what) {
      const deadline = performance.now() + boundMs;
      for (;;) {
        const now = await status();
        if (holds(now)) return now;
        if (performance.now() > deadline)
          throw new Error(`waited in vain until ${what}: ${JSON.stringify(now)}`);
        await sleep(5);
      }
    },
    /** Ends it, unless it has ended. A stopped process takes the signal that kills it, too. */
    async gone(signal = 'SIGKILL') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await within(exited, 'the server to end');
    },
    ends: () => within(exited, 'the server to end by itself'),
    async close() {
      child.send('close');
      return within(exited, 'the server to close');
    },
  };
}

/** Trades with whoever is connected. */
function startLoad(clients, rate) {
  let running = true;
  const start = performance.now();
  const ended = (async () => {
    for (let sent = 0; running; ) {
      const due = ((performance.now() - start) * rate) / 1000;
      for (; sent < due; sent++) {
        const client = clients[sent % clients.length];
        // While nothing is acknowledged the orders under way are bounded, as a user's would be.
        if (client.ledger.waiting < 200) client.trade(performance.now());
      }
      await sleep(tickMs);
    }
  })();
  return {
    async stop() {
      running = false;
      await ended;
      return null;
    },
  };
}

async function answersCome(answers, what) {
  const before = answers.count;
  const deadline = performance.now() + boundMs;
  while (answers.count < before + 20) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(5);
  }
}

async function within(promise, what) {
  const timer = new AbortController();
  const late = sleep(boundMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`waited in vain for ${what}`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}
