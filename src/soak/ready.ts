import type { Clock } from './clock.js';
import { expectedOutcome, type Outcome, type SoakClient, type SoakDriver } from './driver.js';
import { describeExit, type Exit, lastLines } from './exit.js';

const betweenMs = 100;
const connectMs = 2000;
/** For the first answer. After each attempt without one it is doubled: a server may be slow in its beginning. */
const answerTimeoutMs = 2000;
const closeMs = 1000;
const requestBytes = 64;
const outputLines = 10;

export interface ReadyOptions {
  readonly driver: SoakDriver;
  readonly server: {
    readonly host: string;
    readonly port: number;
    readonly exited: Promise<Exit>;
    /** Set as soon as it has ended, which may be before `exited` resolves. */
    readonly exit: Exit | null;
    readonly output: string;
  };
  readonly readySeconds: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** The number that the client gets; no other client should have it. */
  readonly client: number;
  /** Of that client. */
  readonly seed: number;
}

export type Ready =
  | { readonly ok: true; readonly afterMs: number }
  | { readonly ok: false; readonly detail: string };

/**
 * Resolves when the server has answered a real request as it should, or won't: because the time is over, because it ended,
 * or because the signal was aborted. Leaves no connection behind.
 */
export async function waitUntilReady(options: ReadyOptions): Promise<Ready> {
  const { server, readySeconds, signal, clock } = options;
  const startMs = clock.nowMs();
  const over = new AbortController();
  server.exited.then(() => over.abort());
  const stop = () => over.abort();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  let last: string | null = null;
  try {
    let patienceMs = answerTimeoutMs;
    for (;;) {
      const leftMs = readySeconds * 1000 - (clock.nowMs() - startMs);
      if (leftMs <= 0 || over.signal.aborted) break;
      const attempt = await attemptOnce(options, Math.min(patienceMs, leftMs), leftMs, over.signal);
      // Whoever answers for a server that has ended is not the one that was started.
      if (attempt.ok && server.exit === null) return { ok: true, afterMs: clock.nowMs() - startMs };
      if (!attempt.ok) {
        // An attempt that had no time left for it says less than the one before.
        const cutShort = attempt.timedOut && leftMs < patienceMs;
        if (last === null || !cutShort) last = attempt.detail;
        if (attempt.timedOut) patienceMs *= 2;
      }
      await clock.sleep(betweenMs, over.signal);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    // Whoever still sleeps or connects gives up.
    over.abort();
  }
  if (server.exit !== null) return { ok: false, detail: endedDetail(server.exit, server.output) };
  if (signal.aborted)
    return {
      ok: false,
      detail: `stopped while waiting for the server; last: ${last ?? 'no attempt was made'}`,
    };
  return { ok: false, detail: `not ready within ${readySeconds} s; last: ${last ?? 'no attempt was made'}` };
}

function endedDetail(exit: Exit, output: string): string {
  const said = lastLines(output, outputLines);
  const hint = exit.code === 0 ? ' (one that goes to the background must be kept in the foreground)' : '';
  const ended = `the server ended by itself before it was ready: ${describeExit(exit)}${hint}`;
  return said === '' ? `${ended}, without any output` : `${ended}; its last output:\n${said}`;
}

type Attempt = { ok: true } | { ok: false; detail: string; timedOut: boolean };

const failed = (detail: string, timedOut = false): Attempt => ({ ok: false, detail, timedOut });

async function attemptOnce(
  { driver, server, client, seed, clock }: ReadyOptions,
  patienceMs: number,
  leftMs: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const { host, port } = server;
  const operation = driver.operations.includes('simple') ? 'simple' : driver.operations[0];
  const giveUp = new AbortController();
  let told = (_attempt: Attempt): void => {};
  const outcome = new Promise<Attempt>((resolve) => {
    told = resolve;
  });
  const answered = (id: number, outcome: Outcome): void => {
    if (id !== 1) told(failed(`an answer to request ${id}, which was never sent`));
    else if (outcome !== expectedOutcome(operation)) told(failed(`answered with ${outcome}`));
    else told({ ok: true });
  };
  const events = {
    answered,
    violated: (kind: string, detail: string) => told(failed(`answered wrongly: ${kind}, ${detail}`)),
    closed: (detail: string) => told(failed(`the connection was closed: ${detail}`)),
  };
  const connecting = connectSafely(driver, { host, port, client, seed, events, signal: giveUp.signal });
  let connected: SoakClient | string | null = null;
  try {
    connected = await within(clock, Math.min(connectMs, leftMs), connecting, signal);
    if (connected === null) return failed('no connection was made in time', true);
    if (typeof connected === 'string') return failed(connected);
    const bytes = Math.min(requestBytes, driver.requestBytesMax);
    if (!connected.send({ id: 1, operation, bytes })) return failed('the connection takes no request');
    const attempt = await within(clock, patienceMs, outcome, signal);
    return attempt ?? failed(`connected, but no answer within ${Math.round(patienceMs)} ms`, true);
  } catch (error) {
    return failed(`the driver failed: ${messageOf(error)}`);
  } finally {
    if (typeof connected === 'object' && connected !== null) await leave(connected, clock);
    giveUp.abort();
    // A driver that does not heed the signal.
    if (connected === null)
      connecting.then((late) => (typeof late === 'string' ? undefined : leave(late, clock)));
  }
}

/** What was wrong, as a text, where there is no client. */
async function connectSafely(
  driver: SoakDriver,
  context: Parameters<SoakDriver['connect']>[0],
): Promise<SoakClient | string> {
  try {
    return await driver.connect(context);
  } catch (error) {
    return `no connection: ${messageOf(error)}`;
  }
}

async function leave(client: SoakClient, clock: Clock): Promise<void> {
  try {
    await within(clock, closeMs, client.close(), new AbortController().signal);
  } catch {
    // It may be broken already; the next attempt has a connection of its own.
  }
  client.socket?.destroy();
}

/** Null when the time is over, or the signal aborted, before. */
async function within<T>(
  clock: Clock,
  ms: number,
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T | null> {
  const done = new AbortController();
  const stop = () => done.abort();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([promise, clock.sleep(ms, done.signal).then(() => null)]);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

const messageOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return message || code || String(error);
};
