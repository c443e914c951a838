import type { NatsConnection } from '@nats-io/transport-node';
import type { NatsClient } from './connect.js';

/**
 * Asks everybody who listens on a subject, and takes what is answered in a time.
 *
 * @param isEnough ends it earlier
 */
export async function askAll<T>(
  client: NatsClient,
  connection: NatsConnection,
  subject: string,
  request: Uint8Array,
  decode: (data: Uint8Array) => T | string,
  waitMs: number,
  isEnough: (answers: readonly T[]) => boolean = () => false,
): Promise<T[]> {
  const inbox = client.createInbox();
  const answers: T[] = [];
  let done!: () => void;
  const enough = new Promise<void>((resolve) => {
    done = resolve;
  });
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      // Without data: the server's own word that nobody listens.
      if (error !== null || message.data.length === 0) return;
      const answer = decode(message.data);
      if (typeof answer === 'string') return;
      answers.push(answer as T);
      if (isEnough(answers)) done();
    },
  });
  const timer = setTimeout(done, waitMs);
  try {
    connection.publish(subject, request, { reply: inbox });
    if (isEnough(answers)) done();
    await enough;
  } finally {
    clearTimeout(timer);
    subscription.unsubscribe();
  }
  return answers;
}
