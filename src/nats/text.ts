import type { KV, KvEntry, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { AckgateError } from '../errors.js';
import { argument, checkKeys, integer } from '../shared/checks.js';
import type { KeptText, TextSource } from '../shared/text-source.js';
import { connectNats } from './connect.js';
import { checkServers, type NatsServers, serverOptionNames } from './servers.js';

/** Where the texts are kept. */
export interface NatsTextOptions extends NatsServers {
  /** Key-value bucket, made by the first write when there is none: letters, digits, `-` and `_` (default `ackgate`). */
  readonly bucket?: string;
  /** Servers that keep a bucket that is made here, 1 … 5 (default 1); one that is there stays as it is. */
  readonly replicas?: number;
}

/** A key of a bucket, for `WatchedStore`, `WatchedMode`. Its connection keeps the process alive until it is closed. */
export interface NatsText extends TextSource {
  /** As `TextSource.write`; makes the bucket when there is none. */
  write(text: string, ifRevision: number | undefined): Promise<number | null>;
  /** Ends its connection, and every watch with it. */
  close(): Promise<void>;
  /** As `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Of the server's answers. */
const streamNotFound = 10059;
const streamExists = 10058;
const notEnabledForAccount = 10039;
const wrongLastRevision = [10071, 10164];

interface Opened {
  connection: NatsConnection;
  kvm: Kvm;
  kv: KV;
  /** While the client tries to connect anew. */
  isLost: boolean;
  /** How often that was so. */
  losses: number;
  /** Whether there is a bucket, as the last call has found; undefined before the first. */
  hasBucket: boolean | undefined;
}

type Interrupt = (error: Error) => void;

const notConnected = 'there is no connection to the NATS server at the moment';

/**
 * One text in a key-value bucket of NATS' JetStream, under the key `name`. A key that is deleted keeps nothing.
 *
 * The server may not notice for a minute that a watch has gone silent: give `WatchedStore` or `WatchedMode` a `refreshMs`
 * of 1,000. Keys don't expire: what is over says so itself, in the text.
 *
 * @param name letters, digits, `-`, `_`, and dots between them
 * @throws ERR_ACKGATE_INVALID_ARGUMENT, _OUT_OF_RANGE, _UNKNOWN_OPTION. Its methods reject with the same for the
 *   servers' options, ERR_ACKGATE_PEER_MISSING, ERR_ACKGATE_NATS_UNREACHABLE, _NATS_CREDENTIALS, _NATS_SERVER, and what
 *   the client says
 */
export function natsText(options: NatsTextOptions, name: string): NatsText {
  return new BucketText(options, name);
}

class BucketText implements NatsText {
  readonly #servers: NatsServers;
  readonly #bucket: string;
  readonly #replicas: number;
  readonly #key: string;
  readonly #watches = new Set<Interrupt>();
  readonly #calls = new Set<Interrupt>();
  #opened: Promise<Opened> | null = null;
  #isClosed = false;

  constructor(options: NatsTextOptions, name: string) {
    checkKeys('options', options, [...serverOptionNames, 'bucket', 'replicas']);
    const { bucket = 'ackgate', replicas = 1, ...servers } = options;
    if (typeof name !== 'string' || !/^[-\w]+(\.[-\w]+)*$/.test(name)) {
      throw argument('name', 'a key such as "mode": letters, digits, "-", "_", and dots between them');
    }
    if (typeof bucket !== 'string' || !/^[-\w]+$/.test(bucket)) {
      throw argument('bucket', 'the name of a bucket: letters, digits, "-" and "_"');
    }
    this.#servers = servers;
    this.#bucket = bucket;
    this.#replicas = integer('replicas', replicas, 1, 5);
    this.#key = name;
  }

  read(): Promise<KeptText | null> {
    return this.#connected(async (opened) => {
      const entry = await this.#entry(opened);
      return isKept(entry) ? { revision: entry.revision, text: entry.string() } : null;
    });
  }

  write(text: string, ifRevision: number | undefined): Promise<number | null> {
    return this.#connected((opened) => this.#write(opened, text, ifRevision));
  }

  watch(changed: () => void, failed: (error: unknown) => void): Promise<() => void> {
    return this.#connected((opened) => this.#watch(opened, changed, failed));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = await this.#opened?.catch(() => null);
    await opened?.connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(opened: Opened, text: string, ifRevision: number | undefined): Promise<number | null> {
    const { kv, kvm } = opened;
    const entry = await this.#entry(opened);
    if (ifRevision !== undefined && ifRevision !== (isKept(entry) ? entry.revision : 0)) return null;
    if (!opened.hasBucket) await this.#makeBucket(kvm);
    if (ifRevision === undefined) return kv.put(this.#key, text);
    try {
      // A deletion has a revision, too. The server compares and writes in one step.
      return await kv.put(this.#key, text, { previousSeq: entry?.revision ?? 0 });
    } catch (error) {
      if (wrongLastRevision.includes(codeOf(error))) return null;
      throw error;
    }
  }

  async #watch(opened: Opened, changed: () => void, failed: (error: unknown) => void): Promise<() => void> {
    const { losses } = opened;
    await this.#entry(opened);
    if (!opened.hasBucket) return this.#watchMissing(opened, changed, failed);
    const changes = await opened.kv.watch({ key: this.#key, include: 'updates' });
    // Nobody waits for it any more, or it is of a bucket that is gone.
    if (opened.losses !== losses || !opened.hasBucket) {
      changes.stop();
      throw new Error(notConnected);
    }
    const { end, fail } = this.#standing(() => changes.stop(), failed);
    void (async () => {
      try {
        for await (const _ of changes) changed();
        fail(new Error(`the watch of ${this.#key} in bucket ${this.#bucket} has ended`));
      } catch (error) {
        fail(error as Error);
      }
    })();
    return end;
  }

  /** A write to the key comes along here too. It fails once a call finds the bucket, and is set up anew in that. */
  #watchMissing({ connection }: Opened, changed: () => void, failed: (error: unknown) => void): () => void {
    const writes = connection.subscribe(`$KV.${this.#bucket}.${this.#key}`, { callback: () => changed() });
    return this.#standing(() => writes.unsubscribe(), failed).end;
  }

  #standing(stop: () => void, failed: (error: unknown) => void): { end: () => void; fail: Interrupt } {
    const end = () => {
      if (this.#watches.delete(fail)) stop();
    };
    const fail: Interrupt = (error) => {
      if (!this.#watches.has(fail)) return;
      end();
      failed(error);
    };
    this.#watches.add(fail);
    return { end, fail };
  }

  /** What was last done to the key, which may have been its deletion. */
  async #entry(opened: Opened): Promise<KvEntry | null> {
    try {
      const entry = await opened.kv.get(this.#key);
      this.#sawBucket(opened, true);
      return entry;
    } catch (error) {
      if (codeOf(error) !== streamNotFound) throw this.#explain(error);
      this.#sawBucket(opened, false);
      return null;
    }
  }

  /** A watch does not notice when its bucket is deleted, nor that of a missing one when it is made. */
  #sawBucket(opened: Opened, isThere: boolean): void {
    if (opened.hasBucket === isThere) return;
    opened.hasBucket = isThere;
    interrupt(this.#watches, `bucket ${this.#bucket} was ${isThere ? 'made' : 'deleted'}`);
  }

  /** What the call gives; it fails at once while there is no connection, and when that is lost meanwhile. */
  async #connected<T>(call: (opened: Opened) => Promise<T>): Promise<T> {
    const opened = await this.#open();
    if (opened.isLost) throw new Error(notConnected);
    let interrupted!: Interrupt;
    const lost = new Promise<never>((_, reject) => {
      interrupted = reject;
    });
    this.#calls.add(interrupted);
    try {
      return await Promise.race([call(opened), lost]);
    } finally {
      this.#calls.delete(interrupted);
    }
  }

  #open(): Promise<Opened> {
    if (this.#isClosed) {
      throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `the source of ${this.#key} is closed`);
    }
    this.#opened ??= this.#connect().catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  async #connect(): Promise<Opened> {
    const KvmOfClient = await loadKvm();
    const { connection } = await connectNats(await checkServers(this.#servers), `ackgate ${this.#key}`);
    try {
      const kvm = new KvmOfClient(connection);
      // Only the leader of the bucket's copies is asked: others may lag behind.
      const kv = await kvm.open(this.#bucket, { allow_direct: false });
      const opened = { connection, kvm, kv, isLost: false, losses: 0, hasBucket: undefined };
      void this.#follow(opened);
      return opened;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /**
   * For a write, not for whoever looks: all instances look at once when they start, and older servers (2.9) may make two
   * of one bucket that several ask for in the same moment.
   */
  async #makeBucket(kvm: Kvm): Promise<void> {
    const options = { history: 1, replicas: this.#replicas, allow_direct: false };
    try {
      await kvm.create(this.#bucket, options);
    } catch (error) {
      // Somebody else has made it meanwhile.
      if (codeOf(error) !== streamExists) throw this.#explain(error);
    }
  }

  #explain(error: unknown): unknown {
    const { name, message } = (error ?? {}) as { name?: unknown; message?: unknown };
    if (name === 'JetStreamNotEnabled' || codeOf(error) === notEnabledForAccount) {
      const what =
        'start it with JetStream: nats-server -js, or a jetstream { } section in its configuration';
      return serverError(`the NATS server keeps no buckets (${message}); ${what}, enabled for this account`);
    }
    if (name !== 'JetStreamApiError') return error;
    return serverError(`the NATS server refuses bucket ${this.#bucket}: ${message}`);
  }

  /** Whoever waits for an answer, or for changes, would wait for long when the connection is lost. */
  async #follow(opened: Opened): Promise<void> {
    for await (const { type } of opened.connection.status()) {
      if (type === 'reconnect') opened.isLost = false;
      if (type === 'disconnect') this.#lose(opened);
    }
    this.#lose(opened);
    // The client goes on trying for as long as it takes; if it has given up all the same, the next call begins anew.
    this.#opened = null;
  }

  #lose(opened: Opened): void {
    opened.isLost = true;
    opened.losses++;
    interrupt(this.#calls, notConnected);
    interrupt(this.#watches, notConnected);
  }
}

function interrupt(all: Set<Interrupt>, message: string): void {
  for (const each of [...all]) each(new Error(message));
}

async function loadKvm(): Promise<typeof Kvm> {
  try {
    return (await import('@nats-io/kv')).Kvm;
  } catch (cause) {
    const message =
      "texts in a bucket need NATS' client: npm install @nats-io/transport-node@3 @nats-io/kv@3";
    throw new AckgateError('ERR_ACKGATE_PEER_MISSING', message, { cause });
  }
}

function isKept(entry: KvEntry | null): entry is KvEntry {
  return entry !== null && entry.operation === 'PUT';
}

function codeOf(error: unknown): number {
  return Number((error as { code?: unknown } | null)?.code);
}

function serverError(message: string): AckgateError {
  return new AckgateError('ERR_ACKGATE_NATS_SERVER', message);
}
