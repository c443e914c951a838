import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { constants } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { allocateArena } from '#ackgate/egress/arena.js';
import { createSender } from '#ackgate/egress/create-sender.js';
import { checkLayout, nativeAddon } from '#ackgate/egress/native.js';
import { sendBufferBytes } from '#ackgate/egress/sender.js';
import { fdOf } from './support/real-world.js';

const addon = nativeAddon();
const { EBADF, ENOTSOCK, EPROTOTYPE, EOPNOTSUPP, EMFILE } = constants.errno;

const openFds = () => readdirSync('/proc/self/fd').length;

describe('the layout', () => {
  test('is the one that TypeScript declares', () => {
    expect(() => checkLayout(addon.layout)).not.toThrow();
  });

  test.each([
    ['another value', { ...addon.layout, 'request.slot': 7 }],
    ['a word more', { ...addon.layout, 'request.priority': 5 }],
    ['nothing', undefined],
  ])('with %s the addon is refused', (_, layout) => {
    expect(() => checkLayout(layout)).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_ADDON_LAYOUT' }) as Error,
    );
  });
});

test('a missing addon is an error that says what to do', () => {
  const program = `import('#ackgate/egress/native.js').then(({ nativeAddon }) => {
    try { nativeAddon(); } catch (error) { console.log(error.code, error.message); }
  })`;
  const { stdout } = spawnSync(process.execPath, ['-e', program], {
    encoding: 'utf8',
    env: { ...process.env, PREBUILDS_ONLY: '1', ACKGATE_PREBUILD: '/nowhere' },
  });
  expect(stdout).toMatch(/^ERR_ACKGATE_ADDON_MISSING .*No native build was found.*node-gyp rebuild/);
});

describe('adopting a descriptor', () => {
  const close: (() => void)[] = [];
  afterEach(() => {
    for (const each of close.splice(0)) each();
  });

  test('a stream socket: a private duplicate that outlives the original', async () => {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = new Socket().connect((server.address() as { port: number }).port, '127.0.0.1');
    const [near] = (await once(server, 'connection')) as [Socket];
    close.push(() => {
      client.destroy();
      near.destroy();
      server.close();
    });
    const own = addon.adoptFd(fdOf(near), 10_000);
    expect(own).toBeGreaterThan(2);
    expect(own).not.toBe(fdOf(near));
    expect(addon.closeFd(own)).toBe(0);
    expect(addon.adoptFd((server as unknown as { _handle: { fd: number } })._handle.fd, 0)).toBe(-EOPNOTSUPP);
  });

  test.each([
    ['closed', () => 1_000_000, EBADF],
    ['negative', () => -1, EBADF],
    ['a file', () => openSync('/dev/null', 'r'), ENOTSOCK],
  ])('%s: refused with the reason', (_, makeFd, errno) => {
    const fd = makeFd();
    expect(addon.adoptFd(fd, 0)).toBe(-errno);
    if (errno !== EBADF) closeSync(fd);
  });

  test('a datagram socket is not a stream', async () => {
    const { createSocket } = await import('node:dgram');
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    expect(addon.adoptFd(fd, 0)).toBe(-EPROTOTYPE);
    socket.close();
  });
});

describe('wake descriptors', () => {
  test('keep wakes until they are read, and never block', () => {
    const before = openFds();
    const fd = addon.createWakeFd();
    const other = addon.dupFd(fd);
    expect(addon.wake(fd)).toBe(0);
    expect(addon.wake(other)).toBe(0);
    // What they are made of differs: one number that counts, or as many as there were wakes.
    const bytes = Buffer.alloc(64);
    expect(readSync(fd, bytes)).toBeGreaterThan(0);
    expect(() => readSync(fd, bytes)).toThrow('EAGAIN');
    expect([addon.closeFd(fd), addon.closeFd(other), addon.closeFd(other)]).toEqual([0, 0, -EBADF]);
    expect(addon.wake(fd)).toBe(-EBADF);
    expect(addon.dupFd(fd)).toBe(-EBADF);
    expect(openFds()).toBe(before);
  });
});

test('limits and clock are numbers that make sense', () => {
  const { soft, hard } = addon.fdLimits();
  expect(soft).toBeGreaterThan(0);
  expect(hard).toBeGreaterThanOrEqual(soft);
  const first = addon.monotonicNs();
  expect(addon.monotonicNs()).toBeGreaterThanOrEqual(first);
});

describe('making a sender', () => {
  const options = (changes: object = {}) => ({
    arena: allocateArena(4),
    slots: 4,
    ringEntries: 64,
    wakeFd: 0,
    fence: new Int32Array(1),
    ...changes,
  });

  test('an arena starts on a page and holds all slots', () => {
    for (const slots of [1, 3, 1000]) {
      const arena = allocateArena(slots);
      expect(addon.pageOffset(arena)).toBe(0);
      expect(arena.byteLength).toBe(slots * sendBufferBytes);
    }
  });

  test.each([
    ['an arena inside a page', { arena: allocateArena(5).subarray(16) }],
    ['an arena that is too small', { arena: allocateArena(3) }],
    ['no slots', { slots: 0 }],
    ['a fence of another kind', { fence: new Uint8Array(4) }],
    ['no arena', { arena: undefined }],
  ])('%s is refused, and nothing is left open', (_, changes) => {
    const before = openFds();
    for (const backend of ['posix', 'uring', 'auto'] as const) {
      expect(() => createSender(backend, options(changes) as never)).toThrow(
        expect.objectContaining({ code: 'ERR_ACKGATE_SENDER' }) as Error,
      );
    }
    expect(openFds()).toBe(before);
  });

  test('with no descriptor left the reason is told', () => {
    const program = `
      import { openSync } from 'node:fs';
      const { allocateArena } = await import('#ackgate/egress/arena.js');
      const { createSender } = await import('#ackgate/egress/create-sender.js');
      const arena = allocateArena(1);
      try { for (;;) openSync('/dev/null'); } catch {}
      try {
        createSender('auto', { arena, slots: 1, ringEntries: 64, wakeFd: 0, fence: new Int32Array(1) });
        console.log('made');
      } catch (error) { console.log(error.code, error.message); }`;
    const command = 'ulimit -n 64; exec "$0" --input-type=module -e "$1"';
    const { stdout } = spawnSync('sh', ['-c', command, process.execPath, program], { encoding: 'utf8' });
    // Plain `poll` takes no descriptor.
    const portable = process.env.ACKGATE_PORTABLE === '1';
    expect(stdout).toMatch(portable ? /^made/ : new RegExp(`^ERR_ACKGATE_SENDER .*errno ${EMFILE}`));
  });
});
