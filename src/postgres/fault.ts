import { AckgateError, type AckgateErrorCode } from '../errors.js';
import type { ServerSettings } from './client.js';

/** SQLSTATE of an error that the server sent, or errno of the connection. */
export function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** The tables, or the schema around them, are not there. */
export const isMissingTable = (error: unknown): boolean => ['42P01', '3F000'].includes(codeOf(error));

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
  const isRefused =
    code.startsWith('28') || code === '3D000' || code === '42501' || /SASL|SCRAM|password/i.test(reason);
  return isRefused
    ? ['ERR_ACKGATE_POSTGRES_CREDENTIALS', 'refuses user, password or database']
    : ['ERR_ACKGATE_POSTGRES_UNREACHABLE', 'does not answer'];
}
