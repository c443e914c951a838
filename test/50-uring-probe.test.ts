import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { nativeAddon } from '#ackgate/egress/native.js';
import { explainUring, readUringSurroundings, type UringSurroundings } from '#ackgate/egress/probe.js';

const { EPERM, EACCES, ENOSYS, ENOMEM, EMFILE, EINVAL, EIO } = constants.errno;

const plain: UringSurroundings = {
  disabled: 0,
  seccomp: 0,
  memlockBytes: 65_536,
  kernel: '6.1.0',
  gvisor: false,
  proc: true,
};
const explain = (errno: number, around: Partial<UringSurroundings> = {}, stage = 'setup') =>
  explainUring(errno, stage, { ...plain, ...around });

describe('why there is no ring', () => {
  test.each([
    [EPERM, { disabled: 2 }, /io_uring_disabled is 2/],
    [EPERM, { disabled: 2, seccomp: 2 }, /io_uring_disabled is 2/],
    [EPERM, { seccomp: 2 }, /seccomp/],
    [EPERM, { disabled: 1 }, /io_uring_group/],
    [EPERM, {}, /SELinux/],
    [EACCES, {}, /SELinux/],
    [ENOSYS, { gvisor: true }, /gVisor/],
    [ENOSYS, { kernel: '4.19.0-amd64' }, /too old/],
    [ENOSYS, { kernel: '5.5.1' }, /too old/],
    [ENOSYS, { kernel: '5.6.0', seccomp: 2 }, /seccomp/],
    [ENOSYS, {}, /built without io_uring/],
    [ENOMEM, {}, /RLIMIT_MEMLOCK is 64 KiB/],
    [ENOMEM, { memlockBytes: null }, /unlimited/],
    [EMFILE, {}, /ulimit -n/],
    [EINVAL, {}, /6\.1\.0 refuses/],
    [EIO, {}, /errno 5/],
  ])('errno %i with %o', (errno, around, words) => {
    expect(explain(errno, around)).toMatch(words);
  });

  test('the step that failed comes first', () => {
    expect(explain(ENOSYS, {}, 'build')).toBe('the addon was built without liburing');
    expect(explain(constants.errno.EOPNOTSUPP, {}, 'opcodes')).toMatch(/not all operations/);
    expect(explain(0)).toBe('io_uring works');
  });
});

test('what /proc says of this machine is read', () => {
  const around = readUringSurroundings();
  expect(around.kernel).toMatch(/^\d+\.\d+/);
  expect([0, 1, 2, null]).toContain(around.seccomp);
});

test('the probe leaves nothing behind', async () => {
  const { readdirSync } = await import('node:fs');
  const before = readdirSync('/proc/self/fd').length;
  const probe = nativeAddon().probeUring(4096, 100);
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  if (probe.errno === 0) expect(probe.entries).toBeGreaterThan(0);
  else console.warn(`no ring here: ${explainUring(probe.errno, probe.stage)}`);
});
