/** Soaks the matching engine: `ackgate soak` runs this where no driver is named. */
import { fileURLToPath } from 'node:url';
import type { CreateDriver, ServerFault, ServerHandle, ServerStatus, SoakDriver } from 'ackgate/soak';
import { encodeRequest, idMax, RequestTag, requestBytesMax } from './protocol.js';
import type { ServerConfig, ServerStatus as Status } from './server.js';
import type { ServerCommand, ServerMessage } from './server-process.js';
import { SoakAccount, TradingSoakClient } from './soak-client.js';

const program = fileURLToPath(new URL('server-process.js', import.meta.url));
/** Short garbage collections instead of rare ones. */
const nodeOptions = ['--max-semi-space-size=1'];
const connectionsMax = 1024;
const drainMs = 3000;
const statusWithinMs = 2000;
/** Client ids are cut into so many ranges, each with room for so many clients. */
const clientsMax = 4096;
const clientIdBases = Math.floor(idMax / clientsMax);

/** Must be 0 when all clients have left. */
const orphans = ['connections', 'attached', 'slots', 'permits', 'handling', 'pendingPushes'] as const;

const journalStall: ServerFault = {
  description: 'nothing becomes durable, as if the disk were stalled',
  begin: (server) => tell(server, 'pause journal'),
  end: (server) => tell(server, 'resume journal'),
};

function tell(server: ServerHandle, command: ServerCommand): void {
  if (!server.send(command)) throw new Error('the server has no IPC channel');
}

const createDriver: CreateDriver = () => {
  const accounts = new Map<number, SoakAccount>();
  // One range for each run: a server with a journal of earlier runs knows their clients and their orders: these are others.
  const clientIdBase = (Math.floor(Date.now() / 1000) % clientIdBases) * clientsMax;
  let statusId = 0;

  const driver: SoakDriver = {
    name: 'matching engine',
    operations: ['simple', 'batch', 'streaming', 'error', 'slow'],
    // Requests have one size each: sizes that are asked for have no meaning.
    requestBytesMax,
    orphans,
    faults: { 'journal-stall': journalStall },

    server({ directory, port }) {
      const config = {
        directory,
        port,
        connections: connectionsMax,
        drainMs,
      } satisfies Partial<ServerConfig>;
      const args = [...nodeOptions, program, JSON.stringify({ ...config, policy: 'local', backend: 'auto' })];
      return { command: process.execPath, args, ipc: true };
    },

    async connect(context) {
      const { client, seed } = context;
      let account = accounts.get(client);
      if (account === undefined) {
        if (client >= clientsMax) throw new Error(`a run of this driver has ${clientsMax} clients at most`);
        account = new SoakAccount(clientIdBase + client + 1, seed);
        accounts.set(client, account);
      }
      return TradingSoakClient.connect(account, context);
    },

    sampleRequest: () =>
      encodeRequest({ tag: RequestTag.limit, requestId: 1, side: 0, price: 1, quantity: 1 }),

    status(server) {
      statusId++;
      return statusOf(server, statusId);
    },
  };
  return driver;
};

export default createDriver;

/** Rejects when the server does not answer in time. */
function statusOf(server: ServerHandle, id: number): Promise<ServerStatus> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      end();
    };
    const end = server.onMessage((message) => {
      const answer = message as ServerMessage;
      if (answer?.type !== 'status' || answer.id !== id) return;
      stop();
      resolve(figuresOf(answer.status));
    });
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`the server has not told its status in ${statusWithinMs} ms`));
    }, statusWithinMs);
    try {
      tell(server, { type: 'status', id });
    } catch (error) {
      stop();
      reject(error);
    }
  });
}

function figuresOf(status: Status): ServerStatus {
  const { supervisor } = status;
  return {
    connections: supervisor?.active ?? 0,
    attached: supervisor?.attached ?? 0,
    slots: status.connections,
    permits: supervisor?.permits ?? 0,
    handling: supervisor?.handling ?? 0,
    pendingPushes: supervisor?.pendingPushes ?? 0,
    requests: supervisor?.requests ?? 0,
    responsesIn: status.recordsIn,
    responsesReleased: status.recordsReleased,
    /** Published, and neither sent on nor given up: with the gate closed they wait for that. */
    responsesHeld: status.ringDepth,
    gateClosed: status.gateClosed,
    bytesSent: status.bytesSent,
    'drops.overflow': status.dropsOverflow,
    'drops.blocked': status.dropsBlocked,
    'drops.reset': status.dropsReset,
    'drops.send-error': status.dropsSendError,
    'drops.fenced': status.dropsFenced,
    'drops.drain-timeout': status.dropsDrainTimeout,
    'drops.disconnected': status.dropsDisconnected,
    'drops.stage-failed': status.dropsStageFailed,
    openOrders: status.openOrders,
    lastSequence: status.lastSequence,
  };
}
