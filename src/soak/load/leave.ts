import type { Clock } from '../clock.js';
import type { SoakClient } from '../driver.js';

/** How long an orderly end may take. */
const leaveMs = 5000;

/**
 * What the work comes to, or `late` when it takes longer. It is looked at all the same: if it rejects afterwards, that is
 * nobody's unhandled rejection.
 */
export async function withinMs<T, L>(clock: Clock, ms: number, work: Promise<T>, late: L): Promise<T | L> {
  const over = new AbortController();
  try {
    return await Promise.race([work, clock.sleep(ms, over.signal).then(() => late)]);
  } finally {
    over.abort();
  }
}

/** Leaves in an orderly way if that can be done in time, and otherwise at once. Never rejects. */
export async function leave(client: SoakClient, clock: Clock): Promise<void> {
  const left = async () => {
    await client.close();
    return true;
  };
  const orderly = await withinMs(clock, leaveMs, left(), false).catch(() => false);
  if (!orderly) client.socket?.destroy();
}

/**
 * Cuts the connection: by an end, or by a reset where that is possible. Without a socket it leaves as it does at other
 * times.
 */
export function cut(client: SoakClient, reset: boolean, clock: Clock): void {
  const { socket } = client;
  if (socket === undefined) {
    void leave(client, clock);
    return;
  }
  try {
    // Throws for what is no TCP connection, such as TLS or a Unix socket.
    if (reset) socket.resetAndDestroy();
    else socket.destroy();
  } catch {
    socket.destroy();
  }
}
