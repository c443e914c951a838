/** Where orders are kept: files of this machine's, PostgreSQL with its standbys, or files here and on replicas behind NATS. */
import type { Policy } from 'ackgate';
import type { TextSource } from 'ackgate/directives';
import { FileJournal, type Journal } from 'ackgate/journal';

export type StorageConfig = FileStorage | PostgresStorage | NatsStorage;

interface FileStorage {
  engine: 'file';
}

interface PostgresStorage {
  engine: 'postgres';
  /** URLs of all servers that may be the primary. */
  servers: string[];
  /** `application_name` of each standby that counts. */
  standbys: string[];
  /** This server's own name. */
  node: string;
  takeOver?: boolean;
}

interface NatsStorage {
  engine: 'nats';
  servers: string[];
  /** Name of the replicas' cluster. */
  cluster: string;
  /** Replicas that must answer before this server becomes the primary. */
  replicas?: string[];
  /** This server's own name. */
  node: string;
  takeOver?: boolean;
}

/** What the server needs of a journal; every one of Ackgate's has it. */
export type PausableJournal = Journal & { pause(): Promise<boolean>; resume(): void };

/** A text that all instances share. */
export type SharedText = TextSource & { close(): Promise<void> };

export interface SharedTexts {
  directives: SharedText;
  mode: SharedText;
}

export interface Storage {
  /** @throws ERR_ACKGATE_POLICY_UNSUPPORTED when the policy means nothing on this engine */
  checkPolicy(policy: string | Policy): void;
  /** `directory` is for those that have files. */
  openJournal(directory: string): Promise<PausableJournal>;
  /** What operators set, for all instances; null where there is one instance only. */
  sharedTexts(): SharedTexts | null;
}

/** The clients of the engines are loaded only where they are wanted. */
export async function openStorage(config: StorageConfig): Promise<Storage> {
  switch (config.engine) {
    case 'file':
      return {
        checkPolicy: () => {},
        openJournal: (directory) => FileJournal.open({ directory }),
        sharedTexts: () => null,
      };
    case 'postgres': {
      const { checkPostgresPolicy, PostgresJournal, postgresText } = await import('ackgate/postgres');
      const { engine: _, ...options } = config;
      const text = (name: string) => postgresText({ servers: config.servers }, name);
      return {
        checkPolicy: checkPostgresPolicy,
        openJournal: () => PostgresJournal.open(options),
        sharedTexts: () => ({ directives: text('directives'), mode: text('mode') }),
      };
    }
    case 'nats': {
      const { NatsJournal, natsText } = await import('ackgate/nats');
      const { engine: _, ...options } = config;
      const text = (name: string) => natsText({ servers: config.servers }, `${config.cluster}-${name}`);
      return {
        checkPolicy: () => {},
        openJournal: (directory) => NatsJournal.open({ directory, ...options }),
        sharedTexts: () => ({ directives: text('directives'), mode: text('mode') }),
      };
    }
  }
}
