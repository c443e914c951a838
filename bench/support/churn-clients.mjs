// Clients of bench/79-churn.mjs, in a process of their own. Commands, each answered with one line of JSON:
//
//   connect COUNT              clients that stay
//   begin                      they ask, wait for the answer, think for some milliseconds, and ask again
//   end                        they finish, and tell how long they waited
//   churn COUNT AT_ONCE SEED   other clients connect, ask, get the answer, and leave one way or another
//
//   node bench/support/churn-clients.mjs PORT
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlTag } from '../../dist/encode/framing.js';
import { FaultClient } from '../../dist/fault-client/index.js';
import { Random } from '../../dist/sim/random.js';
import { answer, request } from './churn-protocol.mjs';
import { createHistogram, microseconds } from './latencies.mjs';

const port = Number(process.argv[2]);
/** What no answer takes unless it was lost. */
const hangMs = 30_000;
/** Between an answer and the next request of a client that stays. */
const thinkMs = 5;

/** One that stays: each request gets its own answer, and nothing else. */
class Steady {
  #client;
  #asked = 0;
  #running = false;
  #loop = Promise.resolve();

  static async connect() {
    const steady = new Steady();
    steady.#client = await FaultClient.connect({ port });
    return steady;
  }

  begin(section) {
    this.#running = true;
    this.#loop = this.#run(section);
  }

  end() {
    this.#running = false;
    return this.#loop;
  }

  async #run(section) {
    let last = null;
    while (this.#running) {
      const asked = performance.now();
      const sent = request(++this.#asked, 0);
      await this.#client.sendFrame(sent);
      const got = await answer(this.#client, hangMs);
      const now = performance.now();
      if (!sent.equals(got))
        throw new Error(`request ${this.#asked} of a client that stays got another answer`);
      section.took(now - asked, last === null ? 0 : now - last);
      last = now;
      await sleep(thinkMs);
    }
  }
}

class Section {
  #latencies = createHistogram();
  #answers = 0;
  #gapMs = 0;

  took(ms, gapMs) {
    this.#answers++;
    this.#gapMs = Math.max(this.#gapMs, gapMs);
    this.#latencies.recordValue(Math.max(1, Math.round(ms * 1e6)));
  }

  get result() {
    return { answers: this.#answers, gapMs: this.#gapMs, latencyUs: microseconds(this.#latencies) };
  }
}

/** How clients leave once they have their answer, with pushes that they have not replied to. */
const ways = {
  async fin(client) {
    await client.end();
    await over(client);
  },
  rst: (client) => client.reset(),
  async disconnect(client) {
    await client.sendFrame(Uint8Array.of(ControlTag.disconnect));
    await over(client);
  },
  async halfFrame(client, random) {
    const body = request(2, 0);
    await client.halfFrame(body, 1 + random.below(body.length + 3));
    await client.reset();
  },
  async garbage(client, random) {
    // Seen to be none from the first four bytes on: the server need not wait for what never comes.
    await client.send(Buffer.alloc(random.between(4, 64), 0xff));
    await over(client);
  },
};
const wayNames = Object.keys(ways);

/** The server has ended it. */
async function over(client) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the server did not end a connection')), hangMs);
  });
  await Promise.race([client.ended, late]).finally(() => clearTimeout(timer));
  await client.close();
}

async function comeAndGo(random) {
  const client = await FaultClient.connect({ port, connectTimeoutMs: hangMs });
  try {
    const sent = request(1, random.below(3));
    await client.sendFrame(sent);
    const got = await answer(client, hangMs);
    if (!sent.equals(got)) throw new Error('the answer was not the one to the request');
    const way = wayNames[random.below(wayNames.length)];
    await ways[way](client, random);
    return way;
  } finally {
    await client.close();
  }
}

async function churn(count, atOnce, seed) {
  const random = new Random(seed);
  const left = Object.fromEntries(wayNames.map((way) => [way, 0]));
  let started = 0;
  const start = performance.now();
  async function some() {
    while (started++ < count) left[await comeAndGo(random)]++;
  }
  await Promise.all(Array.from({ length: atOnce }, some));
  return { perSecond: (count / (performance.now() - start)) * 1000, left };
}

let clients = [];
let section = new Section();

const commands = {
  async connect(count) {
    clients = await Promise.all(Array.from({ length: count }, () => Steady.connect()));
    return { connected: clients.length };
  },
  begin() {
    section = new Section();
    for (const client of clients) client.begin(section);
    return { begun: true };
  },
  async end() {
    await Promise.all(clients.map((client) => client.end()));
    return section.result;
  },
  churn,
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = line.split(' ');
  console.log(JSON.stringify(await commands[command](...args.map(Number))));
}
process.exit(0);
