import { describe, expect, test } from 'vitest';
import { captureRingBytes } from '#ackgate/diagnosis/capture-ring.js';
import { sharedDirectivesBytes } from '#ackgate/diagnosis/shared-directives.js';
import { ringBytes } from '#ackgate/ring/layout.js';
import {
  checkMemory,
  createMemory,
  cursorsOffset,
  directivesOffset,
  memoryVersion,
  namesOffset,
  nodeLines,
  type StageMemory,
  statusBytes,
  statusOffset,
  Word,
} from '#ackgate/shared/memory.js';
import { codeOf } from './support/values.js';

const sizes = { connections: 100, ringCapacity: 64, maxPayload: 448 };
const line = 128;

describe('the block that all threads share', () => {
  const memory = createMemory(sizes);

  test('has every part on lines of its own, none over another', () => {
    const ring = ({ byteOffset, capacity, maxPayload }: StageMemory['output']) => ({
      from: byteOffset,
      bytes: ringBytes(capacity, maxPayload),
    });
    const parts = [
      { from: 0, bytes: line },
      ...Object.values(Word).map((word) => ({ from: word * 4, bytes: line })),
      { from: cursorsOffset, bytes: (nodeLines + 1) * line },
      { from: namesOffset, bytes: nodeLines * line },
      { from: statusOffset, bytes: statusBytes },
      { from: directivesOffset, bytes: Math.ceil(sharedDirectivesBytes / line) * line },
      { from: memory.capture.at, bytes: captureRingBytes(memory.capture) },
      ring(memory.output),
      ring(memory.control),
      ring(memory.events),
    ].sort((a, b) => a.from - b.from);
    let end = 0;
    for (const { from, bytes } of parts) {
      expect(from % line).toBe(0);
      expect(from).toBe(end);
      end = from + bytes;
    }
    expect(end).toBe(memory.buffer.byteLength);
  });

  test('has an event place for each connection, and control places for its coming and going', () => {
    for (const connections of [1, 100, 1024, 16_384, 32_768]) {
      const { control, events } = createMemory({ ...sizes, connections });
      expect(events.capacity).toBeGreaterThanOrEqual(connections + 1024);
      expect(control.capacity).toBeGreaterThanOrEqual(2 * connections);
    }
  });

  test('refuses rings that can’t be', () => {
    expect(codeOf(() => createMemory({ ...sizes, ringCapacity: 63 }))).toBe('ERR_ACKGATE_NOT_POWER_OF_TWO');
  });
});

describe('a handle', () => {
  const memory = createMemory(sizes);
  const stranger = new SharedArrayBuffer(memory.buffer.byteLength);

  test.each([
    ['null', null, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ['a number', 7, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    ['no buffer', { ...memory, buffer: undefined }, 'ERR_ACKGATE_INVALID_ARGUMENT'],
    [
      'a buffer that is not shared',
      { ...memory, buffer: new ArrayBuffer(4096) },
      'ERR_ACKGATE_INVALID_ARGUMENT',
    ],
    ['a buffer too small', { ...memory, buffer: new SharedArrayBuffer(8) }, 'ERR_ACKGATE_HANDLE_VERSION'],
    ['the memory of something else', { ...memory, buffer: stranger }, 'ERR_ACKGATE_HANDLE_VERSION'],
    ['another version', { ...memory, version: memoryVersion + 1 }, 'ERR_ACKGATE_HANDLE_VERSION'],
  ])('with %s is refused', (_, value, code) => {
    expect(codeOf(() => checkMemory(value as StageMemory))).toBe(code);
  });

  test('that was posted is as good as the first', () => {
    expect(() => checkMemory(structuredClone(memory))).not.toThrow();
  });
});
