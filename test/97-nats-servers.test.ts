import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connectNats } from '#ackgate/nats/connect.js';
import { checkServers, type NatsServers } from '#ackgate/nats/servers.js';
import { temporaryDirectory } from './support/journal.js';

const refused = (options: NatsServers) =>
  checkServers(options).then(
    () => expect.unreachable('it was taken'),
    (error: { code: string; message: string; cause?: unknown }) => error,
  );

/** Speaks as a server that can't do TLS, until the client has said something; then it wants other credentials. */
async function fakeServer(): Promise<{ port: number; heard: () => string }> {
  let heard = '';
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(
      'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}\r\n',
    );
    socket.on('data', (data) => {
      heard += data;
      socket.end("-ERR 'Authorization Violation'\r\n");
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  return { port: (server.address() as { port: number }).port, heard: () => heard };
}

describe('addresses of NATS servers', () => {
  test('tls:// in one of them requires TLS, also where the server would do without; nothing is said in clear text', async () => {
    const { port, heard } = await fakeServer();
    const servers = `tls://user:secret@127.0.0.1:${port}`;
    expect((await checkServers({ servers: ['nats://other', servers] })).tls).toEqual({});
    expect((await checkServers({ servers, tls: { handshakeFirst: true } })).tls).toEqual({
      handshakeFirst: true,
    });
    expect((await checkServers({ servers: 'nats://host' })).tls).toBeNull();
    const error = await connectNats(await checkServers({ servers }), 'test').catch((error) => error);
    expect(error).toMatchObject({
      code: 'ERR_ACKGATE_NATS_UNREACHABLE',
      message: expect.stringContaining('tls'),
    });
    expect(heard()).toBe('');
  });

  test('a name without a password is a token; nothing of an address is in a message', async () => {
    const { port, heard } = await fakeServer();
    const refusal = async (options: NatsServers) => {
      const { code, message } = await connectNats(await checkServers(options), 'test').catch(
        (error) => error,
      );
      expect(code).toBe('ERR_ACKGATE_NATS_CREDENTIALS');
      return message;
    };
    const tokenOnly = `nats://s3cr3t-token@127.0.0.1:${port}`;
    expect(await checkServers({ servers: tokenOnly })).toMatchObject({ user: null, token: 's3cr3t-token' });
    expect(await refusal({ servers: tokenOnly })).not.toContain('s3cr3t');
    expect(heard()).toContain('"auth_token":"s3cr3t-token"');
    const both = `nats://s3cr3t-user:s3cr3t-pass@127.0.0.1:${port}`;
    expect(await refusal({ servers: both })).not.toContain('s3cr3t');
    expect(heard()).toContain('"user":"s3cr3t-user"');
    expect(await refusal({ servers: `127.0.0.1:${port}`, user: 'ann', password: 'x' })).toContain('"ann"');
    const withPassword = await checkServers({ servers: 'nats://ann@host', password: () => 'x' });
    expect(withPassword).toMatchObject({ user: 'ann', password: 'x', token: null });
    expect(await checkServers({ servers: 'nats://t@host', user: 'ann' })).toMatchObject({
      user: 'ann',
      token: null,
    });
  });

  test('what can not be read is refused without what it says', async () => {
    for (const address of [
      'nats://s3cr3t:%zz@host',
      'nats://%zzs3cr3t@host',
      'nats://s3cr3t@',
      'http://s3cr3t@h',
    ]) {
      const error = await refused({ servers: ['host', address] });
      expect(error).toMatchObject({
        code: 'ERR_ACKGATE_INVALID_ARGUMENT',
        message: expect.stringContaining('servers[1]'),
      });
      expect(`${error.message} ${error.cause}`).not.toContain('s3cr3t');
    }
  });

  test('one way to log in for all of them', async () => {
    const servers = ['nats://u:p@one', 'two', 'nats://u:p@three'];
    expect(await checkServers({ servers })).toMatchObject({ user: 'u', password: 'p' });
    for (const other of ['nats://u:s3cr3t@four', 'nats://s3cr3t:p@four', 'nats://u@four']) {
      const { code, message } = await refused({ servers: [...servers, other] });
      expect(code).toBe('ERR_ACKGATE_INVALID_ARGUMENT');
      expect(message).not.toContain('s3cr3t');
    }
  });

  test('files for TLS are looked at before anything else, and named', async () => {
    const caFile = join(temporaryDirectory(), 'ca.pem');
    writeFileSync(caFile, 'x');
    expect((await checkServers({ servers: 'host', tls: { caFile } })).tls).toEqual({ caFile });
    for (const [tls, name] of [
      [{ caFile: `${caFile}.gone` }, 'tls.caFile'],
      [{ caFile, certFile: 7 }, 'tls.certFile'],
      [{ caFile, keyFile: temporaryDirectory() }, 'tls.keyFile'],
      [{ handshakeFirst: 'yes' }, 'tls.handshakeFirst'],
    ] as const) {
      expect(await refused({ servers: 'host', tls: tls as never })).toMatchObject({
        code: 'ERR_ACKGATE_INVALID_ARGUMENT',
        message: expect.stringContaining(name),
      });
    }
  });
});
