import { AckgateError, type AckgateErrorCode } from '../errors.js';
import type { ServerSettings } from './client.js';

/** SQLSTATE of an error that the server sent, or errno of the connection. */
export function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** The tables, or the schema around them, are not there. */
export const isMissingTable = (error: unknown): boolean => ['42P01', '3F000'].includes(codeOf(error));

/** The client's own words for a question that took too long say neither that it was one nor how long. */
export function noAnswer(error: unknown, answerTimeoutMs: number): unknown {
  return (error as Error).message === 'Query read timeout'
    ? new Error(`it gave no answer within ${answerTimeoutMs} ms`)
    : error;
}

export function tooOld(server: Pick<ServerSettings, 'label'>, version: number): AckgateError {
  const found =
    version < 100000
      ? `${Math.floor(version / 10000)}.${Math.floor(version / 100) % 100}`
      : Math.floor(version / 10000);
  return new AckgateError(
    'ERR_ACKGATE_POSTGRES_VERSION',
    `PostgreSQL server ${server.label} is version ${found}; 15 or later is needed`,
  );
}

/** What went wrong, without the password, which a client or a server may have put into its message. */
export function reasonOf(error: unknown, server: Pick<ServerSettings, 'password'>): string {
  const { message } = error as Partial<Error>;
  // Some errors of Node have only a code, such as the one of several addresses that all refuse.
  const text = typeof message === 'string' && message !== '' ? message : codeOf(error) || String(error);
  const { password } = server;
  return password === undefined || password === '' ? text : text.replaceAll(password, '***');
}

/** What it means for whoever opens something that a server could not be talked to. Made without `cause`: that may have the password. */
export function connectError(error: unknown, server: ServerSettings): AckgateError {
  if (error instanceof AckgateError) return error;
  const reason = reasonOf(error, server);
  const [code, what] = meaningOf(error, reason);
  return new AckgateError(code, `PostgreSQL server ${server.label} ${what}: ${reason}`);
}

function meaningOf(error: unknown, reason: string): [AckgateErrorCode, string] {
  const code = codeOf(error);
  if (code === '42501')
    return ['ERR_ACKGATE_POSTGRES_CREDENTIALS', 'does not let the role do what is needed'];
  if (code.startsWith('28') || code === '3D000' || /SASL|SCRAM|password/i.test(reason)) {
    return ['ERR_ACKGATE_POSTGRES_CREDENTIALS', 'refuses user, password or database'];
  }
  return ['ERR_ACKGATE_POSTGRES_UNREACHABLE', howUnreachable(code, reason)];
}

function howUnreachable(code: string, reason: string): string {
  if (/does not support SSL/.test(reason)) return 'has no TLS, which the option tls asks for';
  if (/CERT|SIGNATURE/.test(code)) return 'shows a certificate that is not accepted';
  // Five characters: SQLSTATE, so there was an answer.
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code) && !code.startsWith('08')
    ? "can't be used now"
    : 'does not answer';
}
