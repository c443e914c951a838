import { onTestFinished } from 'vitest';
import type { FollowOptions, WatchedMode } from '#ackgate/cluster/index.js';
import { createInlineStage, type Stage } from '#ackgate/index.js';
import type { LogLine } from './stage.js';

/** A real stage that goes round when it is looked at, and follows a mode store. Ends with the test. */
export class ModeStage {
  readonly stage: Stage & { doWork(): number };
  /** What the follower logged, and what the stage did. */
  readonly log: LogLine[] = [];
  readonly stageLog: LogLine[] = [];

  readonly #first: string;

  constructor(policy = 'local') {
    this.#first = policy;
    this.stage = createInlineStage({ connections: 1, policy, logger: loggerTo(this.stageLog) });
    this.stage.doWork();
    onTestFinished(() => this.close());
  }

  follow(modes: WatchedMode, options: Partial<FollowOptions> = {}): () => void {
    return modes.follow(this.stage, { fallback: 'local', logger: loggerTo(this.log), ...options });
  }

  /** The mode in force, a policy of one's own by its text: as logged, for the status is written on a tick only. */
  get mode(): string {
    this.stage.doWork();
    const { to, toPolicy } = this.#changes.at(-1) ?? { to: this.#first };
    return String(to === 'custom' ? toPolicy : to);
  }

  /** Changes that the stage has logged. */
  get changes(): unknown[] {
    return this.#changes.map(({ from, to }) => `${from} → ${to}`);
  }

  get #changes(): LogLine['fields'][] {
    return this.stageLog
      .filter(({ message }) => message === 'durability policy changed')
      .map(({ fields }) => fields);
  }

  async close(): Promise<void> {
    const ended = this.stage.close({ drainMs: 0 });
    while (this.stage.status().state !== 'closed') this.stage.doWork();
    await ended;
  }
}

function loggerTo(log: LogLine[]) {
  const line = (level: string) => (fields: object, message: string) =>
    void log.push({ level, fields: fields as Record<string, unknown>, message });
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}
