import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  AckgateError,
  type AckgateErrorCode,
  AckgateRangeError,
  createInlineStage,
  createRing,
  openStage,
  Policy,
  Producer,
  startStage,
} from '#ackgate/index.js';
import { type Pair, Rig, until } from './support/stage.js';

// Every bad input at the public edge is refused with a stable code and a message that names the argument, and changes
// nothing: the stage behind it goes on as before.

// biome-ignore lint/suspicious/noExplicitAny: what a caller without types may pass
type Anything = any;

async function failure(call: () => unknown): Promise<AckgateError> {
  try {
    await call();
  } catch (error) {
    return error as AckgateError;
  }
  throw new Error('nothing was thrown');
}

async function expectRefused(call: () => unknown, code: AckgateErrorCode, names: RegExp | string) {
  const error = await failure(call);
  expect(error).toMatchObject({ code, name: 'AckgateError' });
  expect(error).toBeInstanceOf(AckgateError);
  expect(error.message).toMatch(names);
}

const argument = 'ERR_ACKGATE_INVALID_ARGUMENT';
const range = 'ERR_ACKGATE_OUT_OF_RANGE';
const unknown = 'ERR_ACKGATE_UNKNOWN_OPTION';
const power = 'ERR_ACKGATE_NOT_POWER_OF_TWO';
const sequence = 'ERR_ACKGATE_SEQUENCE';

/** No sequence, number of a connection or epoch is any of these. */
const badIntegers = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 53)];
const notNumbers: Anything[] = ['1', null, {}, [], 1n, true];
/** All of these, each with what is said to it; `undefined` where there is no default. */
const notSequences = (code: AckgateErrorCode): [Anything, AckgateErrorCode][] => [
  ...badIntegers.map((bad): [Anything, AckgateErrorCode] => [bad, code]),
  ...[...notNumbers, undefined].map((bad): [Anything, AckgateErrorCode] => [bad, argument]),
];

describe('options of a stage that can not be meant', () => {
  const cases: [Anything, AckgateErrorCode, string][] = [
    [null, argument, 'options'],
    [5, argument, 'options'],
    [[], argument, 'options'],
    [{ conections: 5 }, unknown, 'did you mean connections'],
    [{ heartbeatIntervallMs: 5 }, unknown, 'did you mean heartbeatIntervalMs'],
    [{ wat: 5 }, unknown, '"wat"'],
    [{ ring: 5 }, argument, 'ring'],
    [{ ring: { capasity: 8 } }, unknown, 'did you mean capacity'],
    [{ ring: { capacity: 100 } }, power, 'ring.capacity'],
    [{ ring: { capacity: 4095 } }, power, 'ring.capacity'],
    [{ ring: { capacity: 0 } }, range, 'ring.capacity'],
    [{ ring: { capacity: -8 } }, range, 'ring.capacity'],
    [{ ring: { capacity: 8.5 } }, range, 'ring.capacity'],
    [{ ring: { capacity: Number.NaN } }, range, 'ring.capacity'],
    [{ ring: { capacity: 2 ** 30 } }, range, 'ring.capacity'],
    [{ ring: { capacity: '8' } }, argument, 'ring.capacity'],
    [{ ring: { maxPayload: 0 } }, range, 'maxPayload'],
    [{ ring: { maxPayload: 65_536 } }, range, 'maxPayload'],
    [{ ring: { maxPayload: '8' } }, argument, 'maxPayload'],
    [{ ringEntries: 100 }, power, 'ringEntries'],
    [{ ringEntries: 32 }, range, 'ringEntries'],
    [{ connections: 0 }, range, 'connections'],
    [{ connections: 32_769 }, range, 'connections'],
    [{ connections: Number.NaN }, range, 'connections'],
    [{ connections: '64' }, argument, 'connections'],
    [{ policy: 5 }, argument, 'policy'],
    [{ policy: {} }, argument, 'policy'],
    [{ policy: 'locall' }, 'ERR_ACKGATE_POLICY_UNKNOWN_LEVEL', 'locall'],
    [{ policy: 'persisted>=1 &&' }, 'ERR_ACKGATE_POLICY_SYNTAX', ''],
    [{ policy: '' }, 'ERR_ACKGATE_POLICY_EMPTY', ''],
    [{ policy: 'persisted>=0' }, 'ERR_ACKGATE_POLICY_ZERO_COUNT', ''],
    [{ policy: 'persisted>=999' }, 'ERR_ACKGATE_POLICY_COUNT_TOO_LARGE', ''],
    [{ epoch: '1' }, argument, 'epoch'],
    [{ zone: '' }, argument, 'zone'],
    [{ zone: 5 }, argument, 'zone'],
    [{ zone: 'z'.repeat(100) }, argument, 'zone'],
    [{ heartbeatIntervalMs: -1 }, range, 'heartbeatIntervalMs'],
    [{ heartbeatIntervalMs: Number.NaN }, range, 'heartbeatIntervalMs'],
    [{ blockedTimeoutMs: 0 }, range, 'blockedTimeoutMs'],
    [{ blockedTotalMs: -1 }, range, 'blockedTotalMs'],
    [{ kernelSendBufferBytes: -1 }, range, 'kernelSendBufferBytes'],
    [{ recordsPerBatch: 0 }, range, 'recordsPerBatch'],
    [{ flushBytes: 0 }, range, 'flushBytes'],
    [{ flushRecords: 0 }, range, 'flushRecords'],
    [{ flushDelayUs: -1 }, range, 'flushDelayUs'],
    [{ backend: 'epoll' }, argument, 'backend'],
    [{ idle: 'sleep' }, argument, 'idle'],
    [{ sqpoll: 1 }, argument, 'sqpoll'],
    [{ encoder: 5 }, argument, 'encoder'],
    [{ encoder: () => {} }, argument, 'encoder'],
    [{ logger: {} }, argument, 'logger'],
    [{ logger: { info() {}, warn() {}, error() {} } }, argument, 'debug'],
    [{ encoder: 'file:///nowhere.mjs' }, 'ERR_ACKGATE_ENCODER_MODULE', 'nowhere.mjs'],
    [
      { encoder: new URL('./fixtures/stage-encoder-bad.mjs', import.meta.url) },
      'ERR_ACKGATE_ENCODER_MODULE',
      'encode',
    ],
  ];
  it.each(cases)('%o: %s', async (options, code, names) => {
    await expectRefused(() => startStage(options), code, names);
  });

  it.each(badIntegers)('epoch %d', async (epoch) => {
    await expectRefused(() => startStage({ epoch }), range, 'epoch');
  });

  it('are refused for a stage in the caller’s own loop too', async () => {
    await expectRefused(() => createInlineStage({ idle: 'spin' } as Anything), unknown, 'idle');
    await expectRefused(
      () => createInlineStage({ encoder: {} as Anything }),
      'ERR_ACKGATE_ENCODER_MODULE',
      '',
    );
    await expectRefused(() => createInlineStage({ connections: 0 }), range, 'connections');
    const stage = createInlineStage({ connections: 1 });
    await expectRefused(() => stage.doWork('1' as Anything), argument, /nowNs .*, got "1"$/);
    await expectRefused(() => stage.doWork(Number.NaN), range, 'nowNs');
    void stage.close();
    while (stage.status().state !== 'closed') stage.doWork();
  });

  it('leave an error that is also a RangeError where a number is out of its range', async () => {
    const error = await failure(() => startStage({ connections: 0 }));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toBeInstanceOf(AckgateRangeError);
    expect(await failure(() => startStage({ backend: 'x' as Anything }))).not.toBeInstanceOf(RangeError);
  });
});

describe('a running stage refuses', () => {
  let rig: Rig;
  let id: number;
  let client: Pair['client'];
  let number = 0;

  // One stage for all: after each refusal it must still work.
  beforeAll(async () => {
    rig = await Rig.open({ connections: 8, epoch: 5 });
    ({ id, client } = await rig.attach());
    await rig.settled();
    return () => rig.end();
  });

  async function refuses(call: () => unknown, code: AckgateErrorCode, names: RegExp | string) {
    const { durablePos, connections, connectedNodes, mode } = rig.stage.status();
    await expectRefused(call, code, names);
    const { primary } = rig.stage.cursors;
    expect(primary.persisted).toBe(durablePos);
    rig.publish({ id, seq: ++number });
    primary.advance(number);
    expect((await client.untilAnswers(number)).at(-1)).toBe(number);
    await until('the status is new', () => rig.stage.status().durablePos === number);
    expect(rig.stage.status()).toMatchObject({ connections, connectedNodes, mode, state: 'running' });
  }

  it.each([undefined, null, 'x', {}, [], true, 1n] as Anything[])('to attach %o', async (target) => {
    await refuses(() => rig.stage.attach(target), argument, 'target');
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 31, 99_999])('to attach the descriptor %d', async (fd) => {
    await refuses(() => rig.stage.attach(fd), 'ERR_ACKGATE_BAD_FD', /descriptor/);
  });

  it('to attach what is no connected stream socket', async () => {
    const file = openSync('/dev/null', 'r');
    await refuses(() => rig.stage.attach(file), 'ERR_ACKGATE_SOCKET_KIND', String(file));
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { fd } = (server as Anything)._handle;
    await refuses(() => rig.stage.attach(fd), 'ERR_ACKGATE_SOCKET_KIND', String(fd));
    await refuses(() => rig.stage.attach(new Socket()), 'ERR_ACKGATE_SOCKET_KIND', 'not connected');
    const connecting = new Socket().connect((server.address() as Anything).port, '127.0.0.1');
    await refuses(() => rig.stage.attach(connecting), 'ERR_ACKGATE_SOCKET_KIND', 'not connected');
    const raw = new Socket().connect((server.address() as Anything).port, '127.0.0.1');
    raw.destroy();
    connecting.destroy();
    server.close();
  });

  it('to attach a TLS socket', async () => {
    const { near } = await rig.net.connect();
    await refuses(() => rig.stage.attach(new TLSSocket(near)), 'ERR_ACKGATE_SOCKET_TLS', 'TLS');
  });

  it('to attach a socket that is destroyed, ended, or has bytes of its own', async () => {
    const destroyed = await rig.net.connect();
    destroyed.near.destroy();
    await refuses(() => rig.stage.attach(destroyed.near), 'ERR_ACKGATE_SOCKET_DESTROYED', 'destroyed');
    const ended = await rig.net.connect();
    ended.near.end();
    await refuses(() => rig.stage.attach(ended.near), 'ERR_ACKGATE_SOCKET_DESTROYED', 'ended');
    const full = await rig.net.connect({ paused: true });
    while (full.near.write(Buffer.alloc(1 << 20)));
    await refuses(() => rig.stage.attach(full.near), 'ERR_ACKGATE_SOCKET_UNSENT', 'unsent');
    full.near.destroy();
  });

  it('to attach a socket twice, also to another stage', async () => {
    const { near } = await rig.net.connect();
    const attached = rig.stage.attach(near);
    await rig.settled();
    await refuses(() => rig.stage.attach(near), 'ERR_ACKGATE_SOCKET_ATTACHED', 'attached');
    const other = createInlineStage({ connections: 1 });
    await refuses(() => other.attach(near), 'ERR_ACKGATE_SOCKET_ATTACHED', 'attached');
    void other.close();
    while (other.status().state !== 'closed') other.doWork();
    rig.stage.disconnect(attached, { when: 'now' });
    await until('it is gone', () => rig.stage.status().connections === 1);
  });

  it('to write to an attached socket behind its back', async () => {
    const { near, client: peer } = await rig.net.connect();
    const attached = rig.stage.attach(near);
    await rig.settled();
    const code = 'ERR_ACKGATE_SOCKET_WRITE';
    await refuses(() => near.write('x'), code, 'attached');
    await refuses(() => near.end(), code, 'attached');
    await refuses(() => near.resetAndDestroy(), code, 'attached');
    await refuses(() => near.destroySoon(), code, 'attached');
    near.cork();
    near.uncork();
    rig.stage.push(attached, Uint8Array.of(0x20));
    await until('the push has come', () => peer.bodies.length === 1);
    rig.stage.disconnect(attached, { when: 'now' });
    await until('it is gone', () => rig.stage.status().connections === 1);
  });

  it('bad connection ids, and ids that are taken', async () => {
    const { near } = await rig.net.connect();
    for (const connectionId of badIntegers) {
      await refuses(() => rig.stage.attach(near, { connectionId }), range, 'connectionId');
      await refuses(() => rig.stage.disconnect(connectionId), range, 'connectionId');
      await refuses(() => rig.stage.push(connectionId, new Uint8Array(1)), range, 'connectionId');
      await refuses(() => rig.stage.busy(connectionId), range, 'connectionId');
      await refuses(() => rig.stage.notify(connectionId, 1), range, 'connectionId');
    }
    for (const connectionId of notNumbers) {
      await refuses(() => rig.stage.attach(near, { connectionId }), argument, 'connectionId');
      await refuses(() => rig.stage.disconnect(connectionId), argument, 'connectionId');
    }
    await refuses(
      () => rig.stage.attach(near, { connectionId: id }),
      'ERR_ACKGATE_CONNECTION_ID_IN_USE',
      String(id),
    );
    const never = 2 ** 50;
    const code = 'ERR_ACKGATE_UNKNOWN_CONNECTION';
    await refuses(() => rig.stage.disconnect(never), code, String(never));
    await refuses(() => rig.stage.push(never, new Uint8Array(1)), code, String(never));
    await refuses(() => rig.stage.busy(never), code, String(never));
    await refuses(() => rig.stage.notify(never, 1), code, String(never));
    await refuses(() => rig.stage.attach(near, { connectionID: 5 } as Anything), unknown, 'connectionId');
    await refuses(() => rig.stage.attach(near, null as Anything), argument, 'options');
  });

  it('more connections than it has places', async () => {
    const extra: number[] = [];
    for (let i = 0; i < 7; i++) extra.push((await rig.attach()).id);
    await rig.settled();
    const { near } = await rig.net.connect();
    await refuses(() => rig.stage.attach(near), 'ERR_ACKGATE_TOO_MANY_CONNECTIONS', 'connections');
    for (const one of extra) rig.stage.disconnect(one, { when: 'now' });
    await until('they are gone', () => rig.stage.status().connections === 1);
    await until('their places are free', () => rig.closed.length >= 7);
    const again = rig.stage.attach(near);
    rig.stage.disconnect(again, { when: 'now' });
    await until('it is gone too', () => rig.stage.status().connections === 1);
  });

  it('disconnect and push with what makes no sense', async () => {
    const bad: Anything[] = [
      [{ when: 'later' }, argument, 'when'],
      [{ when: null }, argument, 'when'],
      [{ reason: 256 }, range, 'reason'],
      [{ reason: -1 }, range, 'reason'],
      [{ reason: 1.5 }, range, 'reason'],
      [{ reasn: 1 }, unknown, 'reason'],
      [null, argument, 'options'],
    ];
    for (const [options, code, names] of bad) {
      await refuses(() => rig.stage.disconnect(id, options), code, names);
    }
    for (const body of ['x', null, undefined, [1], new ArrayBuffer(1)] as Anything[]) {
      await refuses(() => rig.stage.push(id, body), argument, 'body');
    }
    expect(rig.stage.push(id, new Uint8Array(60_000))).toBe('oversize');
  });

  it('modes, timings, fences and closings that can not be meant', async () => {
    for (const mode of [5, null, undefined, {}, ['local']] as Anything[]) {
      await refuses(() => rig.stage.setMode(mode), argument, 'policy');
    }
    await refuses(() => rig.stage.setMode('persisted>=x'), 'ERR_ACKGATE_POLICY_BAD_COUNT', 'x');
    const long = new Policy(Array.from({ length: 200 }, () => ({ level: 'persisted', count: 1 }) as const));
    await refuses(() => rig.stage.setMode(long), range, 'policy');
    for (const level of [1, 'on', null, undefined] as Anything[]) {
      await refuses(() => rig.stage.diagnosis.setBaseline(level), argument, 'level');
    }
    for (const [epoch, code] of notSequences(range)) {
      await refuses(() => rig.stage.fence(epoch), code, 'newEpoch');
    }
    await refuses(() => rig.stage.fence('5' as Anything), argument, 'got "5"');
    for (const epoch of [0, 4, 5]) {
      await refuses(() => rig.stage.fence(epoch), 'ERR_ACKGATE_EPOCH_NOT_HIGHER', 'newEpoch');
    }
    for (const drainMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await refuses(() => rig.stage.close({ drainMs }), range, 'drainMs');
    }
    for (const drainMs of ['5', null] as Anything[]) {
      await refuses(() => rig.stage.close({ drainMs }), argument, 'drainMs');
    }
    await refuses(() => rig.stage.close({ drain: 5 } as Anything), unknown, 'drainMs');
    // What returns a promise fails through it.
    await expect(rig.stage.fence(Number.NaN)).rejects.toMatchObject({ code: range });
    await expect(rig.stage.close({ drainMs: -1 })).rejects.toMatchObject({ code: range });
  });

  it('cursors that are no sequences, go back, or have no node', async () => {
    const { cursors } = rig.stage;
    for (const [seq, code] of notSequences(sequence)) {
      await refuses(() => cursors.primary.advance(seq), code, 'seq');
      await refuses(() => cursors.primary.issued(seq), code, 'seq');
    }
    await refuses(() => cursors.primary.advance('5' as Anything), argument, 'got "5"');
    await refuses(() => cursors.primary.advance(number - 1), 'ERR_ACKGATE_CURSOR_REGRESSED', 'primary');
    for (const name of ['', 5, null, undefined, 'n'.repeat(100)] as Anything[]) {
      await refuses(() => cursors.node(name), argument, 'name');
    }
    await refuses(() => cursors.node('primary'), argument, 'primary');
    await refuses(() => cursors.node('z', { zone: '' }), argument, 'zone');
    await refuses(() => cursors.node('z', { zome: 'a' } as Anything), unknown, 'zone');
    const node = cursors.node('r1');
    await refuses(() => node.advance({ persisted: 1 }), 'ERR_ACKGATE_CURSOR_NOT_CONNECTED', 'r1');
    for (const seed of [undefined, null, 5] as Anything[]) {
      await refuses(() => node.connect(seed), argument, 'seed');
    }
    await refuses(() => node.connect({ persisted: 2, inmemory: 2 } as Anything), unknown, 'inmemory');
    for (const [persisted, code] of notSequences(sequence)) {
      await refuses(() => node.connect({ persisted }), code, 'persisted');
    }
    await refuses(() => node.connect({ persisted: 2 ** 40 }), 'ERR_ACKGATE_REPLICA_AHEAD', 'r1');
    node.connect({ persisted: 2 });
    await rig.settled();
    for (const bad of badIntegers) {
      await refuses(() => node.advance({ persisted: bad }), sequence, 'persisted');
      await refuses(() => node.advance({ inMemory: bad }), sequence, 'inMemory');
    }
    for (const to of [undefined, null, 5] as Anything[]) {
      await refuses(() => node.advance(to), argument, 'inMemory');
    }
    await refuses(() => node.advance({ inMemry: 5 } as Anything), argument, 'inMemory');
    await refuses(() => node.advance({ persisted: 1 }), 'ERR_ACKGATE_CURSOR_REGRESSED', 'persisted');
    await refuses(() => node.advance({ inMemory: 1 }), 'ERR_ACKGATE_CURSOR_REGRESSED', 'inMemory');
  });

  it('records that can not be meant', async () => {
    const { producer } = rig.stage;
    const good = { connectionId: id, wireSeq: 0, payload: new Uint8Array(1) };
    const publish = (change: object) => () => producer.tryPublish({ ...good, ...change } as Anything);
    for (const record of [undefined, null, 5, {}] as Anything[]) {
      await refuses(() => producer.tryPublish(record), argument, 'payload');
    }
    for (const payload of ['x', null, undefined, [1], new ArrayBuffer(1)] as Anything[]) {
      await refuses(publish({ payload }), argument, 'payload');
    }
    for (const [bad, code] of notSequences(sequence)) {
      await refuses(publish({ wireSeq: bad }), code, 'wireSeq');
      await refuses(publish({ connectionId: bad }), code === sequence ? range : code, 'connectionId');
    }
    for (const kind of [-1, 65_536, 1.5, Number.NaN]) await refuses(publish({ kind }), range, 'kind');
    for (const receivedNs of [-1, Number.NaN]) await refuses(publish({ receivedNs }), range, 'receivedNs');
    for (const name of ['wireSeq', 'connectionId', 'kind', 'receivedNs', 'requestId']) {
      await refuses(publish({ [name]: '1' }), argument, new RegExp(`^${name} .*got "1"$`));
    }
    expect(publish({ payload: new Uint8Array(449) })()).toBe('oversize');
    for (const length of [-1, 0.5, Number.NaN]) {
      await refuses(() => producer.claim(length), range, 'payloadBytes');
    }
    for (const length of ['1', undefined] as Anything[]) {
      await refuses(() => producer.claim(length), argument, 'payloadBytes');
    }
    await refuses(() => producer.publish(id, 0), 'ERR_ACKGATE_RING_ORDER', 'claim');
    await refuses(
      () => {
        producer.claim(1);
        try {
          producer.claim(1);
        } finally {
          producer.abort();
        }
      },
      'ERR_ACKGATE_RING_ORDER',
      'claim',
    );
    const { output } = rig.stage.share().memory;
    await refuses(() => new Producer(output).claim(1), 'ERR_ACKGATE_RING_IN_USE', 'producer');
    // A connection that never was is a value: the stage throws the record away.
    expect(publish({ connectionId: 2 ** 40 })()).toBe('ok');
  });

  it('handles that are none, or of another version', async () => {
    const handle = rig.stage.share();
    for (const bad of [undefined, null, 5, {}, { memory: 3 }, { memory: handle.memory }] as Anything[]) {
      await refuses(() => openStage(bad), argument, 'handle');
    }
    const { memory, timings } = handle;
    const swapped = { ...memory, output: memory.control };
    await refuses(() => openStage({ memory: swapped, timings }), argument, 'handle');
    const smaller = { ...memory, output: { ...memory.output, capacity: 2 } };
    await refuses(() => openStage({ memory: smaller, timings }), argument, 'handle');
    const version = 'ERR_ACKGATE_HANDLE_VERSION';
    await refuses(
      () => openStage({ ...handle, memory: { ...memory, version: memory.version + 1 } }),
      version,
      'handle',
    );
    const other = new SharedArrayBuffer(memory.buffer.byteLength);
    await refuses(() => openStage({ ...handle, memory: { ...memory, buffer: other } }), version, 'handle');
    await refuses(
      () => openStage({ ...handle, memory: { ...memory, buffer: new SharedArrayBuffer(4) } }),
      version,
      'handle',
    );
    const ring = createRing();
    await refuses(() => new Producer({ ...ring, version: 99 }), version, 'handle');
    await refuses(() => new Producer({ ...ring, byteOffset: 128 }), range, 'handle');
    await refuses(() => new Producer({ ...ring, capacity: 8192 }), range, 'handle');
  });
});

describe('a stage that has ended refuses', () => {
  it('everything but what asks how it stands', async () => {
    const rig = await Rig.start();
    const { near } = await rig.net.connect();
    const { id } = await rig.attach();
    const handle = rig.stage.share();
    await rig.stage.close();
    const code = 'ERR_ACKGATE_STAGE_CLOSED';
    await expectRefused(() => rig.stage.attach(near), code, 'closed');
    await expectRefused(() => rig.stage.setMode('local'), code, 'closed');
    await expectRefused(() => rig.stage.share(), code, 'closed');
    await expectRefused(() => openStage(handle), code, 'ended');
    expect(rig.stage.disconnect(id)).toBe('gone');
    expect(rig.stage.push(id, new Uint8Array(1))).toBe('gone');
    expect(rig.stage.busy(id)).toBe('gone');
    expect(rig.stage.producer.tryPublish({ connectionId: id, wireSeq: 0, payload: new Uint8Array(1) })).toBe(
      'stopped',
    );
    rig.stage.cursors.primary.advance(5);
    expect(rig.stage.status().state).toBe('closed');
    await rig.stage.close();
    await rig.stage.fence(1);
    near.write('still its own');
  });
});

it('errors of two copies of the package are told by their brand', async () => {
  const error = await failure(() => startStage(null as Anything));
  onTestFinished(() => {});
  class Other extends Error {}
  expect(new Other()).not.toBeInstanceOf(AckgateError);
  expect(Object.assign(new Other(), { code: error.code })).not.toBeInstanceOf(AckgateError);
  Object.defineProperty(Other.prototype, Symbol.for('ackgate.error'), { value: true });
  expect(new Other()).toBeInstanceOf(AckgateError);
});
