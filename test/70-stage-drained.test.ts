import { describe, expect, it } from 'vitest';
import { type Pair, Rig, realBackends, Tag, until } from './support/stage.js';

const idsOf = (events: readonly { connectionId: number }[]) =>
  events.map(({ connectionId }) => connectionId).sort((a, b) => a - b);
const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe.each(realBackends)('the end of a connection while the gate is closed, %s', (backend) => {
  it('comes at once to one that waits for nothing, and behind its answers to one that does', async () => {
    const rig = await Rig.start({ backend });
    const held = await rig.attach();
    const idle = await rig.attach();
    rig.publish({ id: held.id, seq: 1 });
    rig.publish({ id: held.id, seq: 0, number: 2 });
    expect(rig.stage.disconnect(held.id, { reason: 8 })).toBe(true);
    expect(rig.stage.disconnect(idle.id, { reason: 9 })).toBe(true);

    expect(await idle.client.untilEnded()).toBe('end');
    expect(idle.client.bodies).toEqual([Buffer.of(Tag.disconnect, 9)]);
    await until('it is told', () => rig.closed.length === 1);
    await rig.settled();
    expect(rig.closed).toEqual([{ connectionId: idle.id }]);
    expect(held.client.bodies).toEqual([]);
    expect(held.client.ended).toBe(null);

    rig.stage.cursors.primary.advance(1);
    expect(await held.client.untilEnded()).toBe('end');
    expect(held.client.answers).toEqual([1, 2]);
    expect(held.client.bodies.at(-1)).toEqual(Buffer.of(Tag.disconnect, 8));
    await until('it is told', () => rig.closed.length === 2);
    expect(rig.dropped).toEqual([]);
  });

  it('waits for a record that was published for it before, behind another’s', async () => {
    const rig = await Rig.start({ backend });
    const other = await rig.attach();
    const { id, client } = await rig.attach();
    rig.publish({ id: other.id, seq: 1 });
    rig.publish({ id, seq: 2 });
    rig.publish({ id: other.id, seq: 3 });
    rig.stage.disconnect(id);
    // Comes too late.
    rig.publish({ id, seq: 4 });
    await rig.settled();
    rig.stage.cursors.primary.advance(1);
    await other.client.untilAnswers(1);
    await rig.settled();
    expect(rig.closed).toEqual([]);
    rig.stage.cursors.primary.advance(2);
    // What is behind its own holds it no longer.
    expect(await client.untilEnded()).toBe('end');
    expect(client.answers).toEqual([2]);
    rig.stage.cursors.primary.advance(4);
    await other.client.untilAnswers(2);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 3, recordsDiscarded: 1, connections: 1 });
  });

  it('does not wait for a record that is published later', async () => {
    const rig = await Rig.start({ backend });
    const other = await rig.attach();
    const { id, client } = await rig.attach();
    rig.publish({ id: other.id, seq: 1 });
    rig.stage.disconnect(id);
    rig.publish({ id, seq: 0, number: 1 });
    expect(await client.untilEnded()).toBe('end');
    expect(client.bodies).toEqual([]);
    rig.stage.cursors.primary.advance(1);
    await other.client.untilAnswers(1);
    await rig.settled();
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 1, recordsDiscarded: 1 });
  });

  it('says goodbye once to one that is cut off while it waits', async () => {
    const rig = await Rig.start({ backend });
    const held = await rig.attach();
    const silent = await rig.attach();
    for (const { id } of [held, silent]) rig.publish({ id, seq: 1 });
    rig.stage.disconnect(held.id, { reason: 8 });
    rig.stage.disconnect(silent.id);
    await rig.settled();
    rig.stage.disconnect(held.id, { when: 'now', reason: 9 });
    rig.stage.disconnect(silent.id, { when: 'now' });
    expect(await held.client.untilEnded()).toBe('end');
    expect(held.client.bodies).toEqual([Buffer.of(Tag.disconnect, 8)]);
    expect(await silent.client.untilEnded()).toBe('end');
    expect(silent.client.bodies).toEqual([]);
    await until('both are told', () => rig.closed.length === 2);
    expect(rig.dropped).toEqual([]);
  });

  it('comes at once to whoever has the place of one that waited', async () => {
    const rig = await Rig.start({ backend, connections: 3 });
    const first = await rig.attach();
    const second = await rig.attach();
    const third = await rig.attach();
    for (const { id } of [first, second]) rig.publish({ id, seq: 1 });
    rig.stage.disconnect(third.id);
    await until('one is gone', () => rig.closed.length === 1);
    rig.stage.disconnect(first.id, { when: 'now' });
    await until('two are gone', () => rig.closed.length === 2);
    // Places for all that there are: one of these has the first's.
    const late = [await rig.attach(), await rig.attach()];
    for (const { id } of late) rig.stage.disconnect(id);
    await until('the late ones are gone too', () => rig.closed.length === 4);
    expect(rig.stage.status()).toMatchObject({ recordsReleased: 0, gateClosed: 1 });
    rig.stage.cursors.primary.advance(1);
    expect(await second.client.untilAnswers(1)).toEqual([1]);
  });

  it('waits for an answer from before the attach', async () => {
    const rig = await Rig.start({ backend });
    const idle = await rig.attach();
    rig.publish({ id: 500, seq: 1 });
    rig.stage.disconnect(idle.id);
    await until('one is gone', () => rig.closed.length === 1);
    const { near, client } = await rig.net.connect();
    rig.stage.attach(near, { connectionId: 500 });
    rig.stage.disconnect(500);
    await rig.settled();
    expect(rig.closed).toHaveLength(1);
    rig.stage.cursors.primary.advance(1);
    expect(await client.untilEnded()).toBe('end');
    expect(client.answers).toEqual([1]);
  });

  it('comes to each of many in its turn, with the ring full', async () => {
    const connections = 200;
    const capacity = 1024;
    const rig = await Rig.start({ backend, connections, ring: { capacity, maxPayload: 64 } }, 'unix');
    const all: (Pair & { id: number })[] = [];
    for (let i = 0; i < connections; i++) all.push(await rig.attach());
    const busy = all.filter((_, index) => index % 2 === 0);
    const idle = all.filter((_, index) => index % 2 === 1);
    for (let i = 0; i < capacity; i++) rig.publish({ id: busy[i % busy.length].id, seq: i + 1 });
    const more = { connectionId: all[0].id, wireSeq: 0, payload: new Uint8Array(1) };
    expect(rig.stage.producer.tryPublish(more)).toBe('full');

    for (const { id } of all) expect(rig.stage.disconnect(id)).toBe(true);
    await until('the idle ones are gone', () => rig.closed.length >= idle.length);
    await rig.settled();
    expect(idsOf(rig.closed)).toEqual(idle.map(({ id }) => id));

    // Answers to all, and the last of them to these.
    const last = capacity % busy.length;
    rig.stage.cursors.primary.advance(capacity - last);
    await until('most are gone', () => rig.closed.length >= connections - last);
    await rig.settled();
    expect(rig.closed).toHaveLength(connections - last);
    rig.stage.cursors.primary.advance(capacity);
    await until('all are gone', () => rig.closed.length === connections);
    for (const [index, { client }] of busy.entries()) {
      expect(await client.untilEnded()).toBe('end');
      const own = oneTo(capacity).filter((seq) => (seq - 1) % busy.length === index);
      expect(client.answers).toEqual(own);
    }
    expect(rig.dropped).toEqual([]);
  });
});

describe.each(realBackends)('a disconnect frame without an end, %s', (backend) => {
  it('comes in its turn, and the connection goes on', async () => {
    const rig = await Rig.start({ backend });
    const { id, client } = await rig.attach();
    rig.publish({ id, seq: 1 });
    await rig.settled();
    // Not gated, as no notice is.
    for (const reason of [0, 255]) expect(rig.stage.notify(id, reason)).toBe(true);
    await until('both have come', () => client.count(Tag.disconnect) === 2);
    expect(client.bodies).toEqual([Buffer.of(Tag.disconnect, 0), Buffer.of(Tag.disconnect, 255)]);
    rig.stage.cursors.primary.advance(1);
    expect(await client.untilAnswers(1)).toEqual([1]);
    expect(rig.stage.push(id, Uint8Array.of(0x20))).toBe(true);
    await until('a push has come', () => client.count(0x20) === 1);
    expect(client.ended).toBe(null);
    expect(rig.closed).toEqual([]);

    rig.stage.disconnect(id, { reason: 7 });
    expect(rig.stage.notify(id, 1)).toBe('gone');
    expect(await client.untilEnded()).toBe('end');
    expect(client.bodies.at(-1)).toEqual(Buffer.of(Tag.disconnect, 7));
    expect(client.count(Tag.disconnect)).toBe(3);
    await until('it is told', () => rig.closed.length === 1);
    expect(rig.stage.notify(id, 1)).toBe('gone');
  });
});
