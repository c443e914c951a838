import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { nativeAddon } from '#ackgate/egress/native.js';
import { explainUring } from '#ackgate/egress/probe.js';
import { canTrace, type Run, runFixture } from './support/strace.js';

const { errno, stage } = nativeAddon().probeUring(256);
const reason = errno === 0 ? '' : explainUring(errno, stage);
const untestable = reason || (canTrace() ? '' : 'strace cannot trace here');
if (untestable) console.warn(`kernel faults are not injected here: ${untestable}`);

function transfer(backend: string, injections: string[], connections = 20): Run {
  return runFixture('sender-transfer.mjs', { backend, connections, bytes: 60_000 }, injections);
}

describe.skipIf(untestable)('errors of io_uring_enter', () => {
  test.each([
    ['EINTR', '3+5', []],
    ['EINTR', '1..40', []],
    ['EAGAIN', '2+3', [constants.errno.EAGAIN]],
    ['EBUSY', '2+3', [constants.errno.EBUSY]],
    ['ENOMEM', '5+7', [constants.errno.ENOMEM]],
  ])(
    '%s at calls %s: every byte arrives once, and what is reported is the error',
    (error, when, reported) => {
      const { output, text } = transfer('uring', [`io_uring_enter:error=${error}:when=${when}`]);
      expect(output, text).toMatchObject({ ok: true, backend: 'uring', held: 0, submitErrnos: reported });
    },
  );

  test('a signal while calls are interrupted all the time is no error', () => {
    const { output, text } = transfer('uring', ['io_uring_enter:error=EINTR:signal=WINCH:when=2+2']);
    expect(output, text).toMatchObject({ ok: true, held: 0, submitErrnos: [] });
  });
});

describe.skipIf(untestable)('features are left out one at a time', () => {
  test.each([
    ['DEFER_TASKRUN', 'io_uring_setup:error=EINVAL:when=1', ['COOP_TASKRUN'], ['DEFER_TASKRUN']],
    ['any task-run flag', 'io_uring_setup:error=EINVAL:when=1..2', [], ['DEFER_TASKRUN', 'COOP_TASKRUN']],
    [
      'the registered ring',
      'io_uring_register:error=EINVAL:when=2',
      ['REGISTERED_FILES'],
      ['REGISTERED_RING'],
    ],
    ['registered files', 'io_uring_register:error=EINVAL:when=3', ['REGISTERED_RING'], ['REGISTERED_FILES']],
  ])('without %s', (_, injection, present, absent) => {
    const { output, text } = transfer('uring', [injection]);
    expect(output, text).toMatchObject({ ok: true, backend: 'uring', held: 0 });
    expect(output.features).toEqual(expect.arrayContaining(present));
    for (const feature of absent) expect(output.features).not.toContain(feature);
  });

  test('entries are halved while locked memory is short', () => {
    const { output, text } = transfer('uring', ['io_uring_setup:error=ENOMEM:when=1..2'], 100);
    expect(output, text).toMatchObject({ ok: true, backend: 'uring', fallback: null });
  });
});

describe.skipIf(untestable)('no ring to be had', () => {
  const causes = [
    ['EPERM', /forbid|switched off/],
    ['ENOSYS', /without io_uring|hides|too old|sandbox/],
    ['ENOMEM', /RLIMIT_MEMLOCK/],
    ['EMFILE', /ulimit -n/],
  ] as const;

  test.each(causes)('%s: auto sends plainly and says why', (error, words) => {
    const { output, text } = transfer('auto', [`io_uring_setup:error=${error}`]);
    expect(output, text).toMatchObject({ ok: true, backend: 'posix' });
    expect(output.fallback).toMatch(/^Using the posix backend instead of io_uring: .*\.$/);
    expect(output.fallback).toMatch(words);
  });

  test.each(causes)('%s: uring fails and says why', (error, words) => {
    const { status, output } = transfer('uring', [`io_uring_setup:error=${error}`]);
    expect(status).toBe(1);
    expect(output.code).toBe('ERR_ACKGATE_URING_UNAVAILABLE');
    expect(output.message).toMatch(words);
  });
});

describe.skipIf(untestable)('errors of send', () => {
  test('EINTR is retried and a refusal waits for room', () => {
    for (const error of ['EINTR', 'EAGAIN']) {
      const { output, text } = transfer('posix', [`sendto:error=${error}:when=2+3`]);
      expect(output, text).toMatchObject({ ok: true, backend: 'posix', held: 0 });
    }
  });
});
