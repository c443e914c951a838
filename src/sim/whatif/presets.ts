import type { QuantilePoint } from '../distributions.js';
import type { Shape, Shapes } from './components.js';

/** Named assumptions. They say what such a thing is commonly like, not what yours is: record yours. */
export interface Preset {
  /** What it stands for, in a few words. */
  readonly about: string;
  /** Where the figures come from. */
  readonly source: string;
  /** A distribution for each component that it knows about. */
  readonly shapes: Shapes;
}

/** A drive with power-loss protection, a cloud's network block store, or a disk that spins, with its write cache off. */
export type DeviceName = 'nvme-plp' | 'cloud-block' | 'spinning-disk';

/** One segment, two availability zones of one region, or two regions some 4,000 km apart. */
export type NetworkName = 'lan' | 'two-zones' | 'two-regions';

/** Threads that sleep when they have nothing to do, or threads and calls that take no time. */
export type HostName = 'parked' | 'ideal';

/** Shares that all tables of this file have, and microseconds to nanoseconds. */
const shares = [0, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1];

function microseconds(...values: readonly number[]): Shape {
  const quantilesNs = shares.map((share, i): QuantilePoint => [share, values[i] * 1000]);
  return { quantilesNs };
}

const device = (about: string, source: string, sync: Shape): Preset => ({ about, source, shapes: { sync } });

/** What one `fdatasync` of a small append costs, by the kind of disk. */
export const devices: Readonly<Record<DeviceName, Preset>> = {
  'nvme-plp': device(
    'NVMe drive with power-loss protection',
    'assumption: such drives acknowledge a flush from protected memory, data sheets give 10–20 µs for a 4 KiB write at ' +
      'queue depth 1; some 10 µs of file system and kernel on top, and pauses for garbage collection in the tail',
    microseconds(16, 22, 26, 32, 45, 110, 400, 1500, 4000),
  ),
  'cloud-block': device(
    'network block store of a cloud, SSD class',
    'assumption: providers describe single-digit milliseconds and typically under 1 ms for their SSD volumes; a flush ' +
      'is a replicated write over their network, with a tail of throttling and failover inside the store',
    microseconds(450, 650, 800, 1050, 1500, 3500, 11_000, 40_000, 120_000),
  ),
  'spinning-disk': device(
    'disk of 7,200 turns a minute, write cache off',
    'geometry: a turn takes 8.3 ms, and an append that has just missed its sector waits for nearly all of it; seeks for ' +
      'the file system log add 4–10 ms now and then, retries of the drive make the tail',
    microseconds(2000, 6300, 8300, 10_500, 15_000, 26_000, 60_000, 150_000, 400_000),
  ),
};

/** What one way from the sending thread to the receiving thread takes, by the kind of network. */
export const networks: Readonly<Record<NetworkName, Preset>> = {
  lan: {
    about: 'one network segment, all nodes in one zone',
    source:
      'assumption: a TCP round trip between two machines of one data centre takes 50–100 µs, most of it in the two ' +
      'kernels and in waking threads; half of it one way',
    shapes: { network: microseconds(15, 24, 30, 38, 55, 140, 400, 1500, 5000) },
  },
  'two-zones': {
    about: 'two availability zones of one region',
    source:
      'assumption: zones stand up to 100 km apart, fibre takes 5 µs per km one way, detours and switches add as much; ' +
      'providers describe round trips of 0.5–2 ms',
    shapes: {
      network: microseconds(15, 24, 30, 38, 55, 140, 400, 1500, 5000),
      zoneNetwork: microseconds(300, 380, 430, 500, 620, 1100, 2500, 6000, 20_000),
    },
  },
  'two-regions': {
    about: 'two regions some 4,000 km apart, each a zone of its own',
    source:
      'physics: light in fibre takes 5 µs per km, so 20 ms one way at the least; real routes are about half as long ' +
      'again; lost packets are sent again after a round trip, which makes the tail',
    shapes: {
      network: microseconds(15, 24, 30, 38, 55, 140, 400, 1500, 5000),
      zoneNetwork: microseconds(29_000, 30_000, 30_400, 31_000, 32_000, 36_000, 95_000, 160_000, 400_000),
    },
  },
};

/** What the threads and calls of the primary's machine take. */
export const hosts: Readonly<Record<HostName, Preset>> = {
  parked: {
    about: 'threads that sleep when they have nothing to do, on a machine with cores to spare',
    source:
      'assumption: waking a sleeping thread takes 5–60 µs on current servers, a send on loopback or LAN 4–20 µs',
    shapes: {
      engine: microseconds(2, 3, 4, 5, 8, 25, 80, 400, 2000),
      handover: microseconds(4, 7, 10, 14, 25, 60, 200, 800, 3000),
      wake: microseconds(4, 7, 10, 14, 25, 60, 200, 800, 3000),
      send: microseconds(3, 5, 6, 8, 12, 30, 90, 400, 2000),
    },
  },
  ideal: {
    about: 'threads and calls that take no time: only disks and networks count',
    source: 'by definition',
    shapes: {
      engine: { fixedNs: 0 },
      handover: { fixedNs: 0 },
      wake: { fixedNs: 0 },
      send: { fixedNs: 0 },
    },
  },
};
