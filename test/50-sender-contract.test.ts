import { nativeAddon } from '#ackgate/egress/native.js';
import { explainUring } from '#ackgate/egress/probe.js';
import { type RealBackend, RealWorld, type Transport } from './support/real-world.js';
import { describeSenderContract } from './support/sender-contract.js';

const { errno, stage } = nativeAddon().probeUring(256);
if (errno !== 0) console.warn(`the io_uring sender is not tested here: ${explainUring(errno, stage)}`);

const backends: RealBackend[] = errno === 0 ? ['uring', 'posix'] : ['posix'];
for (const backend of backends) {
  for (const transport of ['tcp', 'unix'] as Transport[]) {
    describeSenderContract(`${backend} sender over ${transport}`, () => RealWorld.create(backend, transport));
  }
}
