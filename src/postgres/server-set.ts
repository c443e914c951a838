import { setTimeout as passed } from 'node:timers/promises';
import { AckgateError } from '../errors.js';
import type { ServerSettings } from './client.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { reasonOf } from './fault.js';

/** What one of the servers has answered. */
export interface ServerAnswer<T> {
  readonly server: ServerSettings;
  readonly value: T;
}

interface Member {
  readonly server: ServerSettings;
  connection: Promise<Connection> | null;
  /** Questions that were not waited for any longer, and are not answered yet. */
  late: number;
  /** Why it did not answer last time. */
  reason: string;
  /** The same, when it is not for being out of reach. */
  refusal: AckgateError | null;
}

/** How long the others are waited for once one has answered. */
const othersMs = 1000;

/**
 * A connection to each of several servers, made when it is needed and again after it broke. A server that hangs holds up
 * the others for a moment, and is not asked anything else until it has answered or its connection is given up.
 */
export class ServerSet {
  readonly #members: Member[];
  readonly #options: ConnectionOptions;
  #isClosed = false;

  constructor(servers: readonly ServerSettings[], options: ConnectionOptions) {
    this.#members = servers.map((server) => ({
      server,
      connection: null,
      late: 0,
      reason: '',
      refusal: null,
    }));
    this.#options = options;
  }

  /** Why the servers that did not answer last time did not. */
  get reasons(): string[] {
    return this.#members.flatMap(({ server, reason }) =>
      reason === '' ? [] : [`${server.label}: ${reason}`],
    );
  }

  /** What there is wrong with one of them but that it is out of reach; null: nothing. */
  get refusal(): AckgateError | null {
    return this.#members.find(({ refusal }) => refusal !== null)?.refusal ?? null;
  }

  /** Asks all of them at once; resolves to what was answered in time, nothing if nobody answers. */
  async ask<T>(question: (connection: Connection) => Promise<T>): Promise<ServerAnswer<T>[]> {
    const answers: ServerAnswer<T>[] = [];
    const unanswered = new Set(this.#members.filter(({ late }) => late === 0));
    let oneAnswered = () => {};
    const first = new Promise<void>((tell) => {
      oneAnswered = tell;
    });
    let isOver = false;
    const all = [...unanswered].map(async (member) => {
      const answer = await this.#askOne(member, question);
      unanswered.delete(member);
      if (isOver) member.late--;
      if (answer === null) return;
      answers.push(answer);
      oneAnswered();
    });
    await Promise.race([Promise.all(all), first.then(() => passed(othersMs, undefined, { ref: false }))]);
    isOver = true;
    for (const member of unanswered) {
      member.late++;
      member.reason = 'gives no answer';
    }
    return [...answers];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#members.map((member) => this.#drop(member)));
  }

  async #askOne<T>(
    member: Member,
    question: (connection: Connection) => Promise<T>,
  ): Promise<ServerAnswer<T> | null> {
    let connection: Promise<Connection> | null = null;
    try {
      if (this.#isClosed) throw new Error('closed');
      member.connection ??= Connection.open(member.server, this.#options);
      connection = member.connection;
      const value = await question(await connection);
      member.reason = '';
      member.refusal = null;
      return { server: member.server, value };
    } catch (error) {
      member.reason = reasonOf(error, member.server);
      member.refusal = error instanceof AckgateError ? error : null;
      // Unless another question has had it made anew already.
      if (member.connection === connection) await this.#drop(member);
      return null;
    }
  }

  async #drop(member: Member): Promise<void> {
    const { connection } = member;
    member.connection = null;
    await connection?.then(
      (made) => made.end(),
      () => {},
    );
  }
}
