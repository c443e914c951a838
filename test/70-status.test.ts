import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { dropReasons } from '#ackgate/egress/counters.js';
import { StageState, stageStateNames } from '#ackgate/stage/state.js';
import {
  dropsIndex,
  StatusReader,
  StatusWriter,
  statusFields,
  statusIndex,
  toStageStatus,
} from '#ackgate/stage/status.js';
import { createBlock } from './support/cluster.js';

const text = { policy: 'persisted>=1', features: ['one', 'two'], fallback: 'why' };

function create() {
  const memory = createBlock();
  return { memory, writer: new StatusWriter(memory.buffer), reader: new StatusReader(memory.buffer) };
}

/** Leaves the block as a writer that is inside would. */
function writerInside(memory: { buffer: SharedArrayBuffer }, { statusLock }: { statusLock: number }) {
  Atomics.add(new Int32Array(memory.buffer), statusLock, 1);
}

describe('the status block', () => {
  test('shows nothing before the first writing', () => {
    const { reader } = create();
    const { values, text: empty } = reader.read();
    expect(values.every((value) => value === 0)).toBe(true);
    expect(empty).toEqual({ policy: '', features: [], fallback: null });
  });

  test('shows what was written, all 53 bits of it', () => {
    const { writer, reader } = create();
    writer.setText(text);
    writer.values.forEach((_, index) => {
      writer.values[index] = 2 ** 53 - 1 - index;
    });
    writer.values[statusIndex.durablePos] = Number.POSITIVE_INFINITY;
    writer.write();
    const reading = reader.read();
    expect(Array.from(reading.values)).toEqual(Array.from(writer.values));
    expect(reading.text).toEqual(text);
  });

  test('shows a text and the values that were written with it together', () => {
    const { writer, reader } = create();
    writer.setText(text);
    writer.values[statusIndex.modeByte] = 0;
    writer.write();
    writer.values[statusIndex.modeByte] = 255;
    writer.setText({ ...text, policy: 'persisted>=3' });
    expect(reader.read().text.policy).toBe('persisted>=1');
    writer.write();
    expect(reader.read()).toMatchObject({ text: { policy: 'persisted>=3' } });
    expect(reader.read().values[statusIndex.modeByte]).toBe(255);
  });

  test('cuts a text that is too long, whatever is in it', () => {
    const { writer, reader } = create();
    writer.setText({ ...text, policy: '✓ persisted>=1 && '.repeat(1000) });
    writer.write();
    const { policy, fallback } = reader.read().text;
    expect(policy).toMatch(/^✓ persisted>=1 && .*…$/);
    expect(fallback).toBe('why');
  });

  test('a reader that finds the writer inside keeps its last good copy', () => {
    const { memory, writer, reader } = create();
    writer.setText(text);
    writer.values.fill(5);
    writer.write();
    reader.read();
    const words = new Int32Array(memory.buffer);
    const before = words.slice();
    writer.write();
    // The one word that a writing of the same values changes.
    const statusLock = words.findIndex((word, index) => word !== before[index]);
    writer.values.fill(6);
    writer.write();
    writerInside(memory, { statusLock });
    expect(reader.read().values[0]).toBe(5);
    expect(reader.read().text).toEqual(text);
    writerInside(memory, { statusLock });
    expect(reader.read().values[0]).toBe(6);
  });

  test('beside a writer at full speed every copy is of one writing', async () => {
    const { memory, reader } = create();
    const stop = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(new URL('./fixtures/status-writer.mjs', import.meta.url), {
      workerData: { memory, stop },
    });
    const message = () => new Promise((resolve) => worker.once('message', resolve));
    await message();
    let last = 0;
    let different = 0;
    while (Atomics.load(stop, 1) < 400_000) {
      const { values, text: read } = reader.read();
      const [first] = values;
      if (values.some((value) => value !== first)) expect.unreachable('values of two writings');
      if (first! < last) expect.unreachable('an older copy after a newer one');
      const from = Math.floor(first! / 16) * 16;
      if (first! >= 16 && (read.policy !== `from ${from}` || read.features[0]!.length !== from % 300)) {
        expect.unreachable(`the text "${read.policy}" beside values of ${first}`);
      }
      if (first! > last) different++;
      last = first!;
    }
    const ended = message();
    Atomics.store(stop, 0, 1);
    await ended;
    expect(different).toBeGreaterThan(0);
  });
});

describe('the public shape', () => {
  function shape(set: Partial<Record<(typeof statusFields)[number], number>>, state = 'running', nowNs = 0) {
    const values = new Float64Array(statusFields.length);
    for (const [name, value] of Object.entries(set)) values[statusIndex[name as 'rounds']] = value;
    return toStageStatus({ values, text }, state as 'running', nowNs);
  }

  test('has every field by its name, plain numbers and words', () => {
    const status = shape({ statusNs: 100, modeByte: 1, rounds: 7, blockerIndex: 3 }, 'draining', 350);
    expect(status).toMatchObject({
      state: 'draining',
      mode: 'hybrid',
      backend: 'uring',
      blocker: 'degraded',
      rounds: 7,
      ageNs: 250,
      ...text,
    });
    for (const name of statusFields) {
      if (name === 'backendIndex' || name === 'blockerIndex') expect(name in status).toBe(false);
      else if (name === 'diagnosisLevel') expect(status[name]).toBe('off');
      else expect(typeof status[name]).toBe('number');
    }
  });

  test('names each mode byte, and "custom" for the rest', () => {
    const modes = [0, 1, 2, 3, 255].map((modeByte) => shape({ modeByte }).mode);
    expect(modes).toEqual(['local', 'hybrid', 'durably-replicated', 'replicated', 'custom']);
  });

  test('adds the running interval to the time spent degraded, but not once the stage has ended', () => {
    const degraded = { policyDegraded: 1, policyDegradedNanos: 500, statusNs: 1000 };
    expect(shape(degraded, 'running', 1300).policyDegradedNanos).toBe(800);
    expect(shape({ ...degraded, policyDegraded: 0 }, 'running', 1300).policyDegradedNanos).toBe(500);
    expect(shape(degraded, 'closed', 1300).policyDegradedNanos).toBe(500);
    expect(shape(degraded, 'failed', 1300).policyDegradedNanos).toBe(500);
  });

  test('a clock that reads a little less than the writer’s gives the age 0', () => {
    expect(shape({ statusNs: 1000 }, 'running', 990).ageNs).toBe(0);
  });

  test('the drop counters stand in the order of the reasons', () => {
    const camel = (reason: string) =>
      `drops-${reason}`.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    expect(statusFields.slice(dropsIndex)).toEqual(dropReasons.map(camel));
  });

  test('every state has its name', () => {
    expect(stageStateNames.map((name) => StageState[name])).toEqual(stageStateNames.map((_, index) => index));
  });
});
