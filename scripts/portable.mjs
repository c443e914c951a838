// Builds the addon as other Unixes get it, without epoll, eventfd and io_uring, and runs the tests of senders and stage
// against it: `node scripts/portable.mjs [vitest arguments]`. Everything happens in a copy of the tree
// (build/portable-tree). Prints what vitest prints and ends with its exit code.
import { Variant } from './support/variant.mjs';

/** What meets the kernel through the addon. The rest is the same everywhere, or asks for io_uring. */
const meetTheKernel = ['50-native', '50-sender', '60-sender-threads', '70-', '80-life-cycle', '80-parking'];

const variant = new Variant('portable');
variant.build(['portable=1']);
const chosen = process.argv.slice(2);
process.exitCode = variant.test(chosen.length > 0 ? chosen : meetTheKernel.map((name) => `test/${name}`), {
  ACKGATE_PORTABLE: '1',
});
