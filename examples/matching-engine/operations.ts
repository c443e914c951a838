/** What an operator sees and steers: health, metrics, a live page, directives, the durability mode. */
import type { Stage, StageOptions } from 'ackgate';
import { type AdminServer, startAdminServer } from 'ackgate/admin';
import { InMemoryStore } from 'ackgate/directives';
import type { Journal } from 'ackgate/journal';
import type { Supervisor } from 'ackgate/supervisor';

/** What the clients see, told once a second by who runs them. */
export interface ClientFigures {
  ordersPerSecond: number;
  /** Of the last second, in milliseconds; null when nothing was answered in it. */
  roundTrip: { p50: number; p99: number; max: number } | null;
}

export interface Operations {
  stage: Stage;
  journal: Journal;
  /** None before there is one. */
  supervisor: () => Pick<Supervisor, 'status'> | undefined;
  /** 0: any free one. */
  port: number;
  /** Who knows it may change things. Empty: nobody may. */
  token: string;
  logger: StageOptions['logger'];
  /** Figures of the application, for the page. */
  figures: () => object;
}

/** Serves all of it on loopback, until the supervisor whose `health` it is shuts down. */
export function startOperations(options: Operations): Promise<AdminServer> {
  const { stage, journal, supervisor, port, token, logger, figures } = options;
  const store = new InMemoryStore();
  stage.diagnosis.follow(store);
  return startAdminServer({
    stage,
    journal,
    supervisor,
    store,
    port,
    ...(token !== '' && { token }),
    ...(logger && { logger }),
    instance: 'matching-engine',
    extra: figures,
  });
}
