/** What an operator sees and steers: health, metrics, a live page, directives, the durability mode. */
import type { Stage, StageOptions } from 'ackgate';
import { type AdminServer, startAdminServer } from 'ackgate/admin';
import { WatchedMode } from 'ackgate/cluster';
import { InMemoryStore, WatchedStore } from 'ackgate/directives';
import type { Journal } from 'ackgate/journal';
import type { Supervisor } from 'ackgate/supervisor';
import type { Storage } from './storage.js';

/** What the clients see, told once a second by who runs them. */
export interface ClientFigures {
  ordersPerSecond: number;
  /** Of the last second, in milliseconds; null when nothing was answered in it. */
  roundTrip: { p50: number; p99: number; max: number } | null;
}

export interface OperationsOptions {
  stage: Stage;
  journal: Journal;
  /** None before there is one. */
  supervisor: () => Pick<Supervisor, 'status'> | undefined;
  /** The policy that was configured: in force whenever no operator's is. */
  policy: string;
  storage: Storage;
  /** 0: any free one. */
  port: number;
  /** Who knows it may change things. Empty: nobody may. */
  token: string;
  logger: StageOptions['logger'];
  /** Figures of the application, for the page. */
  figures: () => object;
}

export interface Operations {
  readonly admin: AdminServer;
  /** Lets go of what is shared. The admin server is closed by the supervisor whose `health` it is. */
  close(): Promise<void>;
}

/** Watching through a server that died can go silent: what is shared is also read so often. */
const refreshMs = 1000;

/** Serves all of it on loopback, until the supervisor whose `health` it is shuts down. */
export async function startOperations(options: OperationsOptions): Promise<Operations> {
  const { stage, journal, supervisor, policy, storage, port, token, logger, figures } = options;
  // What is set in one instance only is kept in its memory.
  const shared = storage.sharedTexts();
  const { kinds } = stage.diagnosis;
  const watched = shared === null ? null : new WatchedStore(shared.directives, { kinds, refreshMs });
  const store = watched ?? new InMemoryStore({ kinds });
  stage.diagnosis.follow(store);
  const modes = shared === null ? null : new WatchedMode(shared.mode, { refreshMs });
  modes?.follow(stage, { fallback: policy, check: storage.checkPolicy, ...(logger && { logger }) });
  const close = async () => {
    await Promise.all([watched?.close(), modes?.close()]);
    await Promise.all([shared?.directives.close(), shared?.mode.close()]);
  };
  try {
    const admin = await startAdminServer({
      stage,
      journal,
      supervisor,
      directives: store,
      port,
      ...(modes !== null && { mode: modes }),
      ...(token !== '' && { token }),
      ...(logger && { logger }),
      instance: 'matching-engine',
      extra: figures,
    });
    return { admin, close };
  } catch (error) {
    await close();
    throw error;
  }
}
