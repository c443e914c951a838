import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FileJournal } from '../../journal/file-journal.js';
import { createTurnLog, readTurns, type Turn } from '../../journal/turn-log.js';
import { monotonicNow } from '../../shared/clock.js';
import type { Stage } from '../../stage/api.js';
import { startStage } from '../../stage/start-stage.js';
import { type DistributionRecorder, type ReplicaRecording, recordDistributions } from './record.js';
import type { ClientInput } from './record-client.js';
import type { ReplicaInput, ReplicaReport } from './record-replica.js';
import { ackWireBytes, orderBytes, recordWireBytes } from './record-wire.js';
import type { DistributionFile } from './shape-file.js';

export interface RecordHereOptions {
  /** How long orders come, in seconds, 0.1 … 600. */
  seconds: number;
  /** Orders per second, drawn times (default 1000). */
  ordersPerSecond?: number;
  /** Replicas on this machine, each with a journal of its own, 0 … 4 (default 0). */
  replicas?: number;
  /** Below it the journals are made, and removed again (default: the directory for temporary files). */
  directory?: string;
  /** Default `persisted>=1` without replicas, `persisted>=2` with them. */
  policy?: string;
  /** Default 16. */
  connections?: number;
  seed?: number;
}

/** A recording, and how long acknowledgements took meanwhile. */
export interface Recording {
  readonly file: DistributionFile;
  /** From the order being read to the kernel having the acknowledgement, as the stage timed it; nanoseconds. */
  readonly measuredNs: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly p999: number;
  };
  readonly orders: number;
}

const payloadBytes = 64;
/** Orders come for so long before any is counted: code that is new runs slowly. */
const warmUpSeconds = 1;
const turnsMax = 400_000;

/** Runs a server with a stage, a journal and clients on this machine, and records the distributions of its parts. */
export async function recordHere(options: RecordHereOptions): Promise<DistributionFile> {
  return (await measureHere(options)).file;
}

/** The same, with the latencies that were measured, to compare a simulation with. */
export async function measureHere(options: RecordHereOptions): Promise<Recording> {
  const top = mkdtempSync(join(options.directory ?? tmpdir(), 'ackgate-record-'));
  const ending: (() => unknown)[] = [() => rmSync(top, { recursive: true, force: true })];
  try {
    return await record(options, top, ending);
  } finally {
    for (const end of ending.reverse()) await end();
  }
}

async function record(
  options: RecordHereOptions,
  top: string,
  ending: (() => unknown)[],
): Promise<Recording> {
  const { seconds, ordersPerSecond = 1000, replicas = 0, connections = 16, seed = 1 } = options;
  const policy = options.policy ?? (replicas > 0 ? 'persisted>=2' : 'persisted>=1');
  const stage = await startStage({
    policy,
    connections,
    heartbeatIntervalMs: 0,
    ring: { maxPayload: payloadBytes },
  });
  ending.push(() => stage.close({ drainMs: 1000 }));
  const turns = createTurnLog(turnsMax);
  const journal = await FileJournal.open({ directory: join(top, 'primary'), turns });
  ending.push(() => journal.close());
  await journal.drive(stage);
  const recorder = recordDistributions({
    about:
      `recorded on a machine with ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${process.platform}, Node ` +
      `${process.version}: ${ordersPerSecond} orders/s for ${seconds} s, ${replicas} replicas on the same machine`,
    timings: stage.timings,
    turns,
    ordersMax: Math.ceil(ordersPerSecond * seconds * 1.5) + 1000,
  });
  const group = await startReplicas(stage, replicas, top, recorder, ending);
  stage.diagnosis.setBaseline('timing');
  const orders = await serve(
    { stage, journal, recorder, group, connections, ordersPerSecond, seconds, seed },
    ending,
  );
  const measured = stage.timings.serverEndToEnd;
  const replica = await group.finish();
  const at = (percent: number) => measured.percentile(percent);
  return {
    file: recorder.finish(replica),
    measuredNs: { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9) },
    orders,
  };
}

interface ServeParts {
  stage: Stage;
  journal: FileJournal;
  recorder: DistributionRecorder;
  group: ReplicaGroup;
  connections: number;
  ordersPerSecond: number;
  seconds: number;
  seed: number;
}

/** Serves until all clients have sent their orders and had their answers. Returns how many. */
async function serve(parts: ServeParts, ending: (() => unknown)[]): Promise<number> {
  const { stage, journal, recorder, group, connections, ordersPerSecond, seconds, seed } = parts;
  const { producer } = stage;
  const order = Buffer.alloc(orderBytes);
  let taken = 0;
  let fromNs = Number.POSITIVE_INFINITY;
  const take = (connectionId: number, readNs: number) => {
    const isCounted = readNs >= fromNs;
    if (isCounted && taken++ === 0) {
      stage.timings.serverEndToEnd.reset();
      stage.timings.flush.reset();
    }
    const seq = journal.append(order);
    producer.claim(payloadBytes);
    producer.publish(connectionId, seq, 1, 0, readNs);
    if (isCounted) recorder.appended(seq, readNs, monotonicNow());
    group.send(seq);
  };
  const sockets: Socket[] = [];
  const server = await listen((socket) => {
    sockets.push(socket);
    const id = stage.attach(socket);
    let bytes = 0;
    socket.on('data', (chunk) => {
      const readNs = monotonicNow();
      bytes += chunk.length;
      for (; bytes >= orderBytes; bytes -= orderBytes) take(id, readNs);
    });
    socket.on('error', () => {});
  });
  ending.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const workerData: ClientInput = {
    port: portOf(server),
    connections,
    ordersPerSecond,
    seconds: warmUpSeconds + seconds,
    seed,
  };
  const clients = new Worker(new URL('./record-client.js', import.meta.url), { workerData, execArgv: [] });
  ending.push(() => clients.terminate());
  await once(clients, 'message');
  fromNs = monotonicNow() + warmUpSeconds * 1e9;
  clients.postMessage('go');
  await once(clients, 'message');
  // Not for ever: a policy that can't be met would never be done.
  for (
    const endNs = monotonicNow() + 5e9;
    monotonicNow() < endNs && stage.timings.serverEndToEnd.count < taken;
  ) {
    await new Promise((again) => setTimeout(again, 5));
  }
  return taken;
}

interface ReplicaGroup {
  /** The primary has journalled everything up to `seq`. */
  send(seq: number): void;
  /** Ends the replicas. What the first one has measured; undefined: there is none. */
  finish(): Promise<ReplicaRecording | undefined>;
}

async function startReplicas(
  stage: Stage,
  count: number,
  top: string,
  recorder: DistributionRecorder,
  ending: (() => unknown)[],
): Promise<ReplicaGroup> {
  const sockets: Socket[] = [];
  const server = await listen((socket) => {
    const cursor = stage.cursors.node(`replica-${sockets.length + 1}`);
    const isFirst = sockets.push(socket) === 1;
    cursor.connect({ persisted: 0 });
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const whole = rest.length - (rest.length % ackWireBytes);
      if (whole === 0) return;
      // Each tells more than the one before it.
      const inMemory = rest.readDoubleLE(whole - ackWireBytes);
      cursor.advance({ inMemory, persisted: rest.readDoubleLE(whole - ackWireBytes + 8) });
      if (isFirst) recorder.acknowledged(inMemory, monotonicNow());
      rest = rest.subarray(whole);
    });
    socket.on('error', () => {});
  });
  ending.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const turns = Array.from({ length: count }, () => createTurnLog(turnsMax));
  const workers = turns.map((log, i) => {
    const workerData: ReplicaInput = {
      port: portOf(server),
      directory: join(top, `replica-${i + 1}`),
      turns: log,
    };
    return new Worker(new URL('./record-replica.js', import.meta.url), { workerData, execArgv: [] });
  });
  ending.push(() => Promise.all(workers.map((worker) => worker.terminate())));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  while (sockets.length < count) await new Promise((again) => setTimeout(again, 1));
  const frame = Buffer.alloc(recordWireBytes);
  return {
    send(seq) {
      frame.writeDoubleLE(seq);
      for (const socket of sockets) socket.write(Buffer.from(frame));
    },
    async finish() {
      if (count === 0) return undefined;
      const reports = workers.map((worker) => once(worker, 'message') as Promise<[ReplicaReport]>);
      for (const socket of sockets) socket.end();
      const [[{ acks }]] = await Promise.all(reports);
      const own = readTurns(turns[0]);
      return { turns: own, notices: noticesOf(own, acks) };
    },
  };
}

/** From the end of each turn to the first acknowledgement that covers it. */
function noticesOf(turns: readonly Turn[], acks: ReplicaReport['acks']): ReplicaRecording['notices'] {
  let next = 0;
  return turns.flatMap(({ endedNs, lastSequence }) => {
    while (next < acks.length && acks[next].sequence < lastSequence) next++;
    return next === acks.length ? [] : [{ atNs: endedNs, ns: acks[next].sentNs - endedNs }];
  });
}

async function listen(onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ noDelay: true }, onSocket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
