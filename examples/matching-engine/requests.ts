/**
 * What becomes of a client's requests. For every command: journal it, apply it, publish the answers under its sequence.
 * The stage holds them until the journal (and whatever the policy asks for) has that sequence.
 */
import { monotonicNow, type Stage } from 'ackgate';
import { type Journal, journalFull } from 'ackgate/journal';
import type { Connection, ConnectionEnd, Service } from 'ackgate/supervisor';
import { commandBytesMax, encodeCommand } from './command-log.js';
import type { Engine } from './engine.js';
import { Outbox } from './outbox.js';
import {
  type Command,
  decodeRequest,
  encodeResponse,
  RejectReason,
  type Request,
  RequestTag,
  type Response,
  ResponseTag,
  response,
  responseBytes,
} from './protocol.js';

/** What the server knows of one connection. */
export interface Session {
  /** 0 before the logon. */
  clientId: number;
  /** Responses published to this connection. */
  responses: number;
  /** It was cut off: nothing more is done for it. */
  over: boolean;
}

type Client = Connection<Session>;
/** `last`: the connection ends behind its answer. `full`: it has to be taken again later. */
type Taken = 'done' | 'last' | 'full';

export interface RequestsParts {
  stage: Stage;
  journal: Journal;
  engine: Engine;
  /** The journal takes nothing more. */
  onFailure: (error: Error) => void;
}

const gated = { last: true, bypass: false };

export class Requests implements Service<Session> {
  readonly name = 'requests';
  readonly #stage: Stage;
  readonly #journal: Journal;
  readonly #engine: Engine;
  readonly #outbox: Outbox;
  readonly #onFailure: (error: Error) => void;
  /** By client id: where a fill goes. A client without a connection misses it, and can ask later. */
  readonly #clients = new Map<number, Client>();
  /** By client id: the latest, also when it has ended. */
  readonly #sessions = new Map<number, Session>();
  readonly #body = Buffer.alloc(responseBytes);
  readonly #command = Buffer.alloc(commandBytesMax);
  /** When the request that is being dealt with came. */
  #receivedNs = 0;
  #stopped = false;

  constructor({ stage, journal, engine, onFailure }: RequestsParts) {
    this.#stage = stage;
    this.#journal = journal;
    this.#engine = engine;
    this.#outbox = new Outbox(stage);
    this.#onFailure = onFailure;
  }

  static newSession(): Session {
    return { clientId: 0, responses: 0, over: false };
  }

  /**
   * Deals with one request. A promise says that there was no room for it, or for all of its answers: it settles once
   * everything is published, and until then the supervisor hands over nothing more of this connection.
   */
  handle(client: Client, frame: Uint8Array): void | Promise<void> {
    const body = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    const receivedNs = monotonicNow();
    const taken = this.#take(client, body, receivedNs);
    if (taken === 'full' || this.#outbox.blocked) return this.#handleLater(client, body, receivedNs, taken);
    if (taken === 'last') client.disconnect();
  }

  disconnected(client: Client, { reason }: ConnectionEnd): void {
    const { data: session } = client;
    // Who only ends his requests is still owed the answers; of anybody else nothing more is wanted.
    session.over = reason !== 'end-of-stream' && reason !== 'client-disconnect';
    if (this.#clients.get(session.clientId) === client) this.#clients.delete(session.clientId);
  }

  /** Takes no more requests, those that wait for room included. */
  stop(): void {
    this.#stopped = true;
  }

  async #handleLater(client: Client, body: Buffer, receivedNs: number, first: Taken): Promise<void> {
    let taken = first;
    while (taken === 'full') {
      await this.#outbox.retry();
      taken = this.#take(client, body, receivedNs);
    }
    while (this.#outbox.blocked) await this.#outbox.retry();
    if (taken === 'last') client.disconnect();
  }

  #take(client: Client, body: Buffer, receivedNs: number): Taken {
    const { data: session } = client;
    if (this.#stopped || session.over) return 'done';
    if (this.#outbox.blocked) return 'full';
    this.#receivedNs = receivedNs;
    const request = decodeRequest(body);
    const loggedOn = session.clientId > 0;
    if (request === null || (request.tag === RequestTag.logon) === loggedOn) return this.#refuse(client);
    return this.#answer(client, request, body);
  }

  #answer(client: Client, request: Request, body: Buffer): Taken {
    const { clientId } = client.data;
    switch (request.tag) {
      case RequestTag.logon:
        this.#logon(client, request.clientId);
        return 'done';
      case RequestTag.query:
        this.#publish(client, this.#engine.query(clientId, request.requestId, request.target), gated);
        return 'done';
      case RequestTag.orders: {
        const answers = this.#engine.openOrders(clientId, request.requestId);
        for (const [i, answer] of answers.entries()) {
          this.#publish(client, answer, { last: i === answers.length - 1, bypass: false });
        }
        return 'done';
      }
      case RequestTag.logoff: {
        const { requestId } = request;
        const { lastSequence: sequence } = this.#engine;
        this.#publish(client, response(ResponseTag.loggedOff, { requestId, sequence }), gated);
        return 'last';
      }
      default:
        return this.#execute(client, request, body);
    }
  }

  #execute(client: Client, command: Command, body: Buffer): Taken {
    const { clientId } = client.data;
    const refusal = this.#engine.refusal(clientId, command);
    if (refusal !== null) {
      // What is out of range is so whatever the book says. That a request was seen before is state, which may
      // not be durable yet.
      const bypass = refusal === RejectReason.outOfRange;
      const { requestId } = command;
      const { lastSequence: sequence } = this.#engine;
      const answer = response(ResponseTag.rejected, { requestId, code: refusal, sequence });
      this.#publish(client, answer, { last: true, bypass });
      return 'done';
    }
    const sequence = this.#append(encodeCommand(clientId, body, this.#command));
    if (sequence === journalFull) return 'full';
    const answers = this.#engine.apply(sequence, clientId, command);
    const last = answers.findLastIndex((answer) => answer.clientId === clientId);
    for (const [i, answer] of answers.entries()) {
      const to = answer.clientId === clientId ? client : this.#clients.get(answer.clientId);
      if (to !== undefined) this.#publish(to, answer.response, { last: i === last, bypass: false });
    }
    return 'done';
  }

  #append(record: Buffer): number {
    try {
      return this.#journal.append(record);
    } catch (error) {
      this.#onFailure(error as Error);
      return journalFull;
    }
  }

  #logon(client: Client, clientId: number): void {
    // The client came back before its old connection was seen to be dead.
    this.#clients.get(clientId)?.disconnect({ when: 'now' });
    // Of one that has ended its requests some may wait for room. What this answer says was applied must stay true.
    const before = this.#sessions.get(clientId);
    if (before !== undefined) before.over = true;
    this.#sessions.set(clientId, client.data);
    client.data.clientId = clientId;
    // So that directives find the client by its name.
    this.#stage.diagnosis.setTenant(client.id, `client-${clientId}`);
    if (client.state === 'live') this.#clients.set(clientId, client);
    const orderId = this.#engine.lastRequestId(clientId);
    const { lastSequence: sequence } = this.#engine;
    this.#publish(client, response(ResponseTag.loggedOn, { orderId, sequence }), gated);
  }

  /** Ends a connection that talks nonsense, and only this one. */
  #refuse(client: Client): Taken {
    const { lastSequence: sequence } = this.#engine;
    const answer = response(ResponseTag.rejected, { code: RejectReason.malformed, sequence });
    this.#publish(client, answer, { last: true, bypass: true });
    return 'last';
  }

  /** Publishes under the sequence of the last command applied: the answer may show anything up to it. */
  #publish(client: Client, answer: Response, { last, bypass }: { last: boolean; bypass: boolean }): void {
    const { data: session } = client;
    session.responses++;
    encodeResponse(answer, session.responses, this.#body);
    const { tag: kind, requestId } = answer;
    const { lastSequence: wireSeq } = this.#engine;
    const receivedNs = this.#receivedNs;
    this.#outbox.publish(client.id, this.#body, { wireSeq, last, bypass, kind, requestId, receivedNs });
  }
}
