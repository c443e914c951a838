import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { startNatsServer } from '#ackgate/local-cluster/nats.js';
import { NatsJournal, type NatsJournalOptions } from '#ackgate/nats/index.js';
import { temporaryDirectory } from './support/journal.js';
import { journalContract } from './support/journal-contract.js';
import { realNats } from './support/real-servers.js';

const KiB = 1024;
const server = await realNats({ user: 'exchange', password: 'se+cret' });

let clusters = 0;
/** A cluster of its own for each test: they share the server. */
const options = (more: Partial<NatsJournalOptions> = {}): NatsJournalOptions => ({
  servers: server!.url,
  user: 'exchange',
  password: 'se+cret',
  cluster: `journal-${++clusters}`,
  node: 'p1',
  directory: join(temporaryDirectory(), 'journal'),
  segmentBytes: 64 * KiB,
  bufferBytes: 1024 * KiB,
  ...more,
});

if (server !== null) {
  journalContract('NATS', async () => {
    const opened = options();
    return {
      open: () => NatsJournal.open(opened),
      elsewhere: { module: '#ackgate/nats/index.js', name: 'NatsJournal', options: opened },
      breakIt: async () => {
        // The next segment can't be made.
        const away = `${opened.directory}-away`;
        renameSync(opened.directory, away);
        return async () => renameSync(away, opened.directory);
      },
    };
  });
}

describe.skipIf(server === null)('opening a journal on NATS', () => {
  const opened: NatsJournal[] = [];
  const open = async (given: NatsJournalOptions) => {
    const journal = await NatsJournal.open(given);
    opened.push(journal);
    return journal;
  };
  afterEach(async () => {
    for (const journal of opened.splice(0)) await journal.close().catch(() => {});
  });
  const refused = (given: NatsJournalOptions) =>
    NatsJournal.open(given).then(
      () => expect.unreachable('it was opened'),
      (error: { code: string; message: string }) => error,
    );

  test('takes a higher term each time', async () => {
    const given = options();
    const first = await open(given);
    expect(first.epoch).toBeGreaterThan(0);
    await first.close();
    expect((await open(given)).epoch).toBeGreaterThan(first.epoch);
  });

  test('refuses while a primary is there, says which, and deposes it when told to', async () => {
    const given = options();
    const first = await open(given);
    const second = { ...given, node: 'p2', directory: join(temporaryDirectory(), 'second') };
    const error = await refused(second);
    expect(error.code).toBe('ERR_ACKGATE_SUPERSEDED');
    expect(error.message).toContain('"p1"');
    expect(first.failure).toBeNull();
    expect(first.append(Buffer.from('still in office'))).toBe(1);
    const next = await open({ ...second, takeOver: true });
    expect(next.epoch).toBeGreaterThan(first.epoch);
    expect((await first.failed).code).toBe('ERR_ACKGATE_SUPERSEDED');
    expect(() => first.append(Buffer.from('not any more'))).toThrow(
      expect.objectContaining({ code: 'ERR_ACKGATE_SUPERSEDED' }),
    );
    await expect(first.close()).resolves.toBeUndefined();
  });

  test('wrong credentials: a clear error, without the password; right ones in the address', async () => {
    const error = await refused(options({ password: 'wr+ong' }));
    expect(error.code).toBe('ERR_ACKGATE_NATS_CREDENTIALS');
    expect(error.message).not.toContain('wr+ong');
    expect(error.message).toContain('"exchange"');
    const inAddress = server!.url.replace('//', '//exchange:se%2Bcret@');
    const { user: _, password: __, ...given } = options({ servers: inAddress });
    expect((await open(given)).lastSequence).toBe(0);
    const wrong = await refused({ ...given, cluster: 'other', servers: inAddress.replace('%2B', '') });
    expect(wrong.code).toBe('ERR_ACKGATE_JOURNAL_LOCKED');
  });

  test('no server: a clear error, without the password, and nothing stays locked', async () => {
    const given = options();
    const error = await refused({
      ...given,
      servers: 'nats://exchange:hidden@127.0.0.1:1',
      password: 'hidden',
    });
    expect(error.code).toBe('ERR_ACKGATE_NATS_UNREACHABLE');
    expect(error.message).toContain('127.0.0.1:1');
    expect(error.message).not.toContain('hidden');
    expect((await open(given)).lastSequence).toBe(0);
  });

  test('a replica that must answer and does not: no office is taken', async () => {
    const error = await refused(options({ replicas: ['r1'] }));
    expect(error.code).toBe('ERR_ACKGATE_NATS_UNREACHABLE');
    expect(error.message).toContain('"r1"');
  });

  test('records larger than the server takes: refused at once', async () => {
    const small = await startNatsServer({ configuration: 'max_payload: 65536' });
    try {
      const given = options({ servers: small.url, recordBytesMax: 65_536 });
      const error = await refused(given);
      expect(error.code).toBe('ERR_ACKGATE_NATS_SERVER');
      expect(error.message).toContain('recordBytesMax');
      const journal = await open({ ...given, recordBytesMax: 65_000 });
      expect(journal.append(new Uint8Array(65_000))).toBe(1);
      await journal.flush();
      await journal.close();
    } finally {
      await small.close();
    }
  });

  test.each([
    [{ servers: [] }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'servers'],
    [{ servers: 'http://host' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'servers[0]'],
    [{ cluster: 'a.b' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'cluster'],
    [{ node: '' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'node'],
    [{ clockSkewMsMax: 0 }, 'ERR_ACKGATE_OUT_OF_RANGE', 'clockSkewMsMax'],
    [{ replicas: 'r1' }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'replicas'],
    [{ tls: { ca: 'x' } }, 'ERR_ACKGATE_UNKNOWN_OPTION', 'ca'],
    [{ takeover: true }, 'ERR_ACKGATE_UNKNOWN_OPTION', 'takeover'],
    [{ directory: 7 }, 'ERR_ACKGATE_INVALID_ARGUMENT', 'directory'],
  ])('%j is refused, and named', async (wrong, code, name) => {
    const error = await refused(options(wrong as Partial<NatsJournalOptions>));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(name)]);
  });
});
