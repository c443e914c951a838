import { describe, expect, test } from 'vitest';
import { nativeAddon } from '#ackgate/egress/native.js';
import { explainUring } from '#ackgate/egress/probe.js';
import { kernelRows, observeRow } from './support/kernel-rows.js';
import { RealWorld } from './support/real-world.js';
import type { World } from './support/sender-world.js';
import { SimulatedWorld } from './support/simulated-world.js';

const { errno, stage } = nativeAddon().probeUring(256);
if (errno !== 0)
  console.warn(`io_uring is not compared with the simulated kernel here: ${explainUring(errno, stage)}`);
// What is compared is Linux's TCP: elsewhere there is nothing to compare with.
const live = process.platform === 'linux';
if (!live) console.warn('no live kernel is compared with the simulated one: this is not Linux');

type Kernel = { name: string; whenFull: 'wait' | 'refuse'; world: () => Promise<World>; skip: boolean };
const kernels: Kernel[] = [
  {
    name: 'io_uring',
    whenFull: 'wait',
    world: () => RealWorld.create('uring', 'tcp'),
    skip: !live || errno !== 0,
  },
  { name: 'plain sends', whenFull: 'refuse', world: () => RealWorld.create('posix', 'tcp'), skip: !live },
  { name: 'simulated, wait', whenFull: 'wait', world: async () => new SimulatedWorld('wait'), skip: false },
  {
    name: 'simulated, refuse',
    whenFull: 'refuse',
    world: async () => new SimulatedWorld('refuse'),
    skip: false,
  },
];

describe.each(kernelRows)('$name', (row) => {
  for (const { name, whenFull, world, skip } of kernels) {
    test.skipIf(skip)(name, async () => {
      expect(await observeRow(row, await world())).toEqual(row[whenFull]);
    });
  }
});
