import { afterEach, describe, expect, test, vi } from 'vitest';
import { dropReasons } from '#ackgate/egress/counters.js';
import { RingObserver } from '#ackgate/ring/consumer.js';
import { createMemory, noticeSlots, Word } from '#ackgate/shared/memory.js';
import { type EventHandlers, EventReader, EventWriter } from '#ackgate/stage/events.js';

const connections = 3000;

function create() {
  const memory = createMemory({ connections, ringCapacity: 16, maxPayload: 64 });
  const observer = new RingObserver(memory.events);
  let bells = 0;
  const writer = new EventWriter(
    memory,
    () => observer.consumed(),
    () => {
      bells++;
    },
  );
  const reader = new EventReader(memory);
  const taken: unknown[][] = [];
  const line = (level: string) => (fields: object, message: string) => taken.push([level, fields, message]);
  const handlers: EventHandlers = {
    dropped: (slot, event) => taken.push(['dropped', slot, event]),
    closed: (slot, event) => taken.push(['closed', slot, event]),
    fenced: () => taken.push(['fenced']),
    mode: (change) => taken.push(['mode', change]),
    degraded: (change) => taken.push(['degraded', change]),
    fatal: (error) => taken.push(['fatal', error]),
    logger: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
  };
  return {
    memory,
    writer,
    reader,
    handlers,
    bells: () => bells,
    drain() {
      reader.drain(handlers);
      return taken.splice(0);
    },
  };
}

describe('events come out as they went in', () => {
  test('of every kind, in order', () => {
    const { writer, drain } = create();
    writer.ended(7, 2 ** 53 - 1, 2, 104, 65_536);
    writer.ended(32_767, 5, -1, 0, 0);
    writer.logger.warn({ slot: 1, deep: { list: [1, 'two', null] } }, 'a warning');
    writer.fenced();
    writer.fatal(Object.assign(new Error('it broke'), { code: 'ERR_ACKGATE_SUBMIT_FAILED' }));
    expect(drain()).toEqual([
      ['dropped', 7, { connectionId: 2 ** 53 - 1, reason: 'reset', errno: 104, bytesUnsent: 65_536 }],
      ['closed', 32_767, { connectionId: 5 }],
      ['warn', { slot: 1, deep: { list: [1, 'two', null] } }, 'a warning'],
      ['fenced'],
      ['fatal', { code: 'ERR_ACKGATE_SUBMIT_FAILED', message: 'it broke' }],
    ]);
    expect(drain()).toEqual([]);
  });

  test('for every reason and every level', () => {
    const { writer, drain } = create();
    dropReasons.forEach((_, reason) => {
      writer.ended(0, 1, reason, 0, 0);
    });
    expect(drain().map(([, , event]) => (event as { reason: string }).reason)).toEqual([...dropReasons]);
    for (const level of ['debug', 'info', 'warn', 'error'] as const) writer.logger[level]({}, level);
    expect(drain().map(([level, , message]) => [level, message])).toEqual([
      ['debug', 'debug'],
      ['info', 'info'],
      ['warn', 'warn'],
      ['error', 'error'],
    ]);
  });
});

describe('the last event of a connection is never lost', () => {
  test('however many log lines there are; those are dropped and counted', () => {
    const { writer, drain } = create();
    let logged = 0;
    for (let slot = 0; slot < connections; slot++) {
      for (let i = 0; i < 3; i++) writer.logger.error({ slot, i }, 'flood');
      logged += 3;
      writer.ended(slot, slot, 1, 0, slot);
    }
    writer.fenced();
    writer.fatal(new Error('last'));
    const taken = drain();
    const dropped = taken.filter(([what]) => what === 'dropped');
    expect(dropped.map(([, slot]) => slot)).toEqual(Array.from({ length: connections }, (_, slot) => slot));
    const lines = taken.filter(([what]) => what === 'error').length;
    expect(lines).toBeGreaterThan(0);
    expect(lines).toBeLessThanOrEqual(noticeSlots / 2);
    expect(lines + writer.dropped).toBe(logged);
    expect(taken.slice(-2).map(([what]) => what)).toEqual(['fenced', 'fatal']);
  });

  test('also when slots are used again, each after its event was taken', () => {
    const { writer, drain } = create();
    for (let round = 0; round < 5; round++) {
      for (let slot = 0; slot < connections; slot++) {
        writer.logger.info({}, 'x');
        writer.ended(slot, round * connections + slot, -1, 0, 0);
      }
      expect(drain().filter(([what]) => what === 'closed')).toHaveLength(connections);
    }
  });

  test('log lines find room again once the reader has caught up', () => {
    const { writer, drain } = create();
    for (let i = 0; i < 2000; i++) writer.logger.info({ i }, 'flood');
    expect(drain()).toHaveLength(noticeSlots / 2);
    writer.logger.info({}, 'after');
    expect(drain()).toHaveLength(1);
    expect(writer.dropped).toBe(2000 - noticeSlots / 2);
  });
});

describe('long texts', () => {
  test('of a log line are cut, not lost', () => {
    const { writer, drain } = create();
    writer.logger.error({ why: `Error: ${'ü'.repeat(5000)}`, connectionId: 5 }, 'encoder failed');
    const [[level, fields, message]] = drain() as [[string, { why: string; connectionId: number }, string]];
    expect([level, message, fields.connectionId]).toEqual(['error', 'encoder failed', 5]);
    expect(fields.why).toMatch(/^Error: ü+…$/);
    expect(writer.dropped).toBe(0);
  });

  test.each([
    ['beyond ASCII', '✗'.repeat(1000)],
    ['to be escaped', '\u0001"\\'.repeat(300)],
    ['cut inside a pair', `${'x'.repeat(223)}😀`.repeat(9)],
  ])('of a fatal error %s arrive as an error', (_, message) => {
    const { writer, drain } = create();
    writer.fatal(Object.assign(new Error(message), { code: 'ERR_ACKGATE_SUBMIT_FAILED' }));
    const [[what, error]] = drain() as [[string, { code: string; message: string }]];
    expect(what).toBe('fatal');
    expect(error.code).toBe('ERR_ACKGATE_SUBMIT_FAILED');
    expect(message.startsWith(error.message.slice(0, 50))).toBe(true);
  });
});

describe('the bell', () => {
  test('rings once until the events are taken, and again for what comes later', () => {
    const { writer, drain, bells, memory } = create();
    for (let i = 0; i < 5; i++) writer.ended(i, i, -1, 0, 0);
    expect(bells()).toBe(1);
    expect(drain()).toHaveLength(5);
    expect(Atomics.load(new Int32Array(memory.buffer), Word.doorbell)).toBe(0);
    writer.fenced();
    expect(bells()).toBe(2);
  });

  test('rings for an event that comes while others are taken', () => {
    const { writer, reader, handlers, bells } = create();
    writer.ended(0, 0, -1, 0, 0);
    let more = true;
    const closed = () => {
      if (more) writer.ended(1, 1, -1, 0, 0);
      more = false;
    };
    reader.drain({ ...handlers, closed });
    expect(bells()).toBe(2);
  });
});

describe('a listener that throws', () => {
  const uncaught: unknown[] = [];
  const others = process.listeners('uncaughtException');
  const note = (error: unknown) => uncaught.push(error);

  afterEach(() => {
    process.off('uncaughtException', note);
    for (const other of others) process.on('uncaughtException', other);
  });

  test('is told to the process, and keeps neither its event nor those behind it', async () => {
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', note);
    const { writer, reader, handlers, drain } = create();
    for (let slot = 0; slot < 3; slot++) writer.ended(slot, slot, 1, 0, 0);
    const dropped = vi.fn((slot: number) => {
      if (slot === 1) throw new Error('a bug of the application');
    });
    reader.drain({ ...handlers, dropped });
    expect(dropped.mock.calls.map(([slot]) => slot)).toEqual([0, 1, 2]);
    expect(drain()).toEqual([]);
    await new Promise(setImmediate);
    expect(uncaught.map((error) => (error as Error).message)).toEqual(['a bug of the application']);
  });

  test('and one that takes the events itself finds those that are left', () => {
    const { writer, reader, handlers } = create();
    for (let slot = 0; slot < 4; slot++) writer.ended(slot, slot, -1, 0, 0);
    const order: number[] = [];
    const again: EventHandlers = {
      ...handlers,
      closed: (slot) => {
        order.push(slot);
        reader.drain(again);
      },
    };
    reader.drain(again);
    expect(order).toEqual([0, 1, 2, 3]);
  });
});
