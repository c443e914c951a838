import { AckgateError } from '../errors.js';
import type { Connected } from './connect.js';

/** What a server answers in the name of nobody. */
const noResponders = 503;

/** Longest that the server is given to answer itself. */
const roundTripMs = 3_000;

export interface Question<T> {
  readonly subject: string;
  readonly request: Uint8Array;
  decode(data: Uint8Array): T | string;
  /** How long answers are waited for, from the moment when the server has the question. */
  readonly waitMs: number;
  /** Ends it earlier. */
  isEnough?(answers: readonly T[]): boolean;
}

/**
 * Asks everybody who listens on a subject, and takes what is answered in a time. Ends at once when the server says that
 * nobody listens: the question has reached nobody then.
 *
 * That few answer, or none, means something only while the server does: it must have confirmed the question, and that there
 * is no answer left at the end, on a connection that was not lost in between.
 *
 * @throws ERR_ACKGATE_NATS_UNREACHABLE
 */
export async function askAll<T>(nats: Connected, question: Question<T>): Promise<T[]> {
  const { client, connection } = nats;
  const { subject, request, decode, waitMs, isEnough = () => false } = question;
  const lossesBefore = nats.losses();
  const inbox = client.createInbox();
  const answers: T[] = [];
  let done!: () => void;
  const enough = new Promise<void>((resolve) => {
    done = resolve;
  });
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return;
      if (message.data.length === 0) {
        if (message.headers?.code === noResponders) done();
        return;
      }
      const answer = decode(message.data);
      if (typeof answer === 'string') return;
      answers.push(answer as T);
      if (isEnough(answers)) done();
    },
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    connection.publish(subject, request, { reply: inbox });
    await roundTrip(nats);
    timer = setTimeout(done, waitMs);
    await enough;
    await roundTrip(nats);
  } finally {
    clearTimeout(timer);
    subscription.unsubscribe();
  }
  if (nats.losses() !== lossesBefore) throw unreachable('the connection was lost meanwhile');
  return answers;
}

/** The server has everything that was sent, and everything that it had for this connection has arrived. */
async function roundTrip({ connection }: Connected): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unreachable(`it did not do so within ${roundTripMs} ms`)), roundTripMs);
  });
  try {
    await Promise.race([connection.flush(), late]);
  } catch (error) {
    throw error instanceof AckgateError ? error : unreachable((error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}

function unreachable(why: string): AckgateError {
  const message =
    `the NATS server must answer while the nodes of the cluster are asked (${why}): ` +
    'without that, a node that says nothing may well be there. Try again';
  return new AckgateError('ERR_ACKGATE_NATS_UNREACHABLE', message);
}
