import type { ToldError, WriterAnswer } from '../journal/driving.js';
import type { CheckedJournalOptions } from './options.js';

/** What the writer's thread is started with. */
export interface WriterData {
  readonly memory: SharedArrayBuffer;
  readonly options: CheckedJournalOptions;
  /** Longest sleep. Only a bound: there is always a wake when there is something to do. */
  readonly parkMs: number;
}

/** What the writer has taken. */
export interface Opened {
  readonly type: 'opened';
  /** Place of the primary in `servers`. */
  readonly server: number;
  /** Which server that is, for further connections. */
  readonly identity: string;
  readonly generation: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

export interface LogLine {
  readonly type: 'log';
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** What the writer posts: first that it is open, or why not. */
export type WriterMessage = Opened | ({ readonly type: 'refused' } & ToldError) | LogLine | WriterAnswer;
