import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { frame, lengthPrefixFraming } from '#ackgate/encode/framing.js';
import type { Stage } from '#ackgate/index.js';
import { Random } from '#ackgate/sim/random.js';
import { LengthPrefixDecoder, type PushAwaiter, PushDisconnected } from '#ackgate/supervisor/index.js';
import { checkSupervisorOptions } from '#ackgate/supervisor/options.js';
import { Supervisor } from '#ackgate/supervisor/supervisor.js';
import { FakeTimers, settled } from './support/fake-timers.js';
import { type Outcome, outcome, PushServer, readPush, replyBody } from './support/push-server.js';
import { asSocket, ScriptedSocket, ScriptedStage } from './support/scripted-stage.js';
import { until } from './support/stage.js';

/** Connections at a time. */
const lanes = 16;
/** Pushes taken, in all. */
const pushesWanted = 100_000;

/** Time for those over sockets: then the rest is let off. */
const timeMsMax = 5_000;
/** Both are bound by their number or time, not by this, unless something hangs. */
const hangMs = 180_000;

// Most of what is thrown here is as it was to be, and where it was thrown says nothing; finding that out takes long.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

/** From nothing at all to a turn of the event loop. */
async function turns(random: Random): Promise<void> {
  if (random.chance(0.03)) return settled();
  for (let count = random.below(4); count > 0; count--) await null;
}

/** Bounds a wait that would otherwise only end with the test's own time, and say nothing. */
async function inTime<T>(what: () => string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waits for ever: ${what()}`)), 20_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const bytesOf = (word: string) => Buffer.from(word);
const framed = (body: Uint8Array) => frame(lengthPrefixFraming, body);

/** What a push should come to, by what was done to it in which order. */
interface Expected {
  readonly awaiter: PushAwaiter;
  readonly word: string;
  readonly expiresAt: number;
  outcome: Outcome | 'pending';
  readonly receives: Promise<Outcome>[];
}

test(`${pushesWanted} pushes, each racing the end of its connection, step by step`, {
  timeout: hangMs,
}, async () => {
  const random = new Random(1);
  const timers = new FakeTimers();
  const stage = new ScriptedStage();
  /** By connection. */
  const pushes = new Map<number, Expected[]>();
  const removals = new Map<number, number>();

  const decide = (push: Expected, what: Outcome) => {
    if (push.outcome !== 'pending') return;
    push.outcome = timers.now() >= push.expiresAt ? 'PushExpired' : what;
  };
  const checked = checkSupervisorOptions({
    stage: stage.supervised as Stage,
    onFrame: () => {
      throw new Error('as it was to do');
    },
    services: [
      {
        name: 'model',
        disconnected: ({ id }) => {
          removals.set(id, (removals.get(id) ?? 0) + 1);
          for (const push of pushes.get(id) ?? []) decide(push, 'PushDisconnected');
        },
      },
    ],
  });
  const supervisor = new Supervisor({ stage: stage.supervised, timers, stopAccepting: () => {} }, checked);

  const ways: Record<string, (socket: ScriptedSocket, id: number) => unknown> = {
    'the client closes': (socket) => socket.finish(),
    'the client resets': (socket) => socket.reset(),
    'the client says so': (socket) => socket.frame(Uint8Array.of(5, 0)),
    'an empty frame': (socket) => socket.frame(new Uint8Array(0)),
    'the handler throws': (socket) => socket.frame(Uint8Array.of(0x20)),
    'disconnect, drained': (_, id) => supervisor.disconnect(id),
    'disconnect, now': (_, id) => supervisor.disconnect(id, { when: 'now', reason: 70 }),
    'the stage was told to': (_, id) => {
      stage.disconnect(id);
      stage.release();
    },
    'the stage drops it': (_, id) => stage.drop(id, 'reset'),
    'the socket is destroyed': (socket) => socket.destroy(),
    'force-close': () => supervisor.forceClose(),
  };
  const used = new Map(Object.keys(ways).map((way) => [way, 0]));
  const came = new Map<Outcome, number>();
  let accepted = 0;
  let refused = 0;

  function push(id: number, word: string): void {
    const ended = removals.has(id);
    const deadlineMs = random.chance(0.2) ? random.below(4) : undefined;
    let awaiter: PushAwaiter;
    try {
      awaiter = supervisor.push(id, bytesOf(word), deadlineMs === undefined ? {} : { deadlineMs });
    } catch (error) {
      // What the stage gave up before the supervisor heard of it is no longer there for a push either.
      if (!(error instanceof PushDisconnected) || !(ended || stage.leaving.has(id))) throw error;
      refused++;
      return;
    }
    if (ended) throw new Error('a push was taken for a connection that has ended');
    accepted++;
    const expiresAt = timers.now() + (deadlineMs ?? Number.POSITIVE_INFINITY);
    pushes.get(id)!.push({ awaiter, word, expiresAt, outcome: 'pending', receives: [] });
  }

  function reply(socket: ScriptedSocket, id: number, push: Expected): void {
    const ended = removals.has(id);
    const given = socket.frame(replyBody(push.awaiter.correlationId, bytesOf(`re ${push.word}`)));
    if (given && !ended) decide(push, `reply re ${push.word}`);
  }

  /** One long wait, or a look in every turn until there is something. */
  async function receive({ awaiter }: Expected, polls: boolean): Promise<Outcome> {
    if (!polls) return outcome(awaiter.receive());
    for (;;) {
      const seen = await outcome(awaiter.receive(0));
      if (seen !== 'PushTimeout') return seen;
      await settled();
    }
  }

  async function life(): Promise<void> {
    const socket = new ScriptedSocket();
    const id = supervisor.spawn(asSocket(socket));
    const mine: Expected[] = [];
    pushes.set(id, mine);
    let toPush = random.between(1, 6);
    let toEnd = random.between(1, 2);
    while (toPush > 0 || toEnd > 0) {
      await turns(random);
      const one = mine.length > 0 ? random.pick(mine) : null;
      const step = random.below(20);
      if (step < 8 && toPush > 0) {
        toPush--;
        push(id, `${id}.${toPush}`);
      } else if (step < 11 && one !== null) {
        reply(socket, id, one);
      } else if (step < 15 && one !== null && one.receives.length < 3) {
        one.receives.push(receive(one, random.chance(0.2)));
      } else if (step === 15 && one !== null && random.chance(0.3)) {
        decide(one, 'ERR_ACKGATE_PUSH_TAKEN');
        one.awaiter.cancel();
      } else if (step === 16 && random.chance(0.3)) {
        timers.jump(1);
      } else if (step === 17) {
        stage.release();
      } else if (step > 17 && toEnd > 0) {
        // All lanes at once, now and then.
        let way = random.pick([...used.keys()]);
        if (way === 'force-close' && !random.chance(0.1)) way = 'the client closes';
        used.set(way, used.get(way)! + 1);
        toEnd--;
        if (random.chance(0.3) && one !== null) reply(socket, id, one);
        ways[way]!(socket, id);
        if (random.chance(0.3) && one !== null) reply(socket, id, one);
      }
    }
    // One that is left to its stage, or whose end came to nothing, ends now.
    await settled();
    supervisor.disconnect(id, { when: 'now' });
    stage.release();
    for (const push of mine) {
      if (push.receives.length === 0) push.receives.push(receive(push, false));
      await check(id, push);
    }
    pushes.delete(id);
  }

  async function check(id: number, push: Expected): Promise<void> {
    const outcomes = await inTime(() => `push ${push.word} of connection ${id}`, Promise.all(push.receives));
    const expected = outcomes.map(() => push.outcome as Outcome);
    // The reply is one's alone; which one's is the order in which they were woken.
    if (push.outcome.startsWith('reply')) expected.fill('ERR_ACKGATE_PUSH_TAKEN', 1);
    if (outcomes.sort().reverse().join() !== expected.sort().reverse().join()) {
      throw new Error(`push ${push.word} of connection ${id}: ${outcomes.join()}, not ${expected.join()}`);
    }
    const kind = push.outcome.startsWith('reply') ? 'reply ' : (push.outcome as Outcome);
    came.set(kind, (came.get(kind) ?? 0) + 1);
  }

  const start = performance.now();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (accepted < pushesWanted) await life();
    }),
  );
  await timers.advance(0);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.info(
    `scripted: ${accepted} pushes over ${removals.size} connections in ${seconds} s, ${refused} refused, ` +
      `${[...came].map(([kind, count]) => `${kind.trim()} ${count}`).join(', ')}`,
  );

  expect(accepted).toBeGreaterThanOrEqual(pushesWanted);
  expect(supervisor.status()).toMatchObject({
    active: 0,
    attached: 0,
    handling: 0,
    pendingPushes: 0,
    spawned: removals.size,
    pushes: accepted,
  });
  expect(new Set(removals.values())).toEqual(new Set([1]));
  expect(stage.pushed).toHaveLength(accepted);
  expect(timers.pending).toBe(0);
  for (const [way, times] of used) expect(times, way).toBeGreaterThan(100);
  expect([...came.keys()].sort()).toEqual([
    'ERR_ACKGATE_PUSH_TAKEN',
    'PushDisconnected',
    'PushExpired',
    'reply ',
  ]);
});

type OnPush = (client: RacingClient, push: ReturnType<typeof readPush>) => void;

/** A client that answers some of what it is pushed, and leaves in the middle of it. */
class RacingClient {
  readonly socket: Socket;
  /** Payloads of the pushes that came. */
  readonly seen: string[] = [];
  readonly #decoder = new LengthPrefixDecoder(65_536);
  readonly #onPush: OnPush;
  #wanted = Number.POSITIVE_INFINITY;
  #enough = () => {};

  constructor(port: number, onPush: OnPush) {
    this.#onPush = onPush;
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.#enough());
    this.socket.on('data', (chunk) => {
      this.#decoder.push(chunk);
      for (let body = this.#decoder.next(); body !== null; body = this.#decoder.next()) {
        if (body[0] !== 6) continue; // a disconnect frame
        const push = readPush(body);
        this.seen.push(push.payload);
        this.#onPush(this, push);
      }
      if (this.seen.length >= this.#wanted) this.#enough();
    });
  }

  /** Once so many pushes have come, or the connection is over. */
  saw(count: number): Promise<void> {
    if (this.seen.length >= count || this.socket.closed) return Promise.resolve();
    this.#wanted = count;
    return new Promise((resolve) => {
      this.#enough = resolve;
    });
  }

  send(body: Uint8Array): void {
    if (this.socket.writable) this.socket.write(framed(body));
  }
}

test('the same over real sockets', { timeout: hangMs }, async () => {
  const random = new Random(2);
  const server = await PushServer.start(
    {
      onFrame: () => {
        throw new Error('as it was to do');
      },
    },
    { connections: 256 },
  );
  const { supervisor, stage } = server;

  const clientWays: Record<string, (client: RacingClient) => unknown> = {
    'the client closes': ({ socket }) => socket.end(),
    'the client destroys': ({ socket }) => socket.destroy(),
    'the client resets': ({ socket }) => socket.resetAndDestroy(),
    'the client says so': (client) => client.send(Uint8Array.of(5, 0)),
    'an empty frame': (client) => client.send(new Uint8Array(0)),
    'the handler throws': (client) => client.send(Uint8Array.of(0x20)),
  };
  const serverWays: Record<string, (id: number, socket: Socket) => unknown> = {
    'disconnect, drained': (id) => supervisor.disconnect(id),
    'disconnect, now': (id) => supervisor.disconnect(id, { when: 'now', reason: 70 }),
    'the stage was told to': (id) => stage.disconnect(id, { when: 'now' }),
    'the socket is destroyed': (_, socket) => socket.destroy(),
    'force-close': () => supervisor.forceClose(),
  };
  const names = [...Object.keys(clientWays), ...Object.keys(serverWays)];
  let accepted = 0;
  let refused = 0;
  let replied = 0;

  /** Null: the connection has ended. */
  async function push(id: number, word: string): Promise<PushAwaiter | null> {
    for (;;) {
      try {
        return supervisor.push(id, bytesOf(word));
      } catch (error) {
        if (error instanceof PushDisconnected) return null;
        if ((error as { code?: string }).code !== 'ERR_ACKGATE_CONTROL_FULL') throw error;
        await settled();
      }
    }
  }

  async function life(): Promise<void> {
    let way = random.pick(names);
    if (way === 'force-close' && !random.chance(0.05)) way = 'the client closes';
    const count = random.between(1, 31);
    /** At which push it ends; those behind it race. */
    const endsAt = random.below(count + 1);
    const replies = random.fraction();
    /** Of a turn of the event loop behind each push: from all in one to one at a time. */
    const pace = random.pick([0, 0.2, 1]);
    const endClient = clientWays[way];
    const client = new RacingClient(server.port, (self, { correlationId, payload }) => {
      if (random.chance(replies)) self.send(replyBody(correlationId, bytesOf(`re ${payload}`)));
      if (self.seen.length === endsAt) endClient?.(self);
    });
    await once(client.socket, 'connect');
    const { id, socket } = await server.arrived(client.socket.localPort!);
    const failed = new Set<string>();
    const waiting: { word: string; awaiter: PushAwaiter; first: Promise<Outcome> }[] = [];
    for (let index = 0; index < count; index++) {
      if (index === endsAt) serverWays[way]?.(id, socket);
      const word = `${id}.${index}`;
      const awaiter = await push(id, word);
      if (awaiter === null) {
        failed.add(word);
        refused++;
      } else {
        accepted++;
        waiting.push({ word, awaiter, first: outcome(awaiter.receive()) });
      }
      await (random.chance(pace) ? settled() : turns(random));
    }
    if (random.chance(0.8)) await inTime(() => `${id} to see its pushes`, client.saw(waiting.length));
    await turns(random);
    if (endsAt === count) serverWays[way]?.(id, socket);
    await turns(random);
    // Some wait for replies that do not come.
    client.socket.end();
    for (const { word, awaiter, first } of waiting) {
      const came = await inTime(() => `push ${word}, ended by: ${way}`, first);
      const again = await outcome(awaiter.receive());
      const right =
        came === `reply re ${word}`
          ? again === 'ERR_ACKGATE_PUSH_TAKEN'
          : came === 'PushDisconnected' && again === 'PushDisconnected';
      if (!right) throw new Error(`push ${word}, ended by: ${way}: ${came}, then ${again}`);
      if (came !== 'PushDisconnected') replied++;
    }
    client.socket.destroy();
    const sent = client.seen.filter((word) => failed.has(word));
    if (sent.length > 0) throw new Error(`sent, though they failed: ${sent.join()}`);
  }

  // All of them, on a machine that has nothing else to do.
  const start = performance.now();
  const enough = () => accepted >= pushesWanted || performance.now() - start > timeMsMax;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (!enough()) await life();
    }),
  );
  await until('the stage has let go of all', () => supervisor.status().permits === 0);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const { spawned, pendingPushes, active, replies, ended } = supervisor.status();
  console.info(
    `sockets: ${accepted} pushes over ${spawned} connections in ${seconds} s, ${replied} replied, ${refused} refused; ` +
      Object.entries(ended)
        .filter(([, times]) => times > 0)
        .map(([reason, times]) => `${reason} ${times}`)
        .join(', '),
  );
  expect({ pendingPushes, active, replies }).toEqual({ pendingPushes: 0, active: 0, replies: replied });
  expect(accepted).toBeGreaterThan(100 * lanes);
  expect(server.ends).toHaveLength(spawned);
  expect(new Set(server.ends.map(({ id }) => id)).size).toBe(spawned);
});
