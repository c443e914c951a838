import { applicationTagMin, frame, lengthPrefixFraming } from '../encode/framing.js';
import { atMost } from '../shared/at-most.js';
import type { Random } from '../sim/random.js';
import type { FaultClient } from './fault-client.js';
import { noise } from './noise.js';

/** What a fault is made of, and how far it goes. */
export interface FaultSetting {
  /** A request as the server expects one, without its header. Default: 16 bytes of noise behind an application tag. */
  request(random: Random): Uint8Array;
  /** Sent by one fault, at most; default 1 MiB. */
  bytesMax: number;
  /** Time that one fault takes, at most, in milliseconds; default 300. */
  timeMsMax: number;
}

/** One way to misbehave. */
export interface Fault {
  /** Its name, for reports; no other fault has it. */
  readonly name: string;
  /**
   * Misbehaves, and resolves; leaves the client as it then is, for the caller to watch and to close. Everything that is
   * drawn comes from `random`.
   */
  run(client: FaultClient, random: Random, setting?: Partial<FaultSetting>): Promise<void>;
}

const defaults: FaultSetting = {
  request: (random) => Uint8Array.of(applicationTagMin, ...noise(random, 15)),
  bytesMax: 1024 * 1024,
  timeMsMax: 300,
};

/** Lengths at which 32-bit arithmetic, signed or not, goes wrong; the least is above what any server should take. */
const oversizeBodyBytes = [2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 4, 2 ** 32 - 1];
const noiseBytesMax = 8 * 1024;
const bytesPerSecondMax = 20_000;
const leaveAfterMsMax = 50;

type Run = (client: FaultClient, random: Random, setting: FaultSetting) => Promise<unknown>;

const framed = (body: Uint8Array) => frame(lengthPrefixFraming, body);
const request = (random: Random, setting: FaultSetting) => framed(setting.request(random));
/** Bytes of a frame without its last ones: at least one is sent, at least one is missing. */
const part = (random: Random, whole: Uint8Array) => whole.subarray(0, random.between(1, whole.length - 1));

/** An RST together with the bytes before it looks different to a server from one on its own. */
const resetPauseMs = (random: Random) => random.pick([0, 20]);

/** Requests in one piece, up to so many bytes. */
function requests(random: Random, setting: FaultSetting, bytesMax: number): Uint8Array {
  const one = request(random, setting);
  const count = Math.max(1, Math.floor(Math.min(bytesMax, setting.bytesMax) / one.length));
  return Buffer.concat(Array.from({ length: random.between(1, count) }, () => one));
}

function flood(client: FaultClient, random: Random, { request, bytesMax, timeMsMax }: FaultSetting) {
  const body = request(random);
  const frames = Math.floor(bytesMax / (body.length + lengthPrefixFraming.headerBytes));
  return client.flood({ frames, body, timeMsMax });
}

const runs: Record<string, Run> = {
  // comes and goes
  'connect-and-leave': (client) => client.close(),
  'connect-and-reset': (client) => client.reset(),
  'half-close': async (client, random, setting) => {
    await client.send(request(random, setting));
    await client.end();
  },

  // stops in the middle
  'half-header': (client, random, setting) =>
    client.send(request(random, setting).subarray(0, random.between(1, 3))),
  'half-frame': (client, random, setting) => client.send(part(random, request(random, setting))),
  'half-close-mid-frame': async (client, random, setting) => {
    await client.send(part(random, request(random, setting)));
    await client.end();
  },
  'reset-mid-frame': async (client, random, setting) => {
    const whole = request(random, setting);
    const second = part(random, request(random, setting));
    await client.resetAfter(
      Buffer.concat([whole, second]),
      whole.length + second.length,
      resetPauseMs(random),
    );
  },
  'reset-at-byte-n': async (client, random, setting) => {
    const bytes = requests(random, setting, 4096);
    await client.resetAfter(bytes, random.between(0, bytes.length), resetPauseMs(random));
  },

  // says what makes no sense
  'empty-frame': (client) => client.emptyFrame(),
  garbage: (client, random, { bytesMax }) =>
    client.send(noise(random, random.magnitude(1, Math.min(noiseBytesMax, bytesMax)))),
  'noise-in-frame': (client, random, { bytesMax }) =>
    client.sendFrame(noise(random, random.magnitude(1, Math.min(noiseBytesMax, bytesMax)))),
  oversize: (client, random) => client.oversize(random.pick(oversizeBodyBytes)),
  'oversize-after-request': async (client, random, setting) => {
    await client.send(request(random, setting));
    await client.oversize(random.pick(oversizeBodyBytes));
  },

  // is too fast, or too slow
  flood,
  'flood-then-reset': async (client, random, setting) => {
    await flood(client, random, setting);
    await client.reset();
  },
  trickle: (client, random, setting) =>
    client.trickle(request(random, setting), {
      chunkBytes: random.between(1, 3),
      everyMs: random.between(1, 20),
    }),
  'never-reads': (client, random, setting) => {
    client.stopReading();
    return flood(client, random, setting);
  },
  'leaves-unread': async (client, random, setting) => {
    client.stopReading();
    await client.send(requests(random, setting, 4096));
    await client.wait(random.between(0, leaveAfterMsMax));
    await client.close();
  },
  'slow-reader': (client, random, setting) => {
    client.slowReader(random.between(1, bytesPerSecondMax));
    return client.send(requests(random, setting, 64 * 1024));
  },
};

/** Everything hostile that a client does, by name. */
export const faults: readonly Fault[] = Object.entries(runs).map(([name, misbehave]) => ({
  name,
  async run(client, random, setting = {}) {
    const whole = { ...defaults, ...setting };
    // A server that doesn't read would otherwise hold up whoever waits for the fault.
    await atMost(whole.timeMsMax, misbehave(client, random, whole));
  },
}));
